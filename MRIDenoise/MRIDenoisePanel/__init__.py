"""The panel of the module MRI Denoise, a file a section. Nothing here computes: that is the worker's."""
