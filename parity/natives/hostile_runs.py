"""One tensor meets the gradients of a hostile case, in an adapter of ours or in a native.

Beside it stands a calm tensor that always has a gradient: Keras refuses a step in which there is none at all.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from samestep.reference import Rule, dialects

FRAMEWORKS = ("pytorch", "tensorflow")


def numpy_dtype(name: str) -> Any:
    """The NumPy dtype of that name; bfloat16 is ml_dtypes'."""
    if name == "bfloat16":
        import ml_dtypes

        return ml_dtypes.bfloat16
    return np.dtype(name)


def ours(framework: str, rule: Rule, case: Any) -> np.ndarray:
    """Where our adapter goes, (steps, *shape)."""
    if framework == "pytorch":
        import samestep.frameworks.pytorch

        return _in_torch(lambda params: samestep.frameworks.pytorch.Optimizer(params, rule), case)
    import samestep.frameworks.tensorflow

    return _in_keras(samestep.frameworks.tensorflow.Optimizer(rule), case)


def native(call: str, case: Any) -> np.ndarray:
    """Where the native goes that the call names: torch.optim's plain loop, or Keras' optimizer, eagerly."""
    dialect, name, arguments = dialects.parse(call)
    said = dialects.Call(name, arguments)
    if dialect == "pytorch":
        from samestep.frameworks.pytorch.native import optimizer

        return _in_torch(lambda params: optimizer(params, said), case)
    import keras

    return _in_keras(getattr(keras.optimizers, name)(**arguments), case)


def _in_torch(make: Callable[[Any], Any], case: Any) -> np.ndarray:
    import torch

    dtype = getattr(torch, case.dtype)

    def tensor(array: np.ndarray) -> Any:
        strided = array if case.contiguous else array.T
        made = torch.tensor(np.asarray(strided, np.float64), dtype=dtype)
        return made if case.contiguous else made.T

    def gradient(given: Any) -> Any:
        if given is None or isinstance(given, np.ndarray):
            return given if given is None else tensor(given)
        rows = torch.tensor([given.rows])
        return torch.sparse_coo_tensor(rows, tensor(given.values), case.start.shape, check_invariants=True)

    theta, calm = torch.nn.Parameter(tensor(case.start)), torch.nn.Parameter(torch.ones(2, dtype=dtype))
    optimizer, thetas = make([theta, calm]), []
    for given in case.gradients:
        theta.grad, calm.grad = gradient(case.cast(given)), torch.ones_like(calm)
        optimizer.step()
        thetas.append(theta.detach().double().numpy().astype(numpy_dtype(case.dtype)))
    return np.array(thetas)


def _in_keras(optimizer: Any, case: Any) -> np.ndarray:
    import keras
    import tensorflow as tf

    dtype = numpy_dtype(case.dtype)

    def gradient(given: Any) -> Any:
        if given is None or isinstance(given, np.ndarray):
            return given if given is None else tf.constant(given)
        return tf.IndexedSlices(tf.constant(given.values), tf.constant(given.rows), tf.constant(case.start.shape))

    theta, calm = (keras.Variable(x.astype(dtype), dtype=case.dtype) for x in (case.start, np.ones(2)))
    optimizer.build([theta, calm])
    thetas = []
    for given in case.gradients:
        optimizer.apply([gradient(case.cast(given)), tf.ones(2, case.dtype)])
        thetas.append(theta.numpy())
    return np.array(thetas)
