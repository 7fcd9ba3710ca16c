"""Check the types of every file: run mypy, and fail if it read fewer files than the package has.

Without the links in ``samestep/``, mypy says "Success" after it has read two files.
"""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FOLDERS = ("reference", "frameworks", "parity", "migrate", "report", "bench")


def main() -> int:
    """Run mypy in the checkout; the exit code is 0 if it read all files and complains of none."""
    expected = sum(len(list((ROOT / folder).rglob("*.py"))) for folder in FOLDERS)
    command = [sys.executable, "-m", "mypy", *sys.argv[1:]]
    ended = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=False)
    print(ended.stdout, end="")
    read = re.search(r"(\d+) source files", ended.stdout)
    if not read or int(read[1]) < expected:
        print(f"mypy must read all {expected} files of samestep, but read {read and read[1]}")
        return 1
    return ended.returncode


if __name__ == "__main__":
    sys.exit(main())
