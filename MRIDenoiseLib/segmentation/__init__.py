"""Tissue segmentation after FSL's FAST, and how far two segmentations agree. Free of torch: it may run next to Slicer."""

from MRIDenoiseLib.segmentation.dice import Agreement, dice
from MRIDenoiseLib.segmentation.hmrf import TissueSettings
from MRIDenoiseLib.segmentation.tissues import Segmentation, TissueClass, make_mask, segment

__all__ = ["Agreement", "Segmentation", "TissueClass", "TissueSettings", "dice", "make_mask", "segment"]
