"""Recorded deviations of natives, each with a script in this folder that shows it.

A script needs nothing but the native's own framework and has at most ten lines of code. It prints
``got X, expected Y`` and exits with 1 while the two differ, with 0 once the native is corrected.
``samestep reproduce`` runs the scripts and compares with the values recorded here.
"""

import dataclasses
from pathlib import Path

from samestep.parity.natives.deviations import DEVIATIONS, Deviation

KERAS = "keras 3.15.1, tensorflow 2.21.0"
TORCH = "torch 2.13.0"
OPTAX = "optax 0.2.8, jax 0.10.2"
GITHUB = "https://github.com"


@dataclasses.dataclass(frozen=True)
class Reproduction:
    """One recorded deviation of a native, and the script that shows it.

    ``name`` is the script's, ``native`` the optimizer's. ``versions`` are the package versions on
    which it was measured. ``measure`` says what the script measures; ``got`` is the native's value
    and ``expected`` the right one, both as the script prints them. ``link`` leads to the upstream
    source or thread, "" if none is known.
    """

    name: str
    native: str
    versions: str
    cause: str
    measure: str
    got: str
    expected: str
    link: str = ""

    @property
    def trials(self) -> list[Deviation]:
        """The deviations in the trials of rung 3 that this script shows."""
        return [deviation for deviation in DEVIATIONS if deviation.script == self.name]

    @property
    def script(self) -> Path:
        """The file of the script."""
        return Path(__file__).with_name(f"{self.name}.py")

    @property
    def packages(self) -> list[str]:
        """The packages that the script imports, by their import names."""
        return [version.split()[0] for version in self.versions.split(", ")]

    @property
    def line(self) -> str:
        """The line that the script prints while the native deviates as recorded."""
        return f"got {self.got}, expected {self.expected}"

    @property
    def size(self) -> str:
        """The measured size as text: what the script prints, and the distances in rung 3."""
        text = f"{self.measure}: {self.got} instead of {self.expected}"
        shares = []
        for deviation in self.trials:
            for rule, share in deviation.sizes.items():
                if share:
                    shares.append(f"{rule} {share:.2g} in {deviation.dtype}")
        if not shares:
            return text
        trials = "in the trials of samestep natives, as a share of the path, at most"
        return f"{text}; {trials} {', '.join(shares)}"


def _of_deviation(
    name: str, native: str, versions: str, measure: str, numbers: tuple[str, str]
) -> Reproduction:
    """The reproduction of a deviation in ``DEVIATIONS``, which has its cause and link.

    ``numbers`` are what the script got and what is expected.
    """
    deviation = next(deviation for deviation in DEVIATIONS if deviation.script == name)
    return Reproduction(name, native, versions, deviation.cause, measure, *numbers, deviation.link)


def _keras_betas(dtype: str) -> Reproduction:
    """The reproduction of Keras' rounded betas in one dtype."""
    name = f"keras_{dtype}_betas"
    (deviation,) = (deviation for deviation in DEVIATIONS if deviation.script == name)
    native = f"keras.optimizers {', '.join(deviation.sizes)} in {dtype}"
    measure = f"first step of Adam(1.0, epsilon=0.0) in {dtype}"
    return _of_deviation(name, native, KERAS, measure, ("0.999993", "1"))


REPRODUCTIONS = (
    Reproduction(
        name="keras_schedule_free_fit",
        native="keras.optimizers.ScheduleFreeAdamW",
        versions=KERAS,
        cause=(
            "the slot that should start as a copy of the weights is assigned inside build(); "
            "model.fit builds in a graph and loses that assignment, so the slot starts at 0 and "
            "the first step replaces the weights by it"
        ),
        measure="a weight of 1 after one batch of model.fit with learning rate 0",
        got="0",
        expected="1",
    ),
    _of_deviation(
        "keras_schedule_free_point",
        native="keras.optimizers.ScheduleFreeAdamW",
        versions=KERAS,
        measure="a weight of 1 after two steps of ScheduleFreeAdamW(0.1) on gradients of 1",
        numbers=("0.85", "0.845"),
    ),
    Reproduction(
        name="keras_duplicate_indices",
        native="keras.optimizers.Adam",
        versions=KERAS,
        cause=(
            "a sparse gradient's rows are squared one by one, before rows of the same index are "
            "summed; Adagrad, Adadelta, RMSprop, AdamW, Nadam, Adafactor, Ftrl, Lamb and "
            "ScheduleFreeAdamW do so too"
        ),
        measure=(
            "first step of Adam(0.01) on a token that occurs k = 4 times in a batch, "
            "sqrt(k) times too long"
        ),
        got="0.02",
        expected="0.01",
    ),
    Reproduction(
        name="keras_clipnorm_duplicates",
        native="keras.optimizers, any with clipnorm",
        versions=KERAS,
        cause=("the norm of a sparse gradient is taken before rows of the same index are summed"),
        measure="step of SGD(1.0, clipnorm=1.0) on a token that occurs four times in a batch",
        got="2",
        expected="1",
    ),
    Reproduction(
        name="keras_bfloat16_frozen",
        native="keras.optimizers.Adam in bfloat16",
        versions=KERAS,
        cause=(
            "beta_2 = 0.999 is rounded to bfloat16, where it is 1: its bias correction is 0 "
            "and so is every step; AdamW and Lamb do so too"
        ),
        measure="a weight of 1 after a step of Adam(0.5)",
        got="1",
        expected="0.5",
        link=f"{GITHUB}/tensorflow/tensorflow/issues/58138",
    ),
    Reproduction(
        name="keras_bfloat16_nan",
        native="keras.optimizers.ScheduleFreeAdamW in bfloat16",
        versions=KERAS,
        cause=(
            "beta_2 = 0.999 is rounded to bfloat16, where it is 1: the second moment 0 is "
            "divided by the bias correction 0; Nadam does so too"
        ),
        measure="a weight of 1 after a step of ScheduleFreeAdamW(0.5)",
        got="nan",
        expected="0.5",
        link=f"{GITHUB}/keras-team/keras/pull/21238",
    ),
    _of_deviation(
        "keras_adafactor_relative_step",
        native="keras.optimizers.Adafactor",
        versions=KERAS,
        measure="fourth step of Adafactor(1.0, relative_step=False) on a weight of 1",
        numbers=("0.5", "1"),
    ),
    Reproduction(
        name="keras_adafactor_zeros",
        native="keras.optimizers.Adafactor in float32",
        versions=KERAS,
        cause=(
            "where a row and a column have had no gradient, the product of their means, "
            "epsilon_1 each, is rounded to 0: the gradient 0 is divided by its root, and the "
            "clipping spreads the nan over the whole matrix"
        ),
        measure=(
            "a matrix of 1 after a step of Adafactor(0.5) in which one of its four "
            "elements has a gradient"
        ),
        got="nan",
        expected="0.5",
    ),
    Reproduction(
        name="keras_average_of_micro_steps",
        native="keras.optimizers, any with use_ema",
        versions=KERAS,
        cause=(
            "under gradient accumulation the moving average is updated, and overwrites the "
            "weights, at every micro-step instead of at every update"
        ),
        measure="average with momentum 0.5 after updates of 0, 1 and 0 from four gradients each",
        got="0.96875",
        expected="0.75",
    ),
    Reproduction(
        name="keras_steps_without_gradient",
        native="keras.optimizers.Adam",
        versions=KERAS,
        cause=(
            "all weights share one step number, which increases while a weight has no gradient, "
            "so that the bias correction of that weight is over before its first step"
        ),
        measure=(
            "first step of Adam(0.1) on a weight whose first gradient comes with the tenth call"
        ),
        got="0.0484",
        expected="0.1",
    ),
    Reproduction(
        name="keras_muon_dtype",
        native="keras.optimizers.Muon on weights of another dtype than floatx",
        versions=KERAS,
        cause=(
            "with rms_rate, which is the default, the root of the longer side is a tensor of "
            "dtype floatx, and the step fails"
        ),
        measure="a float64 matrix of one element, 1, after a step under the default floatx",
        got="InvalidArgumentError",
        expected="0.99986",
    ),
    _keras_betas("float64"),
    _keras_betas("float32"),
    Reproduction(
        name="torch_nesterov_gradient",
        native="torch.optim.SGD, foreach",
        versions=TORCH,
        cause=(
            "with Nesterov momentum, and neither weight decay nor maximize, the step is "
            "computed in the gradient's memory"
        ),
        measure="a gradient of 1 after a step with momentum 0.9",
        got="1.9",
        expected="1",
        link=f"{GITHUB}/pytorch/pytorch/pull/92706",
    ),
    Reproduction(
        name="torch_muon_momentum",
        native="torch.optim.Muon in bfloat16",
        versions=TORCH,
        cause=(
            "with nesterov=False the matrix that is normalised in place is the momentum "
            "itself: converting it to bfloat16 makes no copy"
        ),
        measure="norm of the momentum after a step with momentum 0.5 on a gradient of norm 4",
        got="1",
        expected="2",
        link=f"{GITHUB}/pytorch/pytorch/pull/194664",
    ),
    _of_deviation(
        "torch_muon_bfloat16",
        native="torch.optim.Muon",
        versions=TORCH,
        measure="first step of Muon(lr=1.0) on a float64 matrix of one element",
        numbers=("0.688", "0.696"),
    ),
    Reproduction(
        name="torch_adafactor_epsilon",
        native="torch.optim.Adafactor",
        versions=TORCH,
        cause=(
            "the default epsilon1, the machine epsilon of a weight's dtype, is set by the "
            "first weight of a group and kept for all others"
        ),
        measure=(
            "step of Adafactor(lr=1.0) on a float64 weight of 1 behind a bfloat16 one, "
            "with gradients of 1e-4"
        ),
        got="0.0128",
        expected="1",
    ),
    Reproduction(
        name="torch_compiled_adam",
        native="torch.optim.Adam, compiled",
        versions=TORCH,
        cause=(
            "bias corrections are computed from a float32 step number and so in float32, for "
            "float64 weights too; NAdam and RAdam do so too"
        ),
        measure="first step of a compiled Adam(lr=1.0, eps=0.0) in float64",
        got="0.999993",
        expected="1",
        link=f"{GITHUB}/pytorch/pytorch/pull/88173",
    ),
    _of_deviation(
        "torch_nadam_product",
        native="torch.optim.NAdam in float64",
        versions=TORCH,
        measure="first step of NAdam(lr=1.0, eps=0.0)",
        numbers=("1.056451791", "1.056451778"),
    ),
    _of_deviation(
        "torch_asgd_float32",
        native="torch.optim.ASGD in float64",
        versions=TORCH,
        measure="first step of ASGD(lr=0.1, lambd=0.0) on a gradient of 1",
        numbers=("0.100000001", "0.100000000"),
    ),
    Reproduction(
        name="torch_asgd_late",
        native="torch.optim.ASGD",
        versions=TORCH,
        cause=(
            "the learning rate of a step is computed at the end of the step before, so that "
            "a scheduler acts one step late"
        ),
        measure="step on a gradient of 1 right after the learning rate has changed from 0.1 to 0.2",
        got="0.1",
        expected="0.2",
    ),
    Reproduction(
        name="torch_counter",
        native="torch.optim.Adagrad",
        versions=TORCH,
        cause="the step number is kept in float32, where 2^24 + 1 is 2^24; Adam does so too",
        measure="step number of Adagrad one step after 2^24",
        got="16777216",
        expected="16777217",
    ),
    Reproduction(
        name="torch_load_asgd",
        native="torch.optim.ASGD beside half precision",
        versions=TORCH,
        cause=(
            "load_state_dict casts all state but the step number to the dtype of the weights, and "
            "ASGD keeps eta and mu in float32: a resumed run goes on with other ones"
        ),
        measure="eta of ASGD(lr=0.1) beside a bfloat16 weight, after its state was loaded",
        got="0.100098",
        expected="0.0999992",
    ),
    Reproduction(
        name="torch_load_nadam",
        native="torch.optim.NAdam beside half precision",
        versions=TORCH,
        cause=(
            "load_state_dict casts all state but the step number to the dtype of the weights, and "
            "NAdam keeps mu_product in float32"
        ),
        measure="mu_product beside a bfloat16 weight, after its state was loaded",
        got="0.449219",
        expected="0.450073",
    ),
    Reproduction(
        name="torch_load_class",
        native="torch.optim, loaded from another class",
        versions=TORCH,
        cause=(
            "load_state_dict takes the hyperparameters of any class, and those of the file win: "
            "AdamW that was loaded from Adam has neither its weight decay nor its kind of it"
        ),
        measure="a weight of 1 after a step of AdamW(lr=1.0, weight_decay=0.5) without a gradient",
        got="1",
        expected="0.5",
    ),
    Reproduction(
        name="torch_load_names",
        native="torch.optim with named parameters",
        versions=TORCH,
        cause=(
            "load_state_dict matches parameters by their order, though both sides have names, and "
            "overwrites the names: state goes to other parameters of the same shape"
        ),
        measure="momentum of a weight whose gradient was 1, after the other one's was 2",
        got="2",
        expected="1",
    ),
    Reproduction(
        name="torch_load_scheduler",
        native="torch.optim.lr_scheduler.LambdaLR",
        versions=TORCH,
        cause=(
            "making a scheduler sets the optimizer's rate anew, and loading it does not set it "
            "back: a step is taken with the first rate. OneCycleLR, CyclicLR and SequentialLR do "
            "so too"
        ),
        measure="learning rate after a LambdaLR was made behind a loaded optimizer, and loaded",
        got="1",
        expected="0.25",
    ),
    Reproduction(
        name="keras_load_unbuilt",
        native="keras.optimizers, any, in load_weights",
        versions=KERAS,
        cause=(
            "load_weights into a compiled model whose optimizer is not built yet leaves out all "
            "state of the optimizer, with a warning"
        ),
        measure="step count of Adam after a file of one step was loaded",
        got="0",
        expected="1",
    ),
    Reproduction(
        name="keras_load_class",
        native="keras.optimizers, any, in load_weights",
        versions=KERAS,
        cause=(
            "load_weights takes an optimizer's variables by number, whatever its class: Adam's "
            "file goes into Adamax, AdamW, Lamb, Adadelta, Ftrl and ScheduleFreeAdamW without a "
            "word"
        ),
        measure="step count of Adamax after Adam's file of one step was loaded",
        got="1",
        expected="0",
    ),
    Reproduction(
        name="keras_load_dropout",
        native="keras.layers.Dropout",
        versions=KERAS,
        cause="no file of Keras has the state of dropout's seeds: a resumed run has other masks",
        measure="count of the seed after one call, in a model that was saved and loaded",
        got="0",
        expected="1",
    ),
    _of_deviation(
        "tf_keras_float32_numbers",
        native="tf_keras.optimizers.legacy in float64",
        versions="tf_keras 2.21.0, tensorflow 2.21.0",
        measure="two steps of SGD(1.0, momentum=0.9) on gradients of 1",
        numbers=("2.89999998", "2.9"),
    ),
    _of_deviation(
        "tensorflow1_float32_numbers",
        native="tf.compat.v1.train in float64",
        versions="tensorflow 2.21.0",
        measure="two steps of MomentumOptimizer(1.0, 0.9) on gradients of 1",
        numbers=("2.89999998", "2.9"),
    ),
    _of_deviation(
        "tensorflow_kernel_rest",
        native="tf.raw_ops.ResourceApplyAdam in float32",
        versions="tensorflow 2.21.0",
        measure="mean square after a gradient of 1 with beta2 = 0.999",
        numbers=("0.000999987", "0.001"),
    ),
    _of_deviation(
        "tensorflow_ftrl_zero",
        native="tf.compat.v1.train.FtrlOptimizer",
        versions="tensorflow 2.21.0",
        measure="a weight of 1 after a gradient of 0, with an accumulator that starts at 0",
        numbers=("0", "nan"),
    ),
    _of_deviation(
        "optax_float32_powers",
        native="optax.adam, adamw, nadam and nadamw in float32",
        versions=OPTAX,
        measure="first step of adam(1.0, eps=0.0)",
        numbers=("0.999993", "1"),
    ),
    _of_deviation(
        "onnx_float32_attributes",
        native="onnx ai.onnx.preview.training",
        versions="onnx 1.23.2",
        measure="the value that Momentum stores for alpha=0.9",
        numbers=("0.899999976", "0.9"),
    ),
    Reproduction(
        name="optax_rprop_stale",
        native="optax.rprop",
        versions=OPTAX,
        cause="a step is returned one call late",
        measure="first step of rprop(0.1)",
        got="0",
        expected="0.1",
        link=f"{GITHUB}/google-deepmind/optax/pull/1725",
    ),
    Reproduction(
        name="optax_adadelta_ascends",
        native="optax.adadelta",
        versions=OPTAX,
        cause=(
            "without a learning rate, which is the default, the sign is not turned: the step "
            "goes uphill"
        ),
        measure="first step of adadelta() on a gradient of 1",
        got="0.00316",
        expected="-0.00316",
        link=f"{GITHUB}/google-deepmind/optax/issues/1242",
    ),
    Reproduction(
        name="optax_radam_rectifier",
        native="optax.radam",
        versions=OPTAX,
        cause=(
            "the rectifier is computed in float32, where the difference of two large numbers "
            "leaves few digits"
        ),
        measure="sixth step of radam(1.0, eps=0.0) on gradients of 1",
        got="0.0255",
        expected="0.0258",
    ),
    Reproduction(
        name="keras_load_average",
        native="keras.optimizers, load_weights with use_ema",
        versions=KERAS,
        cause=(
            "states go by position, and the options are not compared: a velocity becomes the "
            "average of the weights"
        ),
        measure="average of a weight near 1 after the state of SGD with momentum was loaded",
        got="-0.01",
        expected="1.00",
    ),
    Reproduction(
        name="keras_load_partial",
        native="keras.optimizers, load_own_variables",
        versions=KERAS,
        cause="variables are overwritten one after another, until the shape of one is refused",
        measure="step number after a state of step 1 was refused",
        got="1",
        expected="0",
    ),
    Reproduction(
        name="keras_fit_twice",
        native="keras.optimizers, any with use_ema, under fit",
        versions=KERAS,
        cause=(
            "the average overwrites the weights at the end of each call of fit, so that training "
            "in two calls starts the second from the average"
        ),
        measure="a weight after four steps, in two calls of fit and in one",
        got="0.639",
        expected="0.619",
    ),
)
