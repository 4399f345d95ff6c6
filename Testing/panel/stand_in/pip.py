"""`slicer.packaging` over a pretended Python environment: nothing is installed, every request is written down."""

from __future__ import annotations

import importlib.metadata
import shlex
import subprocess
import types
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import slicer
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name


@dataclass(frozen=True)
class Install:
    """One call of pip_install(), or of pip_uninstall() with `remove`."""

    requirements: list[str]
    constraints: str | Path | None = None
    requester: str | None = None
    remove: bool = False


class Packages:
    """What is installed and what was asked for.

    Attributes:
        missing: distributions that pip_check() takes for not installed, whatever this Python has; an install takes them out.
        installs: every install and removal that was asked for, in order.
        error: set it to make the next installs end with this message instead.
    """

    def __init__(self) -> None:
        self.missing: set[str] = set()
        self.installs: list[Install] = []
        self.error = ""

    def load_requirements(self, path: str | Path) -> list[Requirement]:
        lines = [line.strip() for line in Path(path).read_text(encoding="utf-8").splitlines()]
        return [Requirement(line) for line in lines if line and not line.startswith(("#", "-"))]

    def pip_check(self, req) -> bool:
        return all(self._satisfied(requirement) for requirement in _requirements(req))

    def pip_ensure(
        self,
        requirements,
        constraints: str | Path | None = None,
        skip_packages: list[str] | None = None,
        prompt_install: bool = True,
        prompt_restart: bool = True,
        requester: str | None = None,
        skip_in_testing: bool = True,
        show_progress: bool = True,
    ) -> list[str] | None:
        missing = [str(requirement) for requirement in _requirements(requirements) if not self.pip_check(requirement)]
        if not missing or (skip_in_testing and slicer.app.testingEnabled()):
            return None
        if prompt_install:
            count = "1 Python package needs" if len(missing) == 1 else f"{len(missing)} Python packages need"
            text = f"{count} to be installed.\n\nThis will modify Slicer's Python environment. Continue?"
            title = f"{requester} - Install Python Packages" if requester else "Install Python Packages"
            if not slicer.util.confirmOkCancelDisplay(text, title, detailedText="\n".join(f"- {name}" for name in missing)):
                raise RuntimeError("User declined package installation")
        return self.pip_install(missing, constraints, skip_packages=skip_packages, show_progress=show_progress, requester=requester)

    def pip_install(
        self,
        requirements: str | list[str],
        constraints: str | Path | None = None,
        no_deps_requirements: str | list[str] | None = None,
        skip_packages: list[str] | None = None,
        blocking: bool = True,
        show_progress: bool = True,
        requester: str | None = None,
        logCallback: Callable[[str], None] | None = None,
        completedCallback: Callable[[int], None] | None = None,
    ) -> list[str] | None:
        wanted = _words(requirements) + _words(no_deps_requirements or [])
        self.installs.append(Install(wanted, constraints, requester))
        if self.error and blocking:
            raise subprocess.CalledProcessError(1, ["pip", "install", *wanted], output=self.error)
        if not self.error:
            self.missing -= {canonicalize_name(Requirement(word).name) for word in wanted if not word.startswith("-")}
        if logCallback is not None:
            logCallback(self.error or f"Successfully installed {' '.join(wanted)}")
        if completedCallback is not None:
            completedCallback(1 if self.error else 0)
        return [] if skip_packages is not None else None

    def pip_uninstall(
        self,
        requirements: str | list[str],
        blocking: bool = True,
        logCallback: Callable[[str], None] | None = None,
        completedCallback: Callable[[int], None] | None = None,
    ) -> None:
        wanted = _words(requirements)
        self.installs.append(Install(wanted, remove=True))
        self.missing |= {canonicalize_name(Requirement(word).name) for word in wanted if not word.startswith("-")}
        if completedCallback is not None:
            completedCallback(0)

    def isPipInstallInProgress(self) -> bool:
        return False

    def _satisfied(self, requirement: Requirement) -> bool:
        if requirement.marker is not None and not requirement.marker.evaluate():
            return True
        if canonicalize_name(requirement.name) in self.missing:
            return False
        try:
            return requirement.specifier.contains(importlib.metadata.version(requirement.name), prereleases=True)
        except importlib.metadata.PackageNotFoundError:
            return False


_FUNCTIONS = (
    "isPipInstallInProgress",
    "load_requirements",
    "pip_check",
    "pip_ensure",
    "pip_install",
    "pip_uninstall",
)


def packaging_module(packages: Packages) -> types.ModuleType:
    module = types.ModuleType("slicer.packaging", __doc__)
    vars(module).update({name: getattr(packages, name) for name in _FUNCTIONS})
    return module


def _words(requirements: str | list[str]) -> list[str]:
    return shlex.split(requirements) if isinstance(requirements, str) else [str(one) for one in requirements]


def _requirements(requirements) -> list[Requirement]:
    if isinstance(requirements, Requirement):
        return [requirements]
    if isinstance(requirements, str) and ";" not in requirements:
        requirements = shlex.split(requirements)
    elif isinstance(requirements, str):
        requirements = [requirements]
    return [one if isinstance(one, Requirement) else Requirement(one) for one in requirements]
