"""BME-X (Sun et al. 2024) for brains: its architecture, trained here on the data of the bundled model, as a peer to compare with."""
