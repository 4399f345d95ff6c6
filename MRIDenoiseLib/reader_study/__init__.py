"""Blinded reader studies: design, blinded volumes, reading, ratings, consensus, analysis. Free of torch: reading happens beside Slicer.

Who reads meets :mod:`.reading`, :mod:`.forms`, :mod:`.sheet` and :mod:`.store`, which know blinded ids only. Who runs the study meets
:mod:`.creation`, :mod:`.consensus`, :mod:`.scores` and :mod:`.analysis`, which open the key, and before it all :mod:`.power`.
"""
