"""Deviations that anybody can see: each with a script beside this file that needs the native's framework alone.

A script has at most ten lines of code. It prints what came and what was due, and exits with 1 while they differ, with
0 once the native is mended. ``samestep reproduce`` runs them and compares with what is recorded here.
"""

import dataclasses
from pathlib import Path

from samestep.parity.natives.deviations import DEVIATIONS, Deviation

KERAS, TORCH, OPTAX = "keras 3.15.1, tensorflow 2.21.0", "torch 2.13.0", "optax 0.2.8, jax 0.10.2"
GITHUB = "https://github.com"


@dataclasses.dataclass(frozen=True)
class Reproduction:
    """One recorded deviation of a native.

    ``name`` is the script's; ``versions`` are those it was measured on. The size is ``measure``, which ``came`` out
    where another was ``due``, both as the script prints them. ``link`` leads upstream; it is empty where no thread is
    known. ``trials`` are what rung 3 meets of it, too.
    """

    name: str
    native: str
    versions: str
    cause: str
    measure: str
    came: str
    due: str
    link: str = ""

    @property
    def trials(self) -> list[Deviation]:
        """What rung 3 meets of it."""
        return [deviation for deviation in DEVIATIONS if deviation.script == self.name]

    @property
    def script(self) -> Path:
        """The file that reproduces it."""
        return Path(__file__).with_name(f"{self.name}.py")

    @property
    def packages(self) -> list[str]:
        """What the script needs, by the names that are imported."""
        return [version.split()[0] for version in self.versions.split(", ")]

    @property
    def line(self) -> str:
        """What the script prints while the native deviates as recorded."""
        return f"came {self.came}, due {self.due}"

    @property
    def size(self) -> str:
        """The measured size in words."""
        words = f"{self.measure}: {self.came} instead of {self.due}"
        sizes = [(rule, share, t.dtype) for t in self.trials for rule, share in t.sizes.items() if share]
        shares = [f"{rule} {share:.2g} in {dtype}" for rule, share, dtype in sizes]
        met = f"; in the trials of samestep natives, as a share of the path, at most {', '.join(shares)}"
        return words + (met if shares else "")


def _rounded(dtype: str) -> Reproduction:
    """What Keras makes of its scalars in one dtype: rung 3 knows cause and link."""
    (trial,) = (deviation for deviation in DEVIATIONS if deviation.script == f"keras_{dtype}_betas")
    native = f"keras.optimizers {', '.join(trial.sizes)} in {dtype}"
    measure = f"first step of Adam(1.0, epsilon=0.0) in {dtype}"
    return Reproduction(trial.script, native, KERAS, trial.cause, measure, "0.999993", "1", trial.link)


NUMBERS = {  # script: native, versions, what is measured, what came and what was due
    "tf_keras_float32_numbers": (
        "tf_keras.optimizers.legacy in float64", "tf_keras 2.21.0, tensorflow 2.21.0",
        "two steps of SGD(1.0, momentum=0.9) on gradients of 1", "2.89999998", "2.9",
    ),
    "tensorflow1_float32_numbers": (
        "tf.compat.v1.train in float64", "tensorflow 2.21.0",
        "two steps of MomentumOptimizer(1.0, 0.9) on gradients of 1", "2.89999998", "2.9",
    ),
    "tensorflow_kernel_rest": (
        "tf.raw_ops.ResourceApplyAdam in float32", "tensorflow 2.21.0",
        "mean square after a gradient of 1 with beta2 = 0.999", "0.000999987", "0.001",
    ),
    "optax_float32_powers": (
        "optax.adam, adamw, nadam and nadamw in float32", OPTAX, "first step of adam(1.0, eps=0.0)", "0.999993", "1",
    ),
    "onnx_float32_attributes": (
        "onnx ai.onnx.preview.training", "onnx 1.23.2", "what is kept of alpha=0.9 in Momentum", "0.899999976", "0.9",
    ),
}  # fmt: skip


def _met() -> list[Reproduction]:
    """What rung 3 meets in its trials, which know cause and link."""
    trials = {deviation.script: deviation for deviation in reversed(DEVIATIONS)}
    return [
        Reproduction(script, native, versions, trials[script].cause, measure, came, due, trials[script].link)
        for script, (native, versions, measure, came, due) in NUMBERS.items()
    ]


REPRODUCTIONS = (
    Reproduction(
        "keras_schedule_free_fit", "keras.optimizers.ScheduleFreeAdamW", KERAS,
        "the slot that starts as a copy of the weights is assigned inside build(), and model.fit, which builds in a "
        "graph, loses that: the slot starts at 0, and the first step replaces the weights by it",
        "a weight of 1 after one batch of model.fit with learning rate 0", "0", "1",
    ),
    Reproduction(
        "keras_schedule_free_point", "keras.optimizers.ScheduleFreeAdamW", KERAS,
        "the average is recovered from the point as it is after the step: on TensorFlow momentum.value is no copy, so "
        "the point before is lost",
        "a weight of 1 after two steps of ScheduleFreeAdamW(0.1) on gradients of 1", "0.85", "0.845",
    ),
    Reproduction(
        "keras_duplicate_indices", "keras.optimizers.Adam", KERAS,
        "a sparse gradient's rows are squared one by one, before those of one index are summed; Adagrad, Adadelta, "
        "RMSprop, AdamW, Nadam, Adafactor, Ftrl, Lamb and ScheduleFreeAdamW do so too",
        "first step of Adam(0.01) on a token that occurs k = 4 times in a batch, sqrt(k) times too long",
        "0.02", "0.01",
    ),
    Reproduction(
        "keras_clipnorm_duplicates", "keras.optimizers, any with clipnorm", KERAS,
        "the norm of a sparse gradient is that of its rows before those of one index are summed",
        "step of SGD(1.0, clipnorm=1.0) on a token that occurs four times in a batch", "2", "1",
    ),
    Reproduction(
        "keras_bfloat16_frozen", "keras.optimizers.Adam in bfloat16", KERAS,
        "beta_2 = 0.999 is rounded to bfloat16, where it is 1: its bias correction is 0 and so is every step; AdamW "
        "and Lamb do so too",
        "a weight of 1 after a step of Adam(0.5)", "1", "0.5", f"{GITHUB}/tensorflow/tensorflow/issues/58138",
    ),
    Reproduction(
        "keras_bfloat16_nan", "keras.optimizers.ScheduleFreeAdamW in bfloat16", KERAS,
        "beta_2 = 0.999 is rounded to bfloat16, where it is 1: the second moment 0 is divided by the bias correction "
        "0; Nadam does so too",
        "a weight of 1 after a step of ScheduleFreeAdamW(0.5)", "nan", "0.5", f"{GITHUB}/keras-team/keras/pull/21238",
    ),
    Reproduction(
        "keras_adafactor_relative_step", "keras.optimizers.Adafactor", KERAS,
        "the learning rate is capped at 1/sqrt(t) a second time, whatever relative_step says",
        "fourth step of Adafactor(1.0, relative_step=False) on a weight of 1", "0.5", "1",
    ),
    Reproduction(
        "keras_adafactor_zeros", "keras.optimizers.Adafactor in float32", KERAS,
        "where a row and a column have had no gradient, the product of their means, epsilon_1 each, is below the "
        "smallest number: 0 is divided by its root, and the clipping carries that into the whole matrix",
        "a matrix of 1 after a step of Adafactor(0.5) in which one of its four elements has a gradient", "nan", "0.5",
    ),
    Reproduction(
        "keras_average_of_micro_steps", "keras.optimizers, any with use_ema", KERAS,
        "under gradient accumulation the moving average, and its overwriting of the weights, go on at every micro-step "
        "and not at every update",
        "average with momentum 0.5 after updates of 0, 1 and 0 from four gradients each", "0.96875", "0.75",
    ),
    Reproduction(
        "keras_steps_without_gradient", "keras.optimizers.Adam", KERAS,
        "one step number for all weights goes on while a weight has no gradient, so that its bias correction is over "
        "before its first step",
        "first step of Adam(0.1) on a weight whose first gradient comes with the tenth call", "0.0484", "0.1",
    ),
    Reproduction(
        "keras_muon_dtype", "keras.optimizers.Muon on weights of another dtype than floatx", KERAS,
        "with rms_rate, which is the default, the root of the longer side is a tensor of floatx: the step fails",
        "a float64 matrix of one element, 1, after a step under the default floatx", "InvalidArgumentError", "0.99986",
    ),
    _rounded("float64"),
    _rounded("float32"),
    Reproduction(
        "torch_nesterov_gradient", "torch.optim.SGD, foreach", TORCH,
        "with Nesterov momentum, and neither weight decay nor maximize, the step is computed in the gradient's memory",
        "a gradient of 1 after a step with momentum 0.9", "1.9", "1", f"{GITHUB}/pytorch/pytorch/pull/92706",
    ),
    Reproduction(
        "torch_muon_momentum", "torch.optim.Muon in bfloat16", TORCH,
        "with nesterov=False the matrix that is normalised in place is the momentum itself: converting it to bfloat16 "
        "makes no copy",
        "norm of the momentum after a step with momentum 0.5 on a gradient of norm 4", "1", "2",
        f"{GITHUB}/pytorch/pytorch/pull/194664",
    ),
    Reproduction(
        "torch_muon_bfloat16", "torch.optim.Muon", TORCH,
        "matrices are iterated in bfloat16, whatever the dtype of the weights",
        "first step of Muon(lr=1.0) on a float64 matrix of one element", "0.688", "0.696",
    ),
    Reproduction(
        "torch_adafactor_epsilon", "torch.optim.Adafactor", TORCH,
        "the default epsilon1, the machine epsilon of a weight's dtype, is set by the first weight of a group and kept "
        "for all others",
        "step of Adafactor(lr=1.0) on a float64 weight of 1 behind a bfloat16 one, with gradients of 1e-4", "0.0128",
        "1",
    ),
    Reproduction(
        "torch_compiled_adam", "torch.optim.Adam, compiled", TORCH,
        "bias corrections are computed from a float32 step number and so in float32, for float64 weights too; NAdam "
        "and RAdam do so too",
        "first step of a compiled Adam(lr=1.0, eps=0.0) in float64", "0.999993", "1",
        f"{GITHUB}/pytorch/pytorch/pull/88173",
    ),
    Reproduction(
        "torch_nadam_product", "torch.optim.NAdam in float64", TORCH,
        "the product of all momentum coefficients is kept in float32",
        "first step of NAdam(lr=1.0, eps=0.0)", "1.056451791", "1.056451778",
    ),
    Reproduction(
        "torch_asgd_float32", "torch.optim.ASGD in float64", TORCH,
        "the learning rate is kept in float32",
        "first step of ASGD(lr=0.1, lambd=0.0) on a gradient of 1", "0.100000001", "0.100000000",
    ),
    Reproduction(
        "torch_asgd_late", "torch.optim.ASGD", TORCH,
        "the learning rate of a step is computed at the end of the step before, so that a scheduler acts one step late",
        "step on a gradient of 1 right after the learning rate went from 0.1 to 0.2", "0.1", "0.2",
    ),
    Reproduction(
        "torch_counter", "torch.optim.Adagrad", TORCH,
        "the step number is kept in float32, where 2^24 + 1 is 2^24; Adam does so too",
        "step number of Adagrad one step after 2^24", "16777216", "16777217",
    ),
    *_met(),
    Reproduction(
        "optax_rprop_stale", "optax.rprop", OPTAX,
        "a step is returned one call late",
        "first step of rprop(0.1)", "0", "0.1", f"{GITHUB}/google-deepmind/optax/pull/1725",
    ),
    Reproduction(
        "optax_adadelta_ascends", "optax.adadelta", OPTAX,
        "without a learning rate, which is the default, the sign is not turned: the step goes uphill",
        "first step of adadelta() on a gradient of 1", "0.00316", "-0.00316",
        f"{GITHUB}/google-deepmind/optax/issues/1242",
    ),
    Reproduction(
        "optax_radam_rectifier", "optax.radam", OPTAX,
        "the rectifier is computed in float32, where the difference of two large numbers leaves few digits",
        "sixth step of radam(1.0, eps=0.0) on gradients of 1", "0.0255", "0.0258",
    ),
)  # fmt: skip
