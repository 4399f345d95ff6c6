"""Learning the networks: pairs from clean volumes, simulated acquisitions, and the training loop."""
