"""One warm Python for all that README, docs and examples print."""

from collections.abc import Iterator

import pytest
from warm_python import warm_python


@pytest.fixture(scope="session")
def python() -> Iterator[list[str]]:
    """The words that start a program in place of Python's path."""
    with warm_python() as words:
        yield words
