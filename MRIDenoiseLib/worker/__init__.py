"""Denoising in a child process: torch never enters the process of Slicer's window, and a window never waits.

The panel talks to :class:`.client.WorkerClient`; the child runs :mod:`.server`. Both use :mod:`.protocol`, one JSON object a
line, over the child's standard input and output; voxels go through .npy files in a folder that only their owner can read.
"""
