"""One training step of a PyTorch model with every call recorded.

Nothing is attached to the model: module calls are seen by global hooks, function calls by a
``TorchFunctionMode``. A value and a gradient may be put in place of a call's own.
"""

import contextlib
import inspect
import traceback
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import nn
from torch.nn.modules import module as global_hooks
from torch.overrides import TorchFunctionMode

from . import kinds
from .exchange import Exchange
from .kinds import Kind
from .record import Call, Step, shared_uniform
from .shared import (
    Batch,
    LeavesDtype,
    MaskLayout,
    PairError,
    Putting,
    described,
    in_order,
    named_leaves,
    no_layout,
    nothing,
    structure_of,
    users_code,
)

SETTINGS = (
    "eps", "momentum", "affine", "training", "p", "negative_slope", "approximate", "alpha",
    "stride", "padding", "dilation", "groups", "kernel_size", "count_include_pad", "ceil_mode",
    "output_padding", "num_heads", "padding_idx", "track_running_stats", "inplace", "beta",
    "threshold", "mode", "scale_factor", "align_corners", "padding_mode", "num_groups", "dim",
    "normalized_shape", "in_features", "out_features",
)  # fmt: skip
RECURRENT = {"lstm": "lstm", "gru": "gru", "rnn_tanh": "rnn", "rnn_relu": "rnn"}  # kinds, by call
DTYPES = {"float64": torch.float64, "float32": torch.float32}


class _PutIn(torch.autograd.Function):
    """An identity that hands on another value, and on the way back another gradient."""

    @staticmethod
    def forward(ctx: Any, tensor: Any, put: Any, note: Any) -> Any:
        """The value that was put in, or the tensor's own."""
        ctx.put, ctx.note = put, note
        if put.output is None:
            return tensor.clone()
        return torch.from_numpy(np.array(put.output)).to(tensor.dtype)

    @staticmethod
    def backward(ctx: Any, gradient: Any) -> Any:
        """Note the gradient that arrives; hand on the one that was put in."""
        ctx.note(gradient)
        own = ctx.put.gradient
        if own is None:
            return gradient, None, None
        return torch.from_numpy(np.array(own)).to(gradient.dtype), None, None


def kind_of(module: nn.Module) -> Kind | None:
    """The kind of a module by the nearest class of torch.nn above it; None for a container.

    An embedding with a ``forward`` of its own, such as a scaled one, is looked into.
    """
    if isinstance(module, nn.modules.dropout._DropoutNd) and module.p == 0:
        return Kind("identity")
    for base in type(module).__mro__:
        known = kinds.PYTORCH.get(base.__name__)
        if known and base.__module__.startswith("torch.nn."):
            does_more = known.kind == "embedding" and _forward_of(type(module)) is not _forward_of(
                base
            )
            return None if does_more else known
    if isinstance(module, nn.RNNBase) or any(True for _ in module.children()):
        return None
    return Kind(kinds.UNKNOWN, type(module).__name__)


def _forward_of(kind: Any) -> Any:
    return kind.forward


class Recorder(TorchFunctionMode):
    """Writes every call of a model into ``step.calls`` while it is entered."""

    def __init__(self, side: "PytorchSide", step: Step, put: Putting | None, masks: int) -> None:
        super().__init__()
        self.side = side
        model = self.model = side.model
        self.step = step
        self.put = put
        self.masks = masks
        self.step_dtype = DTYPES[side.dtype]
        self.modules = {module: name for name, module in model.named_modules()}
        self.parameters = {id(tensor): name for name, tensor in named_tensors(model)}
        self.depth = 0  # of modules whose inner functions are not looked at
        self.open: list[Call] = []
        self.counts: dict[str, int] = {}
        self.dropouts = 0

    def __enter__(self) -> Any:
        """Start to record."""
        self.handles = [
            global_hooks.register_module_forward_pre_hook(self._enter_module),
            global_hooks.register_module_forward_hook(self._leave_module),
        ]
        return super().__enter__()

    def __exit__(self, *error: Any) -> Any:
        """Stop to record."""
        for handle in self.handles:
            handle.remove()
        return super().__exit__(*error)

    def _recorded(self, module: nn.Module) -> Kind | None:
        if module not in self.modules:
            return None
        kind = kind_of(module)
        if kind and kind.kind == kinds.UNKNOWN and module is self.model:
            return None
        return kind

    def _enter_module(self, module: nn.Module, inputs: Any) -> None:
        kind = self._recorded(module)
        if kind is None:
            return
        if not self.depth:
            name = self.modules[module] or type(module).__name__
            call = self._begin(kind, name, inputs)
            call.parameters = {
                role: self.parameters[id(tensor)]
                for role, tensor in named_tensors(module)
                if id(tensor) in self.parameters
            }
            call.settings = settings_of(module)
            self.open.append(call)
            self._announce(call)
        if kind.kind != kinds.UNKNOWN:
            self.depth += 1

    def _leave_module(self, module: nn.Module, inputs: Any, output: Any) -> Any:
        kind = self._recorded(module)
        if kind is None:
            return None
        if kind.kind != kinds.UNKNOWN:
            self.depth -= 1
        if self.depth:
            return None
        call = self.open.pop()
        if call.kind == "dropout" and module.training:
            output = self._drop(call, inputs[0], float(module.p))
        return self._end(call, output)

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Record a function call outside of known modules."""
        name = getattr(func, "__name__", "")
        args, kwargs = self._widened(args), self._widened(kwargs or {})
        if name == "float":
            return args[0].to(self.step_dtype)
        if name in RECURRENT and not self.depth and _is_padded(args):
            return self._recurrent(func, name, args)
        known = kinds.PYTORCH.get(name)
        if self.depth or known is None or not _has_tensor(args):
            return func(*args, **kwargs)
        tensors = [tensor for tensor in (*args, *kwargs.values()) if torch.is_tensor(tensor)]
        own = [self.parameters[id(t)] for t in tensors if id(t) in self.parameters]
        call = self._begin(known, f"{name}({', '.join(own)})" if own else f"{name}()", args)
        roles = ("weight", "bias") if known.kind in _WEIGHTED else tuple(map(str, range(len(own))))
        call.parameters = dict(zip(roles, own, strict=False))
        call.where = _call_site()
        call.settings = {
            key: value
            for key, value in kwargs.items()
            if isinstance(value, int | float | str | bool)
        }
        self._announce(call)
        if known.kind == "dropout" and kwargs.get("training", True):
            rate = kwargs.get("p", args[1] if len(args) > 1 else 0.5)
            call.settings["p"] = float(rate)
            if rate:
                return self._end(call, self._drop(call, args[0], float(rate)))
        place = self.counts.get(call.owner, 0) + 1
        exchanged = self.side.functions.get(f"{call.owner}#{place}" if place > 1 else call.owner)
        func = getattr(exchanged, "forward", func)
        return self._end(call, func(*args, **kwargs))

    def _widened(self, values: Any) -> Any:
        """Arguments with float32, where the user's code names it, as the model's own dtype."""
        if isinstance(values, dict):
            return {key: self._widened(value) for key, value in values.items()}
        if type(values) is tuple:
            return tuple(self._widened(value) for value in values)
        return self.step_dtype if values is torch.float32 else values

    def _recurrent(self, func: Any, name: str, args: Any) -> Any:
        """One call of each layer and direction of what torch computes at once."""
        x, start, weights, biased, layers, rate, train, both_ways, batch_first = args
        if rate and train and layers > 1:
            raise PairError(
                f"dropout inside {name.upper()} cannot have the same masks on both sides; set its "
                "dropout to 0 for this comparison"
            )
        directions = 2 if both_ways else 1
        share = len(weights) // (layers * directions)
        ends: list[list[Any]] = []
        for layer in range(layers):
            outputs = []
            for direction in range(directions):
                number = layer * directions + direction
                own = list(weights[number * share : (number + 1) * share])
                states = [state[number : number + 1] for state in _listed(start)]
                job = _Direction(func, name, own, states, (biased, train, batch_first))
                output, last = self._one_direction(job, x, bool(direction))
                outputs.append(output)
                ends.append(last)
            x = torch.cat(outputs, -1) if both_ways else outputs[0]
        stacked = [torch.cat([end[number] for end in ends]) for number in range(len(ends[0]))]
        return (x, *stacked)

    def _one_direction(self, job: "_Direction", x: Any, reverse: bool) -> tuple[Any, list[Any]]:
        biased, train, batch_first = job.flags
        time = 1 if batch_first else 0
        names = [self.parameters[id(weight)] for weight in job.weights]
        end = names[0].rpartition(".weight_ih")[2]
        owner = f"{names[0].rpartition('.')[0]}{end.replace('_', '.', 1)}"
        call = self._begin(Kind(RECURRENT[job.name]), owner, [x])
        roles = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        call.parameters = dict(zip(roles, names, strict=False))
        call.settings = {"reverse": reverse, "batch_first": bool(batch_first)}
        self._announce(call)
        start = tuple(job.states) if job.name == "lstm" else job.states[0]
        given = x.flip(time) if reverse else x
        output, *last = job.function(
            given, start, job.weights, biased, 1, 0.0, train, False, batch_first
        )
        output = self._end(call, output)
        last[0] = output.select(time, -1)[None]  # so that its gradient arrives at the output
        return (output.flip(time) if reverse else output), last

    def _drop(self, call: Call, x: Any, rate: float) -> Any:
        """Dropout with a mask that both sides draw, in the layout of the other side."""
        layout = self.side.mask_layout(call)
        shape, carry = layout if layout else (tuple(x.shape), np.asarray)
        uniform = carry(shared_uniform(self.masks * 4096 + self.dropouts, shape))
        self.dropouts += 1
        scale = (uniform >= rate) / (1 - rate) if rate < 1 else np.zeros(x.shape)
        return x * torch.from_numpy(np.asarray(scale)).to(x.dtype)

    def _begin(self, kind: Kind, owner: str, inputs: Any) -> Call:
        arrays = [
            array_of(tensor)
            for tensor in _tensors(inputs)
            if id(tensor) not in self.parameters and tensor.dtype != torch.bool
        ]
        return Call(-1, owner, owner, *kind, inputs=arrays)

    def _announce(self, call: Call) -> None:
        if call.kind not in kinds.LAYOUT:
            self.side.before(call)

    def _end(self, call: Call, output: Any) -> Any:
        tensor = output[0] if isinstance(output, tuple | list) and output else output
        if call.kind in kinds.LAYOUT or not torch.is_tensor(tensor):
            return output
        if not tensor.is_floating_point():
            return output
        count = self.counts[call.owner] = self.counts.get(call.owner, 0) + 1
        call.name = f"{call.owner}#{count}" if count > 1 else call.owner
        call.index = len(self.step.calls)
        call.output = array_of(tensor)
        self.step.calls.append(call)

        def note(gradient: Any) -> None:
            call.gradient = array_of(gradient)

        put = self.put(call) if self.put else None
        if put is not None:
            tensor = _PutIn.apply(tensor, put, note)
        elif tensor.requires_grad:
            tensor.register_hook(note)
        if isinstance(output, tuple | list):
            return type(output)([tensor, *output[1:]]) if type(output) in (tuple, list) else output
        return tensor


class _Direction(NamedTuple):
    """A layer and direction of a recurrent module."""

    function: Any
    name: str
    weights: list[Any]
    states: list[Any]
    flags: tuple[bool, bool, bool]


_WEIGHTED = ("linear", "conv", "convt", "ln", "gn", "rms", "embedding", "prelu", "bn")


def _is_padded(args: Any) -> bool:
    """False for packed sequences, which are not taken apart."""
    return len(args) == 9 and isinstance(args[3], bool)


def _listed(states: Any) -> list[Any]:
    return list(states) if isinstance(states, tuple | list) else [states]


def _has_tensor(args: Any) -> bool:
    return any(True for _ in _tensors(args))


def _tensors(values: Any) -> Iterator[Any]:
    for value in values:
        if isinstance(value, tuple | list):
            yield from _tensors(value)
        elif torch.is_tensor(value):
            yield value


def _call_site() -> str:
    """File and line of the user's code that is running."""
    frames = traceback.extract_stack(limit=16)
    outside = [f for f in frames if "/torch/" not in f.filename and "/pair/in_" not in f.filename]
    return f"{outside[-1].filename.rsplit('/', 1)[-1]}:{outside[-1].lineno}" if outside else ""


def array_of(tensor: Any) -> np.ndarray:
    """A copy of the tensor, sparse ones made dense."""
    plain = tensor.detach().cpu()
    plain = plain.to_dense() if plain.layout is not torch.strided else plain
    return (
        (plain.float() if plain.dtype in (torch.float16, torch.bfloat16) else plain).numpy().copy()
    )


def named_tensors(module: nn.Module) -> list[tuple[str, Any]]:
    """Float parameters and buffers by name."""
    named = [*module.named_parameters(), *module.named_buffers()]
    return [(name, tensor) for name, tensor in named if tensor.is_floating_point()]


def settings_of(module: nn.Module) -> dict[str, Any]:
    """The plain values among the known attributes of a module."""
    settings: dict[str, Any] = {}
    for name in SETTINGS:
        if not hasattr(module, name):
            continue
        value = getattr(module, name)
        if isinstance(value, tuple) and all(isinstance(each, int) for each in value):
            settings[name] = list(value)
        elif value is None or isinstance(value, int | float | str | bool):
            settings[name] = value
    return settings


class Function:
    """Stands for a call of a function; a ``forward`` that is set runs in its place."""

    training = True


class PytorchSide:
    """A PyTorch model with its loss, ready to run steps."""

    name = "pytorch"

    def __init__(self, model: nn.Module, loss: Callable[..., Any], dtype: str = "float64") -> None:
        self.dtype = dtype
        self.model = model.to(DTYPES[dtype]).train()
        self.loss = loss
        self.before: Callable[[Call], None] = nothing  # called before a recorded layer runs
        self.mask_layout: MaskLayout = no_layout
        self.output_gradients: Callable[[int, np.ndarray], np.ndarray | None] | None = None
        self.output_order: list[str] = []  # of the names of outputs, as the other side has them
        self.ignores_added_losses = False  # PyTorch's layers have none
        self.forward_only = False  # True while the map is looked for
        self.attention_is_whole = True
        self.functions: dict[str, Function] = {}  # those of which something is exchanged
        refuse_random(self.model)

    @property
    def trained(self) -> list[str]:
        """The names of the parameters that want a gradient."""
        return [name for name, p in self.model.named_parameters() if p.requires_grad]

    @property
    def buffers(self) -> list[str]:
        """The names of the float buffers."""
        return [name for name, t in self.model.named_buffers() if t.is_floating_point()]

    def state(self) -> dict[str, np.ndarray]:
        """A copy of every float parameter and buffer by name."""
        return {name: array_of(tensor) for name, tensor in named_tensors(self.model)}

    @torch.no_grad()
    def load(self, state: dict[str, np.ndarray]) -> None:
        """Set those float parameters and buffers that ``state`` has."""
        for name, tensor in named_tensors(self.model):
            if name in state:
                tensor.copy_(torch.from_numpy(np.array(state[name])))

    def build(self, batch: Batch) -> None:
        """PyTorch's parameters exist from the start."""

    def require_dtype(self) -> None:
        """The model was made of this dtype."""

    def layer_of(self, call: Call) -> Any:
        """The live module of a call, or a stand-in of a function, whose ``forward`` may be set."""
        if call.owner.endswith(")"):
            return self.functions.setdefault(call.name, Function())
        return dict(self.model.named_modules()).get(call.owner)

    def known_differences(self, in_pytorch: Call, in_keras: Call, layer: Any) -> Iterator[Exchange]:
        """What could make a module the same as Keras' layer."""
        from .exchanges_in_pytorch import exchanges_for

        return exchanges_for(in_pytorch, in_keras, layer)

    def run(self, batch: Batch, put: Putting | None = None, masks: int = 0) -> Step:
        """Forward and backward pass. ``masks`` chooses the masks of dropout."""
        step = Step(before=self.state())
        self.model.zero_grad(set_to_none=True)
        inputs = self._tensors_of(batch.inputs, watched=True)
        copies = [array_of(tensor) for tensor in _all_tensors(inputs)]
        targets = self._tensors_of(batch.targets)
        with _default_dtype(DTYPES[self.dtype]), torch.enable_grad():
            with (
                Recorder(self, step, put, masks),
                users_code("the PyTorch model's forward pass"),
            ):
                output = _call(self.model, inputs)
            for copy, tensor in zip(copies, _all_tensors(inputs), strict=True):
                if not np.array_equal(copy, array_of(tensor), equal_nan=True):
                    raise PairError(
                        "the PyTorch model changes its input in place, so a second pass would see "
                        "another input; let forward() work on a copy (x = x.clone())"
                    )
            output = self._note_outputs(step, output)
            if self.forward_only:
                return step
            rest = [self._tensors_of(batch.weights)] if batch.weights is not None else []
            with users_code("the PyTorch loss"):
                loss = _one_number(self.loss(output, targets, *rest))
                loss.backward()
        step.loss = loss.item()
        step.gradients = {
            name: array_of(p.grad)
            for name, p in self.model.named_parameters()
            if p.grad is not None
        }
        step.after_forward = self.state()
        for call in step.calls:
            if self.dtype == "float64" and call.output.dtype != np.float64:
                raise LeavesDtype(
                    f"the PyTorch model must run in float64 for the comparison, but {call.name} "
                    f"gives {call.output.dtype}; take explicit casts such as .float() out of it"
                )
        return step

    def free_loss(self, batch: Batch, masks: int) -> float:
        """The loss of a plain forward pass, with the masks of dropout that both sides draw."""
        rest = [self._tensors_of(batch.weights)] if batch.weights is not None else []
        with _default_dtype(DTYPES[self.dtype]), torch.no_grad():
            with Recorder(self, Step(), None, masks):
                output = _call(self.model, self._tensors_of(batch.inputs))
            return _one_number(self.loss(output, self._tensors_of(batch.targets), *rest)).item()

    def _note_outputs(self, step: Step, output: Any) -> Any:
        """Note the outputs, and give the loss copies, whose gradient is that of the loss alone."""
        named = named_leaves(output, torch.is_tensor)
        floating = [(name, tensor) for name, tensor in named if tensor.is_floating_point()]
        floating = in_order(floating, self.output_order)
        tensors = [tensor for _, tensor in floating]
        step.output_names = [name for name, _ in floating]
        step.structure = structure_of(step.output_names)
        step.outputs = [array_of(tensor) for tensor in tensors]
        step.output_gradients = [None] * len(tensors)
        copies = {}
        for number, tensor in enumerate(tensors):
            if tensor.requires_grad:
                put = None
                if self.output_gradients:
                    put = self.output_gradients(number, step.outputs[number])
                copies[id(tensor)] = tensor.clone()
                copies[id(tensor)].register_hook(_noting(step, number, put))
        return _replaced(output, copies)

    def _tensors_of(self, tree: Any, watched: bool = False) -> Any:
        if isinstance(tree, dict):
            return {key: self._tensors_of(each, watched) for key, each in tree.items()}
        if isinstance(tree, list | tuple):
            return [self._tensors_of(each, watched) for each in tree]
        if tree is None:
            return None
        tensor = torch.from_numpy(np.array(tree))
        if not tensor.is_floating_point():
            return tensor
        tensor = tensor.to(DTYPES[self.dtype])
        return tensor.requires_grad_().clone() if watched else tensor


def _noting(step: Step, number: int, put: np.ndarray | None) -> Callable[[Any], Any]:
    """A hook that notes the gradient of an output, and hands on the one that was put in."""

    def note(gradient: Any) -> Any:
        step.output_gradients[number] = array_of(gradient)
        return None if put is None else torch.from_numpy(np.array(put)).to(gradient.dtype)

    return note


def _one_number(loss: Any) -> Any:
    if not torch.is_tensor(loss) or loss.numel() != 1:
        raise PairError(f"the PyTorch loss must return one number, got {described(loss)}")
    return loss


def _replaced(tree: Any, copies: dict[int, Any]) -> Any:
    """The outputs of a model with copies in place of tensors; other objects stay as they are."""
    if torch.is_tensor(tree):
        return copies.get(id(tree), tree)
    if type(tree) is dict:
        return {key: _replaced(each, copies) for key, each in tree.items()}
    if type(tree) in (list, tuple):
        return type(tree)([_replaced(each, copies) for each in tree])
    if isinstance(tree, tuple) and hasattr(tree, "_fields"):
        return type(tree)(*(_replaced(each, copies) for each in tree))
    if hasattr(tree, "items") and hasattr(tree, "__setitem__"):
        for key, each in list(tree.items()):
            tree[key] = _replaced(each, copies)
    return tree


def _call(model: Any, inputs: Any) -> Any:
    if isinstance(inputs, dict):
        return model(**inputs) if _takes_keywords(model, inputs) else model(inputs)
    return model(*inputs) if isinstance(inputs, list) else model(inputs)


def _takes_keywords(model: Any, names: Any) -> bool:
    """True if ``forward`` has arguments of these names; else it is given the dict itself."""
    try:
        inspect.signature(model.forward).bind(**dict.fromkeys(names))
    except (TypeError, ValueError):
        return False
    return True


def _all_tensors(tree: Any) -> list[Any]:
    if isinstance(tree, dict):
        tree = list(tree.values())
    if isinstance(tree, list):
        return list(_tensors(tree))
    return [tree] if torch.is_tensor(tree) else []


@contextlib.contextmanager
def _default_dtype(dtype: Any) -> Iterator[None]:
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


def refuse_random(model: nn.Module) -> None:
    """PairError for a layer with random numbers that the two sides cannot share."""
    for name, module in model.named_modules():
        what = ""
        if type(module).__name__ in kinds.RANDOM_PYTORCH and getattr(module, "p", 1.0) != 0:
            what = f"the layer {name} ({type(module).__name__})"
        elif isinstance(module, nn.MultiheadAttention) and module.dropout:
            what = f"dropout inside the attention of {name}"
        elif isinstance(module, nn.RNNBase) and module.dropout and module.num_layers > 1:
            what = f"dropout between the layers of {name}"
        if what:
            raise PairError(
                f"{what} cannot have the same random numbers on both sides; set its rate to 0 for "
                "this comparison. Plain dropout layers run with the same masks"
            )
