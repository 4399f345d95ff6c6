"""Let the tests of this folder import its DICOM factory by name."""

import sys
from pathlib import Path

from hypothesis import settings

sys.path.insert(0, str(Path(__file__).parent))

# What ``--hypothesis-profile=whole`` asks for: a test whose few examples stand for many then tries the many.
settings.register_profile("whole", max_examples=1000)
