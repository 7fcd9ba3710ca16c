"""Generated mutants that change no step, each with the reason: the suite must not catch what is not wrong."""

EQUIVALENT: dict[str, str] = {}
