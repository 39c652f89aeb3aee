"""A device at its limits: `python -m bench.device`."""
