"""Real pairs made ready for training: put on one grid, aligned, equally bright, honestly referenced and split by patient."""
