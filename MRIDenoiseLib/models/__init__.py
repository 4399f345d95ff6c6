"""The networks, their sizes by name, and the bundle that holds them on disk."""
