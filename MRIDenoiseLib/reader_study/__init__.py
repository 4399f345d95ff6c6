"""Blinded reader studies: design, blinded volumes, reading, ratings, consensus. Free of torch: reading happens beside Slicer.

Who reads meets :mod:`.reading`, :mod:`.forms`, :mod:`.sheet` and :mod:`.store`, which know blinded ids only. Who runs the study meets
:mod:`.creation`, :mod:`.consensus` and :mod:`.scores`, which open the key.
"""
