"""What Slicer's application puts around a scripted module, stood in for by PySide6 widgets over the real MRML scene.

The tests of the panel run the module's own `.ui` file and Widget class on it. It is stricter than Slicer on purpose: what
Slicer would shrug off (an attribute that no widget has, a signal that does not exist, an unconnected selector) raises here.
It proves nothing about how the real widgets look or behave, nor about module discovery or installation.
"""
