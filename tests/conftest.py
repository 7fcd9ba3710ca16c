"""One small report, made once for all tests that read one."""

import shutil
from pathlib import Path

import pytest
from filelock import FileLock
from installed import Installed, build, install
from report_checkout import samestep
from report_folder import RULE, STEPS


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Path:
    """A folder of this run of pytest, whichever of its workers asks."""
    base = tmp_path_factory.getbasetemp()
    return base.parent if hasattr(request.config, "workerinput") else base


@pytest.fixture(scope="session")
def made(shared: Path) -> Path:
    """A report on one rule in three frameworks; made once, copied before it is harmed."""
    out = shared / "report"
    with FileLock(shared / "report.lock"):
        if not (out / "index.html").exists():
            words = ("--rules", RULE, "--steps", str(STEPS), "--no-bench", "--no-natives", "--out", out)
            ended = samestep("report", *words)
            assert ended.returncode == 0, ended.stdout + ended.stderr
    return out


@pytest.fixture
def copied(made: Path, tmp_path: Path) -> Path:
    """A copy of the report's folder."""
    return Path(shutil.copytree(made, tmp_path / "report"))


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this checkout."""
    return build("wheel", tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="session")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """A virtual environment with the wheel of this checkout."""
    return install(wheel, tmp_path_factory.mktemp("installed") / "environment")
