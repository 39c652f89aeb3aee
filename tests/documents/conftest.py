"""Embedders without a model come from the tests of embedders."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "embed"))
