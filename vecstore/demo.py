"""`python -m vecstore.demo`: see `vecstore.cli.demo`."""

from __future__ import annotations

import sys

from vecstore.cli.demo import main

if __name__ == "__main__":
    sys.exit(main())
