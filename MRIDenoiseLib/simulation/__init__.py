"""A simulated scanner: coils, k-space, parallel imaging, receiver, filters, and the noise they leave."""
