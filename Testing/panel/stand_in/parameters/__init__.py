"""`slicer.parameterNodeWrapper`: typed parameters that live in a MRML node, and their binding to the widgets of a panel.

Kept are the names, the spelling of the values in the node, the checks and the errors of Slicer's. Left out, so that using it
fails: lists, dictionaries, tuples, parameter packs, colours and ranges.
"""

from stand_in.parameters.annotations import (
    Choice,
    Decimals,
    Default,
    Exclude,
    IsInstance,
    Maximum,
    Minimum,
    NotNone,
    SingleStep,
    Validator,
    WithinRange,
)
from stand_in.parameters.wrapper import SlicerParameterNamePropertyName, isParameterNodeWrapper, parameterNodeWrapper

__all__ = [
    "Choice",
    "Decimals",
    "Default",
    "Exclude",
    "IsInstance",
    "Maximum",
    "Minimum",
    "NotNone",
    "SingleStep",
    "SlicerParameterNamePropertyName",
    "Validator",
    "WithinRange",
    "isParameterNodeWrapper",
    "parameterNodeWrapper",
]
