"""One small report, made once for all tests that read one."""

import shutil
from pathlib import Path

import pytest

from .checkout import samestep
from .folder import RULE, STEPS


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report on one rule in three frameworks; made once, copied before it is harmed."""
    out = tmp_path_factory.mktemp("report")
    ended = samestep("report", "--rules", RULE, "--steps", str(STEPS), "--no-bench", "--no-natives", "--out", out)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return out


@pytest.fixture
def copied(made: Path, tmp_path: Path) -> Path:
    """A copy of the report's folder."""
    return Path(shutil.copytree(made, tmp_path / "report"))
