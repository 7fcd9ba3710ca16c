"""``--cluster``: the commands give the same results on a Dask cluster as on this machine."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from report_checkout import assert_mistake, samestep

from samestep.parity.tests.support.cluster import Cluster
from samestep.parity.tests.support.require import require

for module in ("typer", "rich", "jinja2", "plotly", "msgspec", "torch", "distributed"):
    require(module)

PARTS = ["--no-natives", "--no-bench", "--no-sensitivity"]
REPORT = ["report", "--rules", "SGD", "--frameworks", "numpy,pytorch", "--steps", "3", *PARTS]
GOLDEN = ["golden", "--verify", "--frameworks", "numpy", "--epochs", "1"]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A scheduler and two workers on loopback."""
    started = Cluster(tmp_path_factory.mktemp("cluster"))
    yield started
    started.close()


def test_a_report_from_a_cluster_is_the_report_of_this_machine(
    cluster: Cluster, tmp_path: Path
) -> None:
    """Digests, losses and accuracies are the same; the command of the page names no cluster."""
    here = samestep(*REPORT, "--out", tmp_path / "here")
    there = samestep(*REPORT, "--cluster", cluster.address, "--out", tmp_path / "there")
    assert (here.returncode, there.returncode) == (0, 0), there.stdout + there.stderr
    reports = []
    for name in ("here", "there"):
        body = json.loads((tmp_path / name / "report.json").read_text())
        for row in body["training"]:
            del row["commands"]  # they name the folder
        reports.append([body[key] for key in ("training", "loss", "verdict", "command")])
    assert reports[0] == reports[1]
    assert len(list((tmp_path / "there" / "records").glob("*.npz"))) == 6


@pytest.mark.parametrize("command", [REPORT, GOLDEN])
def test_a_cluster_that_cannot_be_reached_is_a_mistake(command: list[str], tmp_path: Path) -> None:
    address = "tcp://127.0.0.1:9"
    ended = samestep(*command, "--cluster", address, "--out", tmp_path / "out")
    assert_mistake(ended, address)
    assert re.search("cluster|scheduler", ended.stderr)
