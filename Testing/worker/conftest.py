"""What every test of the worker starts from."""

from collections.abc import Iterator

import pytest
from worker_listener import Listener, head

from MRIDenoiseLib.volume import Volume


@pytest.fixture
def listener() -> Iterator[Listener]:
    made = Listener()
    yield made
    made.client.close()


@pytest.fixture
def noisy() -> Volume:
    return head()
