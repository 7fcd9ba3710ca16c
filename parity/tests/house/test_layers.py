"""The house stands as drawn: who imports whom, what importing costs, one formula in one place."""

import ast
import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

from samestep import SEARCH_PATH as ROOT
from samestep.parity.measure import cases, wrong_rules
from samestep.reference import RULES, Muon, dialects

MAY_IMPORT = {
    "reference": set(),
    "frameworks": {"reference"},
    "parity": {"reference", "frameworks"},
    "bench": {"reference", "frameworks", "parity"},
    "report": {"reference", "frameworks", "parity"},
}
FRAMEWORKS = {"numpy": {"numpy"}, "pytorch": {"numpy", "torch"}, "tensorflow": {"numpy", "tensorflow", "keras"}}
LIBRARIES = {"numpy", "torch", "tensorflow", "keras", "jax", "scipy", "tf_keras", "optax", "onnx"}


def imports(folder: str) -> Iterator[tuple[str, str]]:
    """File and top-level module of every absolute import under a folder."""
    for path in sorted((ROOT / folder).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                yield from ((str(path.relative_to(ROOT)), _top(name.name)) for name in node.names)
            elif isinstance(node, ast.ImportFrom) and node.module == "samestep":
                yield from ((str(path.relative_to(ROOT)), _top(f"samestep.{name.name}")) for name in node.names)
            elif isinstance(node, ast.ImportFrom) and node.level == 0:
                yield str(path.relative_to(ROOT)), _top(str(node.module))


def _top(module: str) -> str:
    """The folder of a module of this project, or the package of another."""
    parts = module.split(".")
    return parts[1] if parts[0] == "samestep" and len(parts) > 1 else parts[0]


@pytest.mark.parametrize("package", MAY_IMPORT)
def test_arrows_point_one_way(package: str) -> None:
    """No package imports one that stands on it."""
    forbidden = set(MAY_IMPORT) - MAY_IMPORT[package] - {package}
    found = list(imports(package))
    assert found
    assert not [(file, name) for file, name in found if name in forbidden]


def test_reference_imports_the_standard_library_alone() -> None:
    """Not even NumPy."""
    assert {name for _, name in imports("reference")} <= {"reference", *sys.stdlib_module_names}


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_frameworks_do_not_import_each_other(framework: str) -> None:
    """Neither each other's library nor each other's code."""
    used = {name for _, name in imports(f"frameworks/{framework}")}
    assert used & LIBRARIES <= FRAMEWORKS[framework]
    for path in (ROOT / "frameworks" / framework).glob("*.py"):
        others = [other for other in FRAMEWORKS if other != framework]
        assert not [
            o for o in others if f"from ..{o}" in path.read_text() or f"frameworks.{o} import" in path.read_text()
        ]


def test_frameworks_have_the_same_files() -> None:
    """A newcomer who knows one knows all; compiled steps and hooks are a matter of torch's, the barrier against
    compilers and the coefficients inside a graph are TensorFlow's; NumPy ships no optimizers and has a check of its
    own."""
    files = {name: {path.name for path in (ROOT / "frameworks" / name).glob("*.py")} for name in FRAMEWORKS}
    graphs = {"guarded.py", "coefficients.py"}
    assert files["pytorch"] - {"compiled_training.py", "hooks.py", "inductor.py", "stepper.py", "trace.py"} == files["tensorflow"] - graphs
    assert files["numpy"] - {"exactness.py"} == files["tensorflow"] - {*graphs, "native.py"}


def test_importing_the_reference_loads_no_array_library_and_takes_a_moment() -> None:
    """In a fresh interpreter, by what it leaves in sys.modules."""
    code = (
        "import sys, samestep.reference; print([m for m in sys.modules if m.split('.')[0] in set(sys.argv[1].split())])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, " ".join(LIBRARIES)],
        cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout == "[]\n"


def test_importing_the_torch_adapter_loads_no_tensorflow() -> None:
    """Its users need torch alone."""
    pytest.importorskip("torch", reason="PyTorch is not installed")
    code = "import sys, samestep.frameworks.pytorch; print('tensorflow' in sys.modules or 'keras' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout == "False\n"


TOLERANCES = {"rtol", "atol", "rel", "abs", "rel_tol", "abs_tol", "decimal", "places", "delta"}
APPROXIMATE = {"approx", "allclose", "isclose", "assert_allclose", "assert_almost_equal", "assert_close"}


def literal_tolerances(source: str) -> list[int]:
    """Lines that pass a literal tolerance or call something that has one built in."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call):
            name = getattr(node.func, "attr", getattr(node.func, "id", ""))
            named = any(keyword.arg in TOLERANCES for keyword in node.keywords)
            if name in APPROXIMATE or (named and name != "SimpleNamespace"):  # an ``xp`` has a function ``abs``
                found.append(node.lineno)
    return found


def test_no_tolerance_is_set_by_hand() -> None:
    """Not one in ``parity``: limits are derived."""
    assert literal_tolerances("np.allclose(a, b)\nf(x, rtol=1e-3)") == [1, 2]
    found = {path.name: literal_tolerances(path.read_text()) for path in (ROOT / "parity").rglob("*.py")}
    assert not {name: lines for name, lines in found.items() if lines}


def test_every_rule_has_all_that_a_rule_needs() -> None:
    """A case in the dialect of each framework that has a native for it, and at least five mutants."""
    plain = {**cases.PLAIN, **cases.MATRIX}
    assert list(plain) == [rule.__name__ for rule in RULES]
    for rule in RULES:
        name = rule.__name__
        homes = [
            home for home in ("pytorch", "keras") for native in dialects.find(home).NATIVES.values()
            if native.rule is rule
        ]  # fmt: skip
        assert [dialects.parse(call)[0] for call in plain[name]] == list(dict.fromkeys(homes))
        assert {type(dialects.read(call)) for call in plain[name]} == {rule}
        own = [mutant for mutant in wrong_rules.RULES if mutant.file == f"reference/{name.lower()}.py"]
        assert len(own) >= 5, f"{name} has {len(own)} mutants"


def test_rule_files_stay_short() -> None:
    """Docstring and all, a rule is read in a minute; Muon, which chooses between two, in a little more."""
    for rule in RULES:
        lines = len((ROOT / "reference" / f"{rule.__name__.lower()}.py").read_text().splitlines())
        assert lines <= (95 if rule is Muon else 70), f"{rule.__name__} has {lines} lines"
