"""The errors a user can meet: each is one sentence a radiologist understands.

They are raised where the cause is known and caught once, at the edge (command line, worker, panel). Anything
else that escapes is a fault of the program, not of the input.
"""


class MRIDenoiseError(Exception):
    """Something outside the program is wrong; the message says what, in which file, and what to do. Exit status 2."""

    exit_status = 2


class InputError(MRIDenoiseError):
    """The image, folder or header given cannot be used as it is."""


class AmbiguousInputError(InputError):
    """The input holds several images (series, echoes, time points) and the user has to choose one."""


class OutputError(MRIDenoiseError):
    """The result cannot be written where the user asked for it."""


class BundleError(MRIDenoiseError):
    """A model bundle is incomplete, altered, or does not fit its own configuration."""


class SettingsError(MRIDenoiseError):
    """An option has a value that cannot work."""


class Cancelled(MRIDenoiseError):
    """The user asked to stop. Exit status 130."""

    exit_status = 130
