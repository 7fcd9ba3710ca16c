"""Where compiling a step fails, the line that is said and the way that is left depend on what is at fault."""

import pytest

from parity.require import require

require("torch")

from frameworks.pytorch import compiled  # noqa: E402

FAULTS = {
    "InvalidCxxCompiler: none\nand more": ("each", r"steps are eager, for no C\+\+ compiler works here: {}; install g"),
    "CppCompileError: none\nand more": ("each", r"steps are eager, for no C\+\+ compiler works here: {}; install g"),
    "no such operator\nand more": ("_publicly", "go by torch.compile, for the faster way failed: RuntimeError: {}$"),
}


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.partition("\n")[0])
def test_a_fault_is_told_by_its_first_line(fault: str) -> None:
    """Without a C++ compiler steps are eager; after any other fault the public compiler takes them."""
    way, told = FAULTS[fault]
    stepper = compiled.Stepper(lambda *parts: None)
    compiled._warn.cache_clear()
    with pytest.warns(UserWarning, match=told.format(fault.partition("\n")[0])):
        assert stepper._without(RuntimeError(fault)) == getattr(stepper, way)
