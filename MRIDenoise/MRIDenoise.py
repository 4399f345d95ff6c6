"""MRI Denoise: the module that Slicer loads. What it does lies in MRIDenoisePanel (the window) and MRIDenoiseLib (the work)."""

import sys
from pathlib import Path

import slicer
from slicer.i18n import tr as _
from slicer.i18n import translate
from slicer.ScriptedLoadableModule import ScriptedLoadableModule, ScriptedLoadableModuleTest

_HERE = Path(__file__).resolve().parent
# The library is next to this file in the installed extension, and one folder up in a checkout.
for _place in (_HERE, _HERE.parent):
    if (_place / "MRIDenoiseLib" / "__init__.py").is_file() and str(_place) not in sys.path:
        sys.path.insert(0, str(_place))
        break

from MRIDenoisePanel.logic import MRIDenoiseLogic  # noqa: E402
from MRIDenoisePanel.sampledata import registerSampleData  # noqa: E402
from MRIDenoisePanel.selftest import SelfTest  # noqa: E402
from MRIDenoisePanel.widget import MRIDenoiseWidget  # noqa: E402

__all__ = ["MRIDenoise", "MRIDenoiseLogic", "MRIDenoiseTest", "MRIDenoiseWidget"]


class MRIDenoise(ScriptedLoadableModule):
    """What Slicer shows of the module in its list and its help."""

    def __init__(self, parent):
        ScriptedLoadableModule.__init__(self, parent)
        self.parent.title = _("MRI Denoise")
        self.parent.categories = [translate("qSlicerAbstractCoreModule", "Filtering")]
        self.parent.dependencies = ["Markups", "Plots", "Segmentations", "SubjectHierarchy", "Tables", "Volumes"]
        self.parent.contributors = ["The MRI Denoise developers"]
        self.parent.helpText = _(
            "Removes noise from a fast MR volume, by default with a regression network, and shows what was removed. "
            "The diffusion methods, among them the paper's, can be chosen under Advanced. "
            "Research use only. NOT FOR DIAGNOSTIC USE. All data stay on this computer."
        )
        self.parent.acknowledgementText = _(
            "After Shao et al., Real-world unified denoising for multi-organ fast MRI, npj Digital Medicine 2026."
        )
        slicer.app.connect("startupCompleted()", registerSampleData)


class MRIDenoiseTest(ScriptedLoadableModuleTest):
    """The test that Slicer runs: sample data, denoise, compare, segment, save, reload."""

    def setUp(self):
        """Start from an empty scene."""
        slicer.mrmlScene.Clear()

    def runTest(self):
        """All of it, in order."""
        self.setUp()
        SelfTest(self.delayDisplay).run()
