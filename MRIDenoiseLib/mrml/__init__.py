"""Denoising in a Slicer scene: nodes in, nodes out, and the views to compare them. The only part that knows Slicer.

Every function takes the scene it works on. It needs MRML, which ``slicer-core`` brings without the application, and no
widgets; it is free of torch, because Slicer's process may not load it.
"""

from MRIDenoiseLib.mrml.comparison import Comparison
from MRIDenoiseLib.mrml.layouts import DENOISED, NOISY, REFERENCE, RESIDUAL, Layout, View, register_layouts
from MRIDenoiseLib.mrml.planes import region_of, slice_in_view
from MRIDenoiseLib.mrml.results import (
    Account,
    ResultNodes,
    add_preview,
    add_results,
    remove_previews,
    result_of,
    role_of,
    settings_of,
    source_of,
)
from MRIDenoiseLib.mrml.tissues import AgreementNodes, Tissue, add_agreement, add_tissues
from MRIDenoiseLib.mrml.volumes import acquisition_of, source_files, to_volume

__all__ = [
    "DENOISED",
    "NOISY",
    "REFERENCE",
    "RESIDUAL",
    "Account",
    "AgreementNodes",
    "Comparison",
    "Layout",
    "ResultNodes",
    "Tissue",
    "View",
    "acquisition_of",
    "add_agreement",
    "add_preview",
    "add_results",
    "add_tissues",
    "register_layouts",
    "region_of",
    "remove_previews",
    "result_of",
    "role_of",
    "settings_of",
    "slice_in_view",
    "source_files",
    "source_of",
    "to_volume",
]
