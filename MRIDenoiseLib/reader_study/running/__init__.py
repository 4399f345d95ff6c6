"""Making, balancing, checking and exporting a study."""
