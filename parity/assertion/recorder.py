"""Records the gradients that an optimizer is given in a script of yours, PyTorch's or Keras'.

>>> from samestep.parity.assertion.recorder import Recorder
>>> recorder = Recorder(optimizer)           # doctest: +SKIP
>>> ...                                      # train
>>> recorder.save("gradients.npz")           # doctest: +SKIP

Then ``samestep compare A B --gradients gradients.npz``. With ``model.fit`` compile the model with
``jit_compile=False``: XLA cannot call back. Steps that torch takes with a closure cannot be recorded.
"""

import importlib
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from samestep.frameworks.experiment.run import writable
from samestep.parity.measure.trial import Trial, write


class Recorder:
    """Listens to a ``torch.optim.Optimizer`` or a ``keras.optimizers.Optimizer`` on TensorFlow from now on.

    Takes down, at each step, every gradient and the learning rate; at the first, where the tensors are. The learning
    rates of further torch groups are taken to change as the first's. ValueError for anything else.
    """

    def __init__(self, optimizer: Any) -> None:
        self.names: list[str] = []
        self.start: list[np.ndarray] = []
        self.steps: list[list[np.ndarray | None]] = []
        self.rates: list[float] = []
        loaded: dict[str, Any] = {
            kind: _optimizer(kind) for kind in ("torch.optim", "keras.optimizers") if kind in sys.modules
        }
        if isinstance(optimizer, loaded.get("torch.optim", ())):
            optimizer.register_step_pre_hook(self._torch)
        elif isinstance(optimizer, loaded.get("keras.optimizers", ())):
            self._listen_to_keras(optimizer)
        else:
            kind = f"{type(optimizer).__module__}.{type(optimizer).__name__}"
            raise ValueError(f"optimizer must be a torch.optim.Optimizer or a keras.optimizers.Optimizer, got {kind}")

    def save(self, path: str | Path) -> Path:
        """Write what was recorded, whole or not at all; ValueError if no step was taken or the folder is none."""
        if not self.steps:
            raise ValueError("the optimizer must have taken a step before the recorder is saved, but it took none")
        none = [np.zeros_like(array) for array in self.start]
        told = {
            name: [step[i] for step in self.steps] for i, name in enumerate(self.names)
            if any(step[i] is not None for step in self.steps)
        }  # fmt: skip
        zeros = dict(zip(self.names, none, strict=True))
        trial = Trial(
            {name: array for name, array in zip(self.names, self.start, strict=True) if name in told},
            {name: np.array([zeros[name] if g is None else g for g in came]) for name, came in told.items()},
            {name: np.array([g is not None for g in came]) for name, came in told.items()},
            np.array(self.rates) / (max(self.rates) or 1.0),
        )
        writable(Path(path).resolve().parent)
        return write(trial, Path(path))

    def _take(self, names: Sequence[str], positions: Sequence[Any], gradients: Sequence[Any], rate: float) -> None:
        if not self.start:
            self.names = [name if names.count(name) == 1 else f"{name}:{i}" for i, name in enumerate(names)]
            self.start = [np.array(position) for position in positions]
        self.steps.append([None if gradient is None else np.array(gradient) for gradient in gradients])
        self.rates.append(rate)

    def _torch(self, optimizer: Any, arguments: Any, options: Any) -> None:
        groups = optimizer.param_groups
        parameters = [parameter for group in groups for parameter in group["params"]]
        named = [name for group in groups for name in group.get("param_names", [])]
        names = named if len(named) == len(parameters) else [str(i) for i in range(len(parameters))]
        gradients = [p.grad if p.grad is None else _from_torch(p.grad.to_dense()) for p in parameters]
        self._take(names, [_from_torch(p) for p in parameters], gradients, float(groups[0]["lr"]))

    def _listen_to_keras(self, optimizer: Any) -> None:
        """Put a listener before ``apply``, which works in graphs, too."""
        import tensorflow as tf

        apply = optimizer.apply

        def listening(grads: Any, trainable_variables: Any = None) -> Any:
            variables = list(trainable_variables or optimizer._trainable_variables)
            there = [gradient is not None for gradient in grads]
            dense = [tf.convert_to_tensor(gradient) for gradient in grads if gradient is not None]
            count = len(variables)

            def take(rate: Any, *arrays: Any) -> None:
                positions, rest = arrays[:count], iter(arrays[count:])
                gradients = [_wide(next(rest).numpy()) if is_there else None for is_there in there]
                names = [str(getattr(variable, "path", variable.name)) for variable in variables]
                self._take(names, [_wide(position.numpy()) for position in positions], gradients, float(rate))

            values = [tf.convert_to_tensor(getattr(variable, "value", variable)) for variable in variables]
            tf.py_function(take, [tf.convert_to_tensor(optimizer.learning_rate), *values, *dense], [])
            return apply(grads, trainable_variables)

        optimizer.apply = listening


def _optimizer(module: str) -> Any:
    return importlib.import_module(module).Optimizer


def _from_torch(tensor: Any) -> np.ndarray:
    tensor = tensor.detach().cpu()
    return (tensor.float() if tensor.dtype.itemsize == 2 else tensor).numpy()


def _wide(array: np.ndarray) -> np.ndarray:
    return array.astype(np.float32) if array.dtype.itemsize == 2 else array
