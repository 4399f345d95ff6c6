"""The section *Set-up*: what denoising needs, what of it is there, and installing the rest with the user's consent."""

import importlib
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import qt
import slicer
from packaging.requirements import Requirement
from slicer.i18n import tr as _

TORCH = "torch>=2.5"
REQUESTER = "MRI Denoise"
SHARED = frozenset({"torch", "numpy", "scipy", "pydicom", "psutil"})
"""Packages that Slicer or other extensions use too: they are never installed over."""
GIGABYTE = 1e9
ROOM = 6 * GIGABYTE
"""Of disk that the packages take at most while they are installed, with PyTorch's libraries for a GPU."""
MEMORY = 4 * GIGABYTE
"""That a volume of usual size needs."""


@dataclass(frozen=True)
class Preflight:
    """What was found.

    Args:
        missing: requirements that are not met, as pip writes them; torch first.
        graphics: the graphics card's driver, in words.
        memory: free, in bytes; None where it is not known yet.
        disk: free where Python packages are put, in bytes.
    """

    missing: tuple[str, ...]
    graphics: str
    memory: float | None
    disk: float

    @property
    def ready(self) -> bool:
        """Whether denoising can run."""
        return not self.missing


def missingPackages(requirements: Path) -> tuple[str, ...]:
    """Requirements that are not met, as pip writes them; torch first. Nothing is imported.

    Args:
        requirements: a list as pip reads it; torch is not in it.
    """
    importlib.invalidate_caches()
    needed = [TORCH, *map(str, slicer.packaging.load_requirements(requirements))]
    return tuple(one for one in needed if not slicer.packaging.pip_check(one))


def preflight(requirements: Path) -> Preflight:
    """Look what is installed, without importing or starting anything.

    Args:
        requirements: see :func:`missingPackages`.
    """
    return Preflight(missingPackages(requirements), _graphics(), _freeMemory(), shutil.disk_usage(sys.prefix).free)


class SetupSection:
    """Shows the preflight and installs.

    Args:
        ui: the panel's widgets.
        requirements: a list as pip reads it.
        release: ends the worker, whose packages may be replaced; returns whether it could.
        onChange: called when something was installed.
    """

    def __init__(self, ui: Any, requirements: Path, release: Callable[[], bool], onChange: Callable[[], None]) -> None:
        self._ui = ui
        self._release = release
        self._requirements = requirements
        self._onChange = onChange
        self._shownReady: bool | None = None
        self.found = preflight(requirements)
        ui.checkButton.connect("clicked(bool)", lambda _on: self.check())
        ui.installButton.connect("clicked(bool)", lambda _on: self._run(self._install))
        ui.offlineButton.connect("clicked(bool)", lambda _on: self._run(self._installFromFolder))
        ui.repairButton.connect("clicked(bool)", lambda _on: self._run(self._repair))
        self._show()

    def check(self) -> None:
        """Look again."""
        self.found = preflight(self._requirements)
        self._show()
        self._onChange()

    def _show(self) -> None:
        found = self.found
        lines = []
        if found.missing:
            lines.append(_("Missing: {packages}.").format(packages=", ".join(found.missing)))
            lines.append(_("Installing downloads 0.3 GB, or about 3 GB with PyTorch for an NVIDIA card; nothing is sent."))
        else:
            lines.append(_("All packages are installed."))
        lines.append(found.graphics)
        memory = _("unknown") if found.memory is None else f"{found.memory / GIGABYTE:.1f} GB"
        lines.append(_("Free: memory {memory}, disk {disk:.0f} GB.").format(memory=memory, disk=found.disk / GIGABYTE))
        if found.missing and found.disk < ROOM:
            lines.append(_("The disk may be too full for the packages."))
        if found.memory is not None and found.memory < MEMORY:
            lines.append(_("Little memory is free: close other programs before denoising a large volume."))
        self._ui.setupLabel.text = "\n".join(lines)
        self._ui.installButton.enabled = bool(found.missing)
        self._ui.installButton.toolTip = "" if found.missing else _("Nothing is missing")
        if found.ready is not self._shownReady:
            # Only then: the user may have opened it to read.
            self._shownReady = found.ready
            self._ui.setupCollapsible.collapsed = found.ready

    def _run(self, install: Callable[[], None]) -> None:
        """Install, and show in one sentence what went wrong."""
        if not self._release():
            slicer.util.errorDisplay(_("Wait until the present work is done, or cancel it, before installing."))
            return
        try:
            install()
        except subprocess.CalledProcessError:
            slicer.util.errorDisplay(_("The packages could not be installed; is there a network? Otherwise install them from a folder."))
        except RuntimeError as error:
            slicer.util.errorDisplay(_("Nothing was installed: {reason}.").format(reason=str(error).rstrip(".")))
        self.check()

    def _install(self) -> None:
        if not slicer.packaging.pip_check(TORCH):
            try:
                import PyTorchUtils
            except ImportError:
                slicer.util.errorDisplay(
                    _("PyTorch comes through the extension PyTorch: install it in the Extensions Manager, restart Slicer and come back.")
                )
                return
            # It picks the build for this computer's graphics card, and asks before it downloads.
            version = TORCH.removeprefix("torch")
            if PyTorchUtils.PyTorchUtilsLogic().installTorch(askConfirmation=True, torchVersionRequirement=version) is None:
                raise RuntimeError(_("PyTorch was not installed"))
        slicer.packaging.pip_ensure(slicer.packaging.load_requirements(self._requirements), requester=REQUESTER)

    def _installFromFolder(self) -> None:
        folder = qt.QFileDialog.getExistingDirectory(slicer.util.mainWindow(), _("A folder of Python wheels"), "")
        if folder:
            slicer.packaging.pip_install(["--no-index", "--find-links", folder, *self._everything()], requester=REQUESTER)

    def _repair(self) -> None:
        question = _("The Python packages that only denoising uses are downloaded and installed again. Continue?")
        if slicer.util.confirmOkCancelDisplay(question):
            own = [one for one in self._everything() if Requirement(one).name not in SHARED]
            slicer.packaging.pip_install(["--force-reinstall", "--no-deps", *own], requester=REQUESTER)

    def _everything(self) -> list[str]:
        return [TORCH, *map(str, slicer.packaging.load_requirements(self._requirements))]


def _freeMemory() -> float | None:
    try:
        # One of the packages that may be missing.
        import psutil
    except ImportError:
        return None
    return float(psutil.virtual_memory().available)


def _graphics() -> str:
    """The graphics card as its driver's files show it: no process is started and torch is not imported for it."""
    if sys.platform == "darwin" and platform.machine() == "arm64":
        return _("Apple graphics are used (mps).")
    windows = Path(os.environ.get("SYSTEMROOT", r"C:\Windows")) / "System32" / "nvcuda.dll"
    driver = Path("/proc/driver/nvidia/version")
    if driver.is_file():
        first = driver.read_text(encoding="utf-8", errors="replace").splitlines()[:1]
        return _("NVIDIA driver: {driver}.").format(driver=" ".join("".join(first).split()))
    if sys.platform == "win32" and windows.is_file():
        return _("An NVIDIA driver is installed.")
    return _("No NVIDIA driver was found: the processor does the work, which takes longer.")
