"""Blinded reader studies: design, blinded volumes, reading, ratings, consensus, analysis. No torch: Slicer runs it.

Who reads meets :mod:`.reading`, which knows blinded ids only. Who runs the study meets :mod:`.running` and :mod:`.analysis`, which open
the key, and before it all :mod:`.analysis.power`.
"""
