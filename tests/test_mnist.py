"""Where MNIST comes from: a folder, the checkout, or one download."""

import functools
import gzip
import http.server
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from report_checkout import ROOT, assert_mistake

from samestep import PACKAGE
from samestep.frameworks.experiment import mnist

pytest.importorskip("pooch", reason="downloads need pooch, of the extra 'report'")

NOWHERE = "http://127.0.0.1:1/"  # no server answers at this port


class Quiet(http.server.SimpleHTTPRequestHandler):
    """A server of files that writes nothing on standard error."""

    def log_message(self, *_: object) -> None:
        """Write nothing."""


@pytest.fixture
def mirror(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """A server of a copy of the four archives: its address and its folder."""
    assert mnist.CHECKOUT
    folder = tmp_path / "mirror"
    folder.mkdir()
    for name in mnist.SHA256:
        (folder / f"{name}.gz").symlink_to(mnist.CHECKOUT / f"{name}.gz")
    handler = functools.partial(Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/", folder
        server.shutdown()


@pytest.fixture
def downloads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of downloads, empty; the code believes that it is installed."""
    monkeypatch.setattr(mnist, "CHECKOUT", None)
    monkeypatch.setenv(mnist.FOLDER_VARIABLE, str(tmp_path / "downloads"))
    return tmp_path / "downloads"


def test_mnist_is_downloaded_once(
    mirror: tuple[str, Path], downloads: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second time it needs no server."""
    monkeypatch.setattr(mnist, "MIRROR", mirror[0])
    first = mnist.load()
    monkeypatch.setattr(mnist, "MIRROR", NOWHERE)
    second = mnist.load()
    for arrays in (first, second):
        assert all(map(np.array_equal, arrays, mnist.load(ROOT / "data" / "mnist")))
    assert sorted(path.name for path in downloads.iterdir()) == sorted(
        f"{name}.gz" for name in mnist.SHA256
    )


def test_a_mirror_with_other_digits_is_refused(
    mirror: tuple[str, Path], downloads: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The hash of the unpacked file decides; an archive that is packed otherwise is accepted."""
    address, folder = mirror
    name = "t10k-labels-idx1-ubyte"
    data = gzip.decompress((folder / f"{name}.gz").read_bytes())
    monkeypatch.setattr(mnist, "MIRROR", address)
    (folder / f"{name}.gz").unlink()
    (folder / f"{name}.gz").write_bytes(gzip.compress(data, compresslevel=1))
    assert mnist.load().test_labels.tobytes() == data[8:]
    shutil.rmtree(downloads)
    (folder / f"{name}.gz").write_bytes(gzip.compress(data[:-1] + b"\x00"))
    with pytest.raises(ValueError, match=f"{name}.gz must hold MNIST with SHA-256 .*; delete it"):
        mnist.load()


def test_an_archive_that_is_cut_short_is_named(downloads: Path) -> None:
    """With the advice to delete it."""
    downloads.mkdir()
    name = next(iter(mnist.SHA256))
    archive = (ROOT / "data" / "mnist" / f"{name}.gz").read_bytes()
    (downloads / f"{name}.gz").write_bytes(archive[:-1000])
    with pytest.raises(ValueError, match=f"{name}.gz must be a whole gzip file.*; delete it"):
        mnist.load()


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the package without its links, beside a folder ``data`` that is not ours."""
    site = tmp_path_factory.mktemp("site")
    for folder in ("reference", "frameworks", "parity", "report"):
        unneeded = shutil.ignore_patterns("__pycache__", "tests")
        shutil.copytree(PACKAGE / folder, site / "samestep" / folder, ignore=unneeded)
    shutil.copy(PACKAGE / "__init__.py", site / "samestep")
    (site / "data" / "mnist").mkdir(parents=True)
    return site


@pytest.mark.parametrize("reason", ["no connection", "no pooch", "a folder that is a file"])
def test_an_installed_package_without_mnist_says_what_to_do(
    reason: str, installed: Path, tmp_path: Path
) -> None:
    """In one line, whatever folder ``data`` lies beside it."""
    pytest.importorskip("typer", reason="the command line is the extra 'report'")
    folder = tmp_path / "downloads"
    if reason == "a folder that is a file":
        folder.write_text("in the way")
    variables = {
        **os.environ,
        "PYTHONPATH": str(installed),
        "HTTPS_PROXY": NOWHERE,
        "https_proxy": NOWHERE,
        mnist.FOLDER_VARIABLE: str(folder),
    }
    if reason == "no pooch":
        (tmp_path / "absent").mkdir()
        (tmp_path / "absent" / "pooch.py").write_text("raise ImportError")
        variables["PYTHONPATH"] = os.pathsep.join([str(tmp_path / "absent"), str(installed)])
    command = ["-m", "samestep.report.cli", "train", "keras:Adam()", "--framework", "numpy"]
    ended = subprocess.run(
        [sys.executable, *command, "--out", str(tmp_path / "out")],
        cwd=tmp_path,
        env=variables,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    advice = "pip install pooch" if reason == "no pooch" else str(folder)
    assert_mistake(ended, "MNIST must", "--data", advice)
