# Slicer's writes a file for extensions that build upon this one. None does.
