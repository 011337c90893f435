"""The pure parts of tests/faults stand beside what plays the faults."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[2] / "faults"))
