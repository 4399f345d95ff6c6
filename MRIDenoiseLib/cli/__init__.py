"""The ``mridenoise`` command. Loading this package is cheap: networks load only when a command needs them."""

from MRIDenoiseLib.cli.app import main

__all__ = ["main"]
