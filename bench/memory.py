"""The memory that a step takes while it runs, as the operating system sees the process."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

STATUS = Path("/proc/self/status")
RESET = Path("/proc/self/clear_refs")
PEAK_IS_NOW = "5"  # written to ``RESET``, it lets the kernel begin a new peak (man 5 proc)
TRIES = 3


def taken(step: Callable[[], Any]) -> int | None:
    """Bytes by which the process is at most larger while ``step`` runs than before it.

    None where the operating system does not report it. It is the least of a few tries, since other
    threads may allocate. Pages that an allocator has in reserve are not seen. PyTorch on the CPU
    gets tensors of megabytes from the system and gives them back at once; TensorFlow does not, so
    for its steps the result says nothing.
    """
    try:
        return min(_once(step) for _ in range(TRIES))
    except OSError:
        return None


def _once(step: Callable[[], Any]) -> int:
    RESET.write_text(PEAK_IS_NOW)
    before = _bytes("VmRSS")
    step()
    return max(0, _bytes("VmHWM") - before)


def _bytes(name: str) -> int:
    line = next(line for line in STATUS.read_text().splitlines() if line.startswith(f"{name}:"))
    return 1024 * int(line.split()[1])
