"""A run that is stopped, by whatever means, leaves nothing half-done. Real processes and real signals."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from damage import phantom, save

POSIX = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGTERM or SIGKILL to send")


def start(source: Path, folder: Path, bundle: Path) -> subprocess.Popen[str]:
    """Denoising that takes minutes, in a process of its own that says when the networks are at work."""
    arguments = ["denoise", source, folder / "out.nii", "--residual", folder / "residual.nii", "--report", folder / "run.json"]
    arguments += ["--bundle", bundle, "--method", "ddim", "--steps", "900", "--device", "cpu"]
    code = (
        "import sys, MRIDenoiseLib.cli.progress as progress\n"
        "progress.SECONDS_BETWEEN_LINES = 0.0\n"
        "from MRIDenoiseLib.cli import main\n"
        f"sys.exit(main({[str(a) for a in arguments]!r}))"
    )
    return subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)


@POSIX
@pytest.mark.parametrize(
    ("number", "status"),
    [(signal.SIGINT, 130), (signal.SIGTERM, 130), (signal.SIGKILL, -signal.SIGKILL)],
    ids=["Ctrl-C", "terminate", "kill"],
)
def test_a_stopped_run_leaves_no_file(number: signal.Signals, status: int, tmp_path: Path, tiny_bundle: Path) -> None:
    source = save(np.tile(phantom((5, 64, 64)), (8, 1, 1)), tmp_path / "in.nii")
    (tmp_path / "out").mkdir()
    process = start(source, tmp_path / "out", tiny_bundle)
    assert process.stderr is not None
    for line in process.stderr:
        # A second share of the work done: the networks run.
        if "%" in line and not line.rstrip().endswith(": 0%") and "left" in line:
            break
    process.send_signal(number)
    asked = time.monotonic()
    rest = process.stderr.read()
    assert process.wait(timeout=30) == status
    assert list((tmp_path / "out").iterdir()) == []
    if number != signal.SIGKILL:
        assert rest.splitlines()[-1] == "mridenoise: Cancelled; nothing was written."
        assert "Traceback" not in rest
        # A second is promised; a loaded test machine gets some more.
        assert time.monotonic() - asked < 10
