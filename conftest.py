"""What holds for every test, of this project and of its benchmarks."""

import getpass
import os
import tempfile
from pathlib import Path

if kernels := os.environ.get("ATEN_CPU_CAPABILITY"):
    # torch compiles for these instructions, but would take what it has kept from runs with others
    os.environ.setdefault(
        "TORCHINDUCTOR_CACHE_DIR", str(Path(tempfile.gettempdir(), f"torchinductor_{getpass.getuser()}_{kernels}"))
    )
