"""``python -m MRIDenoiseLib.cli`` is ``mridenoise``, for a checkout in which that command is not installed."""

import sys

from MRIDenoiseLib.cli.app import main

sys.exit(main())
