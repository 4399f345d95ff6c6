"""`PyTorchUtils`, the module of the PyTorch extension, as if torch could be installed; nothing is, and torch is not imported."""

from __future__ import annotations

import types


class PyTorch:
    """What the extension finds and was asked for: `installed`, `fails`, `installs` (the arguments of every installTorch)."""

    def __init__(self, installed: bool = False) -> None:
        self.installed = installed
        self.fails = False
        self.installs: list[dict] = []


def pytorch_utils_module(state: PyTorch) -> types.ModuleType:
    class PyTorchUtilsLogic:
        """The extension's logic, as far as a panel needs it."""

        @staticmethod
        def torchInstalled() -> bool:
            return state.installed

        @property
        def torchVersionInformation(self) -> str:
            return "installed version 2.13.0" if state.installed else "not installed"

        @property
        def nvidiaDriverVersionInformation(self) -> str:
            return ""

        @property
        def torch(self):
            raise AssertionError("the panel may not load torch into the application's process")

        def importTorch(self):
            return self.torch

        def installTorch(self, askConfirmation=False, forceComputationBackend=None, torchVersionRequirement=None):
            import slicer

            state.installs.append(dict(forceComputationBackend=forceComputationBackend, torchVersionRequirement=torchVersionRequirement))
            question = "PyTorch will be downloaded and installed using light-the-torch. The process might take some minutes."
            if askConfirmation and not slicer.app.testingEnabled() and not slicer.util.confirmOkCancelDisplay(question):
                return None
            if state.fails:
                raise RuntimeError("light-the-torch failed")
            state.installed = True
            return types.SimpleNamespace(__version__="2.13.0")

        def uninstallTorch(self, askConfirmation=False, forceComputationBackend=None) -> None:
            state.installed = False

        @staticmethod
        def getCompatibleComputationBackends(forceComputationBackend=None, torchVersionRequirement=None) -> list[str]:
            return ["cpu"]

    module = types.ModuleType("PyTorchUtils", __doc__)
    module.PyTorchUtilsLogic = PyTorchUtilsLogic
    return module
