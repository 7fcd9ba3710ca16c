"""What samestep answers wrongly today, with the reason in one sentence."""

MISSED: dict[str, str] = {}
