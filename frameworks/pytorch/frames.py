"""Views of torch's parameters: Keras' frame of each, and the tensor in that frame."""

import math
import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch

from samestep.reference import Adafactor, Epsilon, Rule
from samestep.reference.checks import require
from samestep.reference.conventions import frames
from samestep.reference.views import View

SHOWN = 6  # names in a warning

Plain = dict[str, list[int]] | None


def views(model: Any) -> dict[str, View]:
    """Keras' frame of each parameter of a torch model that lies otherwise there.

    For ``Optimizer(model.named_parameters(), rule, views=views(model))``, so that Adafactor, Muon
    and LAMB take the steps that they take in Keras. Found from the class of each module. Keys are
    the names of the parameters. Warns of parameters with several axes in modules that are not
    known; give those a view by hand: ``{**views(model), "mine.weight": (1, 0)}``.
    """
    require("model", model, torch.nn.Module, "a torch.nn.Module")
    seen: dict[str, View] = {}
    done: set[str] = set()
    strange = []
    for prefix, module in model.named_modules():
        for name, parameter in _parameters_of(module):
            full = f"{prefix}.{name}" if prefix else name
            if full in done:
                continue
            done.add(full)
            known, view = _view(module, name, tuple(parameter.shape))
            if view is not None:
                seen[full] = view
            if not known:
                strange.append(full)
    if strange:
        more = f" and {len(strange) - SHOWN} more" if len(strange) > SHOWN else ""
        warnings.warn(
            f"no view is known for {', '.join(strange[:SHOWN])}{more}, whose modules are not known "
            "or whose weights Keras keeps in parts; the rule sees them as they are stored. If they "
            "lie otherwise in Keras, add views by name: {**views(model), name: (1, 0)}",
            stacklevel=2,
        )
    return seen


def _parameters_of(module: Any) -> Iterator[tuple[str, Any]]:
    """The module's own parameters; attention speaks for its last layer, too."""
    yield from module.named_parameters(recurse=isinstance(module, torch.nn.MultiheadAttention))


def _view(module: Any, name: str, shape: tuple[int, ...]) -> tuple[bool, View | None]:
    """Whether the module is known, and the parameter's view if it lies otherwise in Keras."""
    if len(shape) < 2:
        return True, None
    if isinstance(module, torch.nn.MultiheadAttention):
        view = frames.of_heads_in_pytorch(name, shape, module.num_heads)
        return view is not None, view
    for kind in _kinds(module):
        if kind in frames.PYTORCH_ALIKE:
            return True, None
        if any(name == own or name.startswith(f"{own}_l") for own in frames.PYTORCH.get(kind, ())):
            inputs = getattr(module, "groups", 1)
            if inputs > 1 and inputs == module.in_channels and not module.transposed:
                return True, frames.of_depthwise_in_pytorch(shape, inputs)
            return True, View(frames.TO_KERAS[len(shape)])
    return False, None


def _kinds(module: Any) -> Iterator[str]:
    """The names of the classes of torch that the module is of."""
    for kind in type(module).__mro__:
        if kind.__module__.partition(".")[0] == "torch":
            yield kind.__name__


def plain_views(group: Mapping[str, Any], views: Mapping[str, View]) -> list[Plain]:
    """The view of each parameter of a group, as a group keeps them.

    ValueError if the parameters have no names, and if a view does not fit its parameter.
    """
    names = group.get("param_names")
    if names is None and views:
        raise ValueError(
            "views go by names: params must be model.named_parameters(), got parameters alone"
        )
    plain: list[Plain] = []
    for name, theta in zip(names or [""] * len(group["params"]), group["params"], strict=True):
        view = views.get(name)
        plain.append(view.to_plain() if view else None)
        if view:
            try:
                in_frame(theta, view)
            except (ValueError, RuntimeError) as error:
                raise ValueError(
                    f"{name}: a view must fit its parameter's memory: {error}"
                ) from error
    return plain


def warn_of_vain(views: Mapping[str, View], groups: Sequence[Mapping[str, Any]]) -> None:
    """Warn of views for no parameter of the groups."""
    names: list[str] = []
    for group in groups:
        names.extend(group.get("param_names", ()))
    vain = [repr(name) for name in views if name not in names]
    if vain:
        warnings.warn(
            f"views must name parameters of the optimizer; {', '.join(vain[:SHOWN])} "
            f"{'is' if len(vain) == 1 else 'are'} none of {', '.join(names[:SHOWN])}",
            stacklevel=3,
        )


def warn_of_layout(rule: Rule, groups: Sequence[Mapping[str, Any]]) -> None:
    """Warn, for the first convolution that Keras' Adafactor sees otherwise, with both shapes.

    Keras and the paper add epsilon1 to squares, PyTorch takes it as a floor: by that the rule is
    known to be Keras' kind. A tensor of four or five dimensions counts as a convolution's, one of
    three if its name is that of a weight.
    """
    if not isinstance(rule, Adafactor) or rule.epsilon1_at is not Epsilon.INSIDE:
        return
    shapes: list[tuple[int, ...]] = []
    for group in groups:
        names = group.get("param_names") or [""] * len(group["params"])
        for name, x in zip(names, group["params"], strict=True):
            if x.ndim in (4, 5) or (x.ndim == 3 and name.rpartition(".")[2] == "weight"):
                shapes.append(tuple(x.shape))
    if not shapes:
        return
    here = shapes[0]
    there = View(frames.TO_KERAS[len(here)]).shape_of(here)
    more = f" The same holds for {len(shapes) - 1} more." if len(shapes) > 1 else ""
    warnings.warn(
        "Adafactor takes means over rows and columns of the last two dimensions. A weight of shape "
        f"{here} is {_matrices(here)} here, and {_matrices(there)} in Keras if it is a "
        "convolution's, so the steps differ; for Keras' steps give Optimizer("
        "model.named_parameters(), rule, views=samestep.frameworks.pytorch.views(model)), and "
        f"views={{}} to see it as it is stored.{more}",
        stacklevel=3,
    )


def _matrices(shape: Sequence[int]) -> str:
    return f"{math.prod(shape[:-2])} matrices of {shape[-2]} x {shape[-1]}"


def views_of(group: Mapping[str, Any]) -> Sequence[View | None]:
    """The view of each parameter of a group."""
    plain = group.get("views")
    if plain is None:
        return [None] * len(group["params"])
    return [None if view is None else View.from_plain(view) for view in plain]


def in_frame(theta: torch.Tensor, view: View | None) -> torch.Tensor:
    """The tensor as the rule sees it, in the same memory.

    RuntimeError if the frame is none of the same memory, as torch says it.
    """
    if view is None:
        return theta
    view.shape_of(theta.shape)
    start = theta if view.split is None else theta.view(view.split)
    permuted = start.permute(view.axes)
    return permuted if view.joined is None else permuted.view(view.joined)


def copied_to_frame(gradient: torch.Tensor, view: View | None) -> torch.Tensor:
    """As ``in_frame``, in memory of its own where it must be."""
    if view is None:
        return gradient
    start = gradient.reshape(view.split_of(gradient.shape)).permute(view.axes)
    return start if view.joined is None else start.reshape(view.joined)
