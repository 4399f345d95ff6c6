"""What the user has chosen; kept in the scene, so that it is saved with it."""

from typing import Annotated

import slicer
from slicer.parameterNodeWrapper import WithinRange, parameterNodeWrapper

from MRIDenoiseLib.methods import SHARPENED, SHARPNESS, STEPS, STRENGTH

RECOMMENDED = ""
"""The method that the model's card recommends."""


@parameterNodeWrapper
class MRIDenoiseParameterNode:
    """The panel's choices.

    Attributes:
        inputVolume: the noisy volume.
        referenceVolume: a clean one of the same thing; for comparison only.
        region: denoise only inside this box.
        organ, contrast, vendor, acceleration: the user's choices in place of what was read; empty keeps what was read.
        bundle: folder of the model; empty is the one that comes with the extension.
        method: empty is what the model recommends.
        ownStrength: whether ``strength`` counts; otherwise the model's own does.
        strength: part of the noise found that is removed.
        sharpness: of the methods that have it, from 0, most faithful, to 1, sharpest.
        steps: network calls; 0 leaves them to the model.
        ownFidelity: whether ``fidelity`` counts; otherwise the method's own does.
        fidelity: weight of agreement with the measured image.
        uncertainty: whether the result shall say how sure it is.
        seed: of the noise fields.
        device: auto, cpu, cuda or mps.
        classes: of the tissue segmentation.
        denoisedVolume: the last result.
        residualVolume: what was removed.
    """

    inputVolume: slicer.vtkMRMLScalarVolumeNode
    referenceVolume: slicer.vtkMRMLScalarVolumeNode
    region: slicer.vtkMRMLMarkupsROINode
    organ: str
    contrast: str
    vendor: str
    acceleration: str
    bundle: str
    method: str
    ownStrength: bool
    strength: Annotated[float, WithinRange(0.05, STRENGTH.most)] = 0.9
    sharpness: Annotated[float, WithinRange(SHARPNESS.least, SHARPNESS.most)] = SHARPENED.presets(on_gpu=False)[SHARPNESS.name]
    steps: Annotated[int, WithinRange(0, STEPS.most)] = 0
    ownFidelity: bool
    fidelity: Annotated[float, WithinRange(0, 2)] = 0.1
    uncertainty: bool
    seed: Annotated[int, WithinRange(0, 2**31 - 1)] = 0
    device: str = "auto"
    classes: Annotated[int, WithinRange(2, 6)] = 3
    denoisedVolume: slicer.vtkMRMLScalarVolumeNode
    residualVolume: slicer.vtkMRMLScalarVolumeNode
