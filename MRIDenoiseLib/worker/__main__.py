"""``python -m MRIDenoiseLib.worker FOLDER``: the worker, started by its client."""

from MRIDenoiseLib.worker.server import main

main()
