"""The clock: what a step and an epoch cost, ours beside the natives. ``python -m pytest bench --benchmark-only``."""
