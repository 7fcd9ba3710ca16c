"""Record the gradients of your own training, in PyTorch or Keras, for ``samestep compare``.

>>> from samestep.parity import Recorder
>>> recorder = Recorder(optimizer)           # doctest: +SKIP
>>> ...                                      # train
>>> recorder.save("gradients.npz")           # doctest: +SKIP

Then ``samestep compare A B --gradients gradients.npz``. With ``model.fit`` compile the model with
``jit_compile=False``: XLA cannot call back. Steps that torch takes with a closure cannot be
recorded.
"""

import importlib
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from samestep.frameworks.experiment.run import writable
from samestep.parity.measure.trial import Trial, write


class _Step(NamedTuple):
    """The gradient of each tensor, None where it has none, and the learning rate."""

    gradients: list[np.ndarray | None]
    rate: float


class Recorder:
    """Records, from now on, what an optimizer is given: a ``torch.optim.Optimizer``, or a Keras
    optimizer on TensorFlow.

    At each step it records every gradient and the learning rate, before the first also the tensors.
    The learning rates of further torch parameter groups are taken to change as the first group's.
    ValueError for any other optimizer.
    """

    def __init__(self, optimizer: Any) -> None:
        self.names: list[str] = []
        self.start: list[np.ndarray] = []
        self.steps: list[_Step] = []
        if isinstance(optimizer, _optimizer_class("torch.optim")):
            optimizer.register_step_pre_hook(self._record_torch)
        elif isinstance(optimizer, _optimizer_class("keras.optimizers")):
            self._record_keras(optimizer)
        else:
            kind = f"{type(optimizer).__module__}.{type(optimizer).__name__}"
            raise ValueError(
                "optimizer must be a torch.optim.Optimizer or a keras.optimizers.Optimizer, "
                f"got {kind}"
            )

    def save(self, path: str | Path) -> Path:
        """Write the recorded steps to ``path`` (.npz), whole or not at all.

        Tensors that never had a gradient are left out. ValueError if no step was taken, or if the
        folder cannot be written to.
        """
        if not self.steps:
            raise ValueError(
                "the optimizer must have taken a step before the recorder is saved, but "
                "it took none"
            )
        writable(Path(path).resolve().parent)
        return write(self._trial(), Path(path))

    def _trial(self) -> Trial:
        start = {}
        gradients = {}
        present = {}
        for index, name in enumerate(self.names):
            of_steps = [step.gradients[index] for step in self.steps]
            if all(gradient is None for gradient in of_steps):
                continue
            nothing = np.zeros_like(self.start[index])
            start[name] = self.start[index]
            gradients[name] = np.array(
                [nothing if gradient is None else gradient for gradient in of_steps]
            )
            present[name] = np.array([gradient is not None for gradient in of_steps])
        rates = np.array([step.rate for step in self.steps])
        return Trial(start, gradients, present, rates / (rates.max() or 1.0))

    def _add(self, gradients: Sequence[Any], rate: float) -> None:
        copies = [None if gradient is None else np.array(gradient) for gradient in gradients]
        self.steps.append(_Step(copies, rate))

    def _begin(self, names: Sequence[str], tensors: Sequence[Any]) -> None:
        """Record the names and values of the tensors, before the first step."""
        if not self.start:
            self.names = [
                name if names.count(name) == 1 else f"{name}:{i}" for i, name in enumerate(names)
            ]
            self.start = [np.array(tensor) for tensor in tensors]

    def _record_torch(self, optimizer: Any, arguments: Any, options: Any) -> None:
        groups = optimizer.param_groups
        parameters: list[Any] = []
        given_names: list[str] = []
        for group in groups:
            parameters += group["params"]
            given_names += group.get("param_names", [])
        numbers = [str(index) for index in range(len(parameters))]
        self._begin(
            given_names if len(given_names) == len(parameters) else numbers,
            [_array(p) for p in parameters],
        )
        gradients = [None if p.grad is None else _array(p.grad.to_dense()) for p in parameters]
        self._add(gradients, float(groups[0]["lr"]))

    def _record_keras(self, optimizer: Any) -> None:
        """Put the recorder before ``apply``, which works in graphs, too."""
        import tensorflow as tf

        apply = optimizer.apply

        def recording_apply(grads: Any, trainable_variables: Any = None) -> Any:
            variables = list(trainable_variables or optimizer._trainable_variables)
            present = [gradient is not None for gradient in grads]
            dense = [tf.convert_to_tensor(gradient) for gradient in grads if gradient is not None]
            names = [str(getattr(variable, "path", variable.name)) for variable in variables]

            def record(rate: Any, *tensors: Any) -> None:
                arrays = [_widened(tensor.numpy()) for tensor in tensors]
                self._begin(names, arrays[: len(variables)])
                rest = iter(arrays[len(variables) :])
                self._add(
                    [next(rest) if is_present else None for is_present in present], float(rate)
                )

            values = [
                tf.convert_to_tensor(getattr(variable, "value", variable)) for variable in variables
            ]
            tf.py_function(
                record, [tf.convert_to_tensor(optimizer.learning_rate), *values, *dense], []
            )
            return apply(grads, trainable_variables)

        optimizer.apply = recording_apply


def _optimizer_class(module: str) -> Any:
    """The class ``Optimizer`` of a module that is loaded; no class if it is not."""
    return importlib.import_module(module).Optimizer if module in sys.modules else ()


def _array(tensor: Any) -> np.ndarray:
    """A torch tensor as an array, half precision as float32."""
    plain = tensor.detach().cpu()
    return (plain.float() if plain.dtype.itemsize == 2 else plain).numpy()


def _widened(array: np.ndarray) -> np.ndarray:
    """Half precision as float32."""
    return array.astype(np.float32) if array.dtype.itemsize == 2 else array
