"""The project keeps the structure of docs/architecture.md where no standard tool checks it.

Import-linter checks which folders import which: pyproject.toml, tests/test_installed.py.
"""

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from samestep import SEARCH_PATH as ROOT
from samestep.frameworks.experiment import process
from samestep.parity.measure import cases, wrong_rules
from samestep.reference import RULES, Muon, dialects

FOLDERS = ("reference", "frameworks", "parity", "migrate", "report", "bench", "samestep")
NOT_IN_THE_WHEEL = (
    "samestep.bench",
    "samestep.migrate.tests",
    "samestep.parity.tests",
    "samestep.parity.sensitivity",
)
FRAMEWORKS = ("numpy", "pytorch", "tensorflow")
LIBRARIES = ("numpy", "torch", "tensorflow", "keras", "jax", "scipy", "tf_keras", "optax", "onnx")


def sources(*folders: str) -> list[Path]:
    """The Python files under folders of the checkout; there is at least one in each."""
    files = []
    for folder in folders:
        inside = sorted((ROOT / folder).rglob("*.py"))
        assert inside, f"{folder} must hold Python files"
        files += inside
    return files


def imported(path: Path) -> Iterator[str]:
    """The full name of each module that a file imports, also inside functions."""
    package = ["samestep", *path.relative_to(ROOT).parent.parts]
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*above, *(node.module or "").split(".")]).strip(".")
            yield from (f"{module}.{alias.name}" for alias in node.names)


def is_within(module: str, *packages: str) -> bool:
    """True if the module is one of the packages, or lies in one of them."""
    return any(f"{module}.".startswith(f"{package}.") for package in packages)


def in_the_wheel(path: Path) -> bool:
    """True for a module that users install."""
    module = ".".join(["samestep", *path.relative_to(ROOT).with_suffix("").parts])
    return not is_within(module, *NOT_IN_THE_WHEEL)


def imports(files: list[Path], *packages: str) -> list[str]:
    """A line for each import of one of the packages in the files."""
    lines = []
    for path in files:
        modules = [module for module in imported(path) if is_within(module, *packages)]
        lines += [f"{path.relative_to(ROOT)} imports {module}" for module in modules]
    return lines


def test_imports_are_read_in_every_form() -> None:
    """Absolute, relative, and inside a function."""
    file = ROOT / "parity" / "tests" / "support" / "bits.py"
    assert imports([file], "samestep.frameworks.numpy")
    assert "samestep.parity.measure.cases" in set(imported(file))
    assert "samestep.reference.rule.Rule" in set(imported(ROOT / "reference" / "sgd.py"))
    assert not in_the_wheel(file)
    assert in_the_wheel(ROOT / "reference" / "sgd.py")


def test_installed_modules_import_nothing_that_stays_in_the_checkout() -> None:
    """Benchmarks, tests and planted wrong rules are not in the wheel."""
    installed = [path for path in sources(*FOLDERS[:5]) if in_the_wheel(path)]
    assert not imports(installed, *NOT_IN_THE_WHEEL)


def test_benchmarks_and_planted_rules_stand_alone() -> None:
    """Nothing imports the report; bench uses no test but their helpers, for it is run by pytest."""
    assert not imports(sources("bench"), "samestep.report", "samestep.parity.sensitivity")
    assert not imports(sources("parity/sensitivity"), "samestep.report", "samestep.bench")
    modules = {module for path in sources("bench") for module in imported(path)}
    tests = {module for module in modules if is_within(module, "samestep.parity.tests")}
    assert all(is_within(module, "samestep.parity.tests.support.require") for module in tests)


def test_folders_are_imported_as_parts_of_samestep() -> None:
    """A module called ``report`` or ``parity`` could be anybody's."""
    names = {path.name for path in (ROOT / "samestep").iterdir() if path.is_symlink()}
    assert not imports(sources(*FOLDERS, "tests", "examples"), *names)


def test_reference_imports_the_standard_library_alone() -> None:
    """Not even NumPy."""
    modules = {module for path in sources("reference") for module in imported(path)}
    roots = {
        module.split(".")[0] for module in modules if not is_within(module, "samestep.reference")
    }
    assert roots <= set(sys.stdlib_module_names)


@pytest.mark.parametrize("module", ["samestep.reference", "samestep.reference.dialects"])
def test_importing_the_reference_loads_no_array_library(module: str) -> None:
    """In a fresh interpreter, by what the import leaves in sys.modules."""
    assert not loaded_by(module) & set(LIBRARIES)


def test_importing_the_torch_adapter_loads_no_tensorflow() -> None:
    """Its users need torch alone."""
    pytest.importorskip("torch", reason="PyTorch is not installed")
    assert not loaded_by("samestep.frameworks.pytorch") & {"tensorflow", "keras"}


def loaded_by(module: str) -> set[str]:
    """The top-level packages that a fresh interpreter has loaded after it imported a module."""
    code = f"import sys, {module}; print(*{{name.split('.')[0] for name in sys.modules}})"
    ended = process.run_python(["-c", code])
    assert ended.code == 0, ended.message
    return set(ended.stdout.split())


def test_frameworks_have_the_same_files() -> None:
    """Who knows the files of one framework knows all; each exception belongs to one framework.

    PyTorch's are parameter groups, compiled steps and hooks. TensorFlow's are the barrier against
    compilers, the coefficients inside a graph, Keras' own options, the orientation of kernels, and
    what is excluded from weight decay. NumPy ships no optimizers, has no layers whose kernels lie
    otherwise, and checks that sums are exact.
    """
    files = {
        name: {path.name for path in (ROOT / "frameworks" / name).glob("*.py")}
        for name in FRAMEWORKS
    }
    tensorflow = files["tensorflow"] - {
        "guarded.py",
        "coefficients.py",
        "exclusions.py",
        "options.py",
        "orientation.py",
    }
    assert (
        files["pytorch"]
        - {
            "compiled_training.py",
            "groups.py",
            "hooks.py",
            "inductor.py",
            "recorded.py",
            "stepper.py",
            "tiered.py",
            "tiers.py",
            "trace.py",
        }
        == tensorflow
    )
    assert files["numpy"] - {"exactness.py"} == tensorflow - {"native.py", "frames.py"}


def test_files_of_tests_have_unique_names_and_no_package() -> None:
    """So pytest imports each by its own name, and two never stand for each other."""
    folders = ("parity/tests", "migrate/tests", "tests", "bench")
    files = [path for path in sources(*folders) if path.name.startswith("test_")]
    names = sorted(path.name for path in files)
    assert names == sorted(set(names))
    assert not [path for path in files if (path.parent / "__init__.py").exists()]


def test_tests_are_marked_with_the_rung_of_their_folder() -> None:
    """The report counts the tests of each rung by this mark."""
    files = [path for path in sources("parity/tests") if path.parent.name.startswith("rung")]
    assert files
    for path in files:
        if path.name.startswith("test_"):
            marks = set(re.findall(r"mark\.rung\((\d)\)", path.read_text()))
            assert marks == {path.parent.name[len("rung")]}, f"{path.name} has the marks {marks}"


def test_test_files_import_frameworks_by_one_module() -> None:
    """Which imports PyTorch first and skips where one is absent: support/frameworks.py."""
    folders = ("parity/tests", "migrate/tests")
    files = [path for path in sources(*folders) if path.name.startswith("test_")]
    frameworks = ("torch", "tensorflow", "keras")
    lines = []
    for path in files:
        for node in ast.parse(path.read_text()).body:
            names = [
                alias.name for alias in getattr(node, "names", []) if isinstance(node, ast.Import)
            ]
            names += [str(node.module)] if isinstance(node, ast.ImportFrom) else []
            lines += [f"{path.name}: {name}" for name in names if is_within(name, *frameworks)]
    assert not lines
    late = re.compile(r"^(import|from) .*noqa: E402", re.MULTILINE)
    assert not [path.name for path in files if late.search(path.read_text())]


TOLERANCES = {"rtol", "atol", "rel", "abs", "rel_tol", "abs_tol", "decimal", "places", "delta"}
APPROXIMATE = {
    "approx",
    "allclose",
    "isclose",
    "assert_allclose",
    "assert_almost_equal",
    "assert_close",
}


def literal_tolerances(source: str) -> list[int]:
    """Lines that pass a literal tolerance or call a function that has one built in."""
    lines = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call):
            name = getattr(node.func, "attr", getattr(node.func, "id", ""))
            named = any(keyword.arg in TOLERANCES for keyword in node.keywords)
            # A namespace of functions has one that is called ``abs``.
            if name in APPROXIMATE or (named and name != "SimpleNamespace"):
                lines.append(node.lineno)
    return lines


def test_no_tolerance_is_set_by_hand() -> None:
    """Not one in ``parity`` and ``migrate``: limits are derived."""
    assert literal_tolerances("np.allclose(a, b)\nf(x, rtol=1e-3)") == [1, 2]
    files = sources("parity", "migrate")
    lines = {str(path): literal_tolerances(path.read_text()) for path in files}
    assert not {path: numbers for path, numbers in lines.items() if numbers}


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_every_rule_has_its_cases(rule: type) -> None:
    """A call in the dialect of each framework that has it, and at least five wrong rules."""
    plain = {**cases.PLAIN, **cases.MATRIX}
    assert list(plain) == [each.__name__ for each in RULES]
    name = rule.__name__
    homes = [
        home
        for home in ("pytorch", "keras")
        if any(native.rule is rule for native in dialects.find(home).natives.values())
    ]
    assert [dialects.parse(call)[0] for call in plain[name]] == homes
    assert {type(dialects.read(call)) for call in plain[name]} == {rule}
    file = f"reference/{name.lower()}.py"
    wrong = [patch for patch in wrong_rules.RULES if patch.file == file]
    assert len(wrong) >= 5, f"{name} must have five wrong rules, but has {len(wrong)}"


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_rule_files_stay_short(rule: type) -> None:
    """A rule is read in a minute; Muon, which chooses between two rules, takes a little longer."""
    lines = (ROOT / "reference" / f"{rule.__name__.lower()}.py").read_text().splitlines()
    assert len(lines) <= (150 if rule is Muon else 110)
