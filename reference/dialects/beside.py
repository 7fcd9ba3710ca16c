"""What stands beside an optimizer of PyTorch in a script: clipping, schedulers and averages."""

import ast
from collections.abc import Sequence
from typing import Any, NamedTuple

from samestep.reference.parts import Average, Clipping, Schedule

from . import parts
from .binding import by_name, value_of
from .call import Call
from .libraries import canonical
from .positions import Order
from .values import Names, Variable

CLIPPING = {  # the functions of torch.nn.utils, and the order of their arguments
    "clip_grad_norm_": ("parameters", "max_norm", "norm_type", "error_if_nonfinite", "foreach"),
    "clip_grad_value_": ("parameters", "clip_value", "foreach"),
}
AVERAGES = ("model", "device", "avg_fn", "multi_avg_fn", "use_buffers")  # of AveragedModel
FIRST = ("parameters", "optimizer", "model", "last_epoch", "verbose", "device", "use_buffers")


class Beside(NamedTuple):
    """A call beside the optimizer: its module, its name, its arguments, and what stands there."""

    module: str
    name: str
    arguments: dict[str, Any]
    source: str

    def read(self, lr: float) -> dict[str, Clipping | Schedule | Average]:
        """The part that the call means, under the name of its kind; ``lr`` is the optimizer's.

        ValueError for a mistake in the call and for a variable in it; Inexpressible for what no
        part describes.
        """
        for name, value in self.arguments.items():
            if isinstance(value, Variable):
                raise ValueError(
                    f"{name}={value} of {self.name} is a variable, and the text does not say its "
                    "value; write the value in its place"
                )
        if self.module == "torch.nn.utils":
            return {"clipping": parts.pytorch.read_clipping(self.name, **self.arguments)}
        if self.module == "torch.optim.lr_scheduler":
            schedule = parts.pytorch.read_schedule(self.name, lr=lr, **self.arguments)
            return {"schedule": schedule}
        name, settings = self.arguments.get("avg_fn") or ("", {})
        return {"average": parts.pytorch.read_average(name, **settings)}


def read_beside(node: ast.expr, names: Names) -> Beside | None:
    """A call that stands beside an optimizer of PyTorch; None for any other expression.

    Its arguments are by name, without the optimizer, the model or the parameters.
    """
    if not isinstance(node, ast.Call):
        return None
    module, name = _located(node, names)
    order = _order(module, name)
    if order is None:
        schedules = module == "torch.optim.lr_scheduler"
        return Beside(module, name, {}, ast.unparse(node)) if schedules else None
    nodes = by_name(module, name, node, order)
    values = {key: _value(each, names) for key, each in nodes.items() if key not in FIRST}
    if "multi_avg_fn" in values:
        values["avg_fn"] = values.pop("multi_avg_fn")
    return Beside(module, name, values, ast.unparse(node))


def _located(call: ast.Call, names: Names) -> tuple[str, str]:
    """The module and the name of what is called; for PyTorch's own names also without an import."""
    module, _, name = canonical(names.path(call.func)).rpartition(".")
    if not module and name in CLIPPING:
        return "torch.nn.utils", name
    if not module and name in parts.pytorch.SCHEDULERS:
        return "torch.optim.lr_scheduler", name
    if not module and (name == "AveragedModel" or name.endswith("_avg_fn")):
        return "torch.optim.swa_utils", name
    return module, name


def _value(node: ast.expr, names: Names) -> Any:
    """A value; for ``get_ema_avg_fn(0.99)`` its name and arguments, for schedulers their calls."""
    if isinstance(node, ast.List | ast.Tuple) and node.elts:
        schedulers = [read_beside(each, names) for each in node.elts]
        calls = [Call(each.name, each.arguments) for each in schedulers if each]
        if len(calls) == len(schedulers):
            return calls
    if isinstance(node, ast.Call):
        module, name = _located(node, names)
        if module == "torch.optim.swa_utils":
            nodes = by_name(module, name, node, Order(("decay",)))
            return name, {key: value_of(each, names) for key, each in nodes.items()}
    return value_of(node, names)


def scheduler_order(name: str) -> tuple[str, ...]:
    """The arguments of a scheduler of torch.optim.lr_scheduler as its signature has them."""
    if name == "ChainedScheduler":
        return ("schedulers", "optimizer")
    return ("optimizer", *parts.pytorch.SCHEDULERS[name], "last_epoch")


def _order(module: str, name: str) -> Order | None:
    if module == "torch.nn.utils" and name in CLIPPING:
        return Order(CLIPPING[name])
    if module == "torch.optim.swa_utils" and name == "AveragedModel":
        return Order(AVERAGES)
    if module == "torch.optim.lr_scheduler" and name in parts.pytorch.SCHEDULERS:
        return Order(scheduler_order(name))
    return None


def read_parts(calls: Sequence[Beside], lr: float) -> dict[str, Any]:
    """The parts of several calls, by the name of their kind; ValueError for two of one kind."""
    read: dict[str, Any] = {}
    for call in calls:
        for name, part in call.read(lr).items():
            if name in read:
                raise ValueError(f"the text must have one {name}, got {call.source} as well")
            read[name] = part
    return read
