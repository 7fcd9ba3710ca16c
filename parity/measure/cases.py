"""The calls by which every rule of every dialect is tried: in tests, in trials and in training.

Each call is text, "dialect:Name(argument=value, ...)", that ``samestep.reference.dialects.read``
accepts.
"""

from itertools import chain

from samestep.reference import LAMB, RULES, SGD, Adam, Decay, Epsilon, Rprop, Rule

# For each rule its call in PyTorch and in Keras. The learning rates suit the MNIST experiment.
PLAIN = {
    "SGD": ("pytorch:SGD(lr=0.01)", "keras:SGD(learning_rate=0.01)"),
    "ASGD": ("pytorch:ASGD(lr=0.01)",),
    "Rprop": ("pytorch:Rprop(lr=0.0001)",),
    "Adagrad": ("pytorch:Adagrad(lr=0.01)", "keras:Adagrad(learning_rate=0.01)"),
    "FTRL": ("keras:Ftrl(learning_rate=0.01)",),
    "Adadelta": ("pytorch:Adadelta(lr=1.0)", "keras:Adadelta(learning_rate=1.0)"),
    "RMSprop": ("pytorch:RMSprop(lr=0.001)", "keras:RMSprop(learning_rate=0.001)"),
    "Adam": ("pytorch:Adam(lr=0.001)", "keras:Adam(learning_rate=0.001)"),
    "Adamax": ("pytorch:Adamax(lr=0.002)", "keras:Adamax(learning_rate=0.001)"),
    "NAdam": ("pytorch:NAdam(lr=0.002)", "keras:Nadam(learning_rate=0.001)"),
    "RAdam": ("pytorch:RAdam(lr=0.001)",),
    "ScheduleFree": ("keras:ScheduleFreeAdamW(learning_rate=0.0025)",),
    "Lion": ("keras:Lion(learning_rate=0.0001, beta_2=0.999)",),
    "LAMB": ("keras:Lamb(learning_rate=0.001)",),
    "Adafactor": (
        "pytorch:Adafactor(lr=0.05, eps=(1e-07, 0.001))",
        "keras:Adafactor(learning_rate=0.05)",
    ),
}

# The same for rules with matrix products. Each framework sums products in an order of its own, so
# there is no common digest, and these calls are not trained.
MATRIX = {
    "Muon": ("pytorch:Muon(lr=0.01)", "keras:Muon(learning_rate=0.01, weight_decay=0.25)"),
}

# The other arguments of the rules in MATRIX, with values that change the result visibly.
PRODUCTS = (
    "pytorch:Muon(lr=0.01, weight_decay=0.25, momentum=0.5, nesterov=False, ns_coefficients=(2.0, "
    "-1.5, 0.5), eps=0.5, ns_steps=3, adjust_lr_fn='match_rms_adamw')",
    "keras:Muon(learning_rate=0.01, weight_decay=0.25, momentum=0.5, nesterov=False, muon_a=2.0, "
    "muon_b=-1.5, muon_c=0.5, ns_steps=3, rms_rate=None)",
    "keras:Muon(learning_rate=0.01, weight_decay=None, rms_rate=0.5, adam_lr_ratio=0.5, "
    "adam_beta_1=0.8, adam_beta_2=0.7, epsilon=0.001, adam_weight_decay=0.25)",
)

# The rules that the report trains by default.
EVERYDAY = ("SGD", "Adagrad", "Adadelta", "RMSprop", "Adam")

# Further trained calls: the usual arguments of the everyday rules, and some of the others.
VARIANTS = (
    "article:Adagrad(lr=0.01)",
    "pytorch:SGD(lr=0.01, momentum=0.9)",
    "pytorch:SGD(lr=0.01, momentum=0.9, nesterov=True)",
    "pytorch:SGD(lr=0.01, momentum=0.9, dampening=0.5, weight_decay=0.001)",
    "pytorch:Adagrad(lr=0.01, lr_decay=0.001, initial_accumulator_value=0.1)",
    "pytorch:RMSprop(lr=0.001, momentum=0.9)",
    "pytorch:RMSprop(lr=0.001, centered=True)",
    "pytorch:Adam(lr=0.001, amsgrad=True)",
    "pytorch:AdamW(lr=0.001)",
    "pytorch:Adadelta(lr=1.0, weight_decay=0.001)",
    "keras:SGD(learning_rate=0.01, momentum=0.9)",
    "keras:SGD(learning_rate=0.01, momentum=0.9, nesterov=True, weight_decay=0.001)",
    "keras:RMSprop(learning_rate=0.001, momentum=0.9)",
    "keras:RMSprop(learning_rate=0.001, centered=True)",
    "keras:Adam(learning_rate=0.001, amsgrad=True)",
    "keras:AdamW(learning_rate=0.001)",
    "keras:Adagrad(learning_rate=0.01, weight_decay=0.01)",
    "keras:RMSprop(learning_rate=0.001, momentum=0.9, centered=True, weight_decay=0.01)",
    "pytorch:RAdam(lr=0.001, weight_decay=0.01, decoupled_weight_decay=True)",
    "keras:ScheduleFreeAdamW(learning_rate=0.0025, warmup_steps=10, weight_decay=0.01)",
)

# Arguments that FTRL has in every dialect of TensorFlow.
FTRL_ARGUMENTS = (
    "l1_regularization_strength=0.01, l2_regularization_strength=0.5, "
    "l2_shrinkage_regularization_strength=0.25, beta=0.5"
)

# Calls with every other argument of the natives, with values that change a short trial visibly.
# They are not trained.
RARE = (
    "pytorch:ASGD(lr=0.01, lambd=0.5, alpha=0.6, t0=3.0, weight_decay=0.25, maximize=True)",
    "pytorch:Rprop(lr=0.001, etas=(0.25, 1.5), step_sizes=(0.0005, 0.002), maximize=True)",
    "pytorch:Adamax(lr=0.002, eps=0.001, weight_decay=0.25, maximize=True)",
    "pytorch:NAdam(lr=0.002, momentum_decay=0.5, weight_decay=0.25, decoupled_weight_decay=True, "
    "maximize=True)",
    "pytorch:RAdam(lr=0.001, betas=(0.9, 0.75), eps=0.001, weight_decay=0.25, maximize=True)",
    "keras:Adamax(learning_rate=0.002, weight_decay=0.25)",
    "keras:Nadam(learning_rate=0.001, weight_decay=0.25)",
    "pytorch:Adafactor(lr=0.5, beta2_decay=-0.6, eps=(0.001, 0.05), d=2.0, weight_decay=0.25, "
    "maximize=True)",
    "keras:Adafactor(learning_rate=0.5, beta_2_decay=-0.6, epsilon_1=0.000001, epsilon_2=0.0625, "
    "clip_threshold=0.5, weight_decay=0.25)",
    "keras:Adafactor(learning_rate=0.5, relative_step=False)",
    "keras:Lamb(learning_rate=0.1, beta_1=0.8, beta_2=0.7, epsilon=0.001, weight_decay=0.25)",
    f"keras:Ftrl(learning_rate=0.01, learning_rate_power=-0.3, {FTRL_ARGUMENTS}, "
    "weight_decay=0.25)",
)

# Calls whose numbers become subnormal in training. TensorFlow flushes such numbers to zero, the
# other frameworks do not, so these calls are not trained. The weights of pixels that are always
# black have no gradient, and an L2 penalty shrinks them until their steps are subnormal (seen in
# the first epoch). Lion's mean fades like 0.99^t once gradients are zero, and the sign of that mean
# decides between a whole step and none (seen in the fourth epoch; with beta_2=0.999 five epochs are
# too short for that).
FADING = (
    "pytorch:Adam(lr=0.001, weight_decay=0.001)",
    "pytorch:RMSprop(lr=0.001, momentum=0.9, centered=True, weight_decay=0.001)",
    "keras:Lion(learning_rate=0.0001)",
    "keras:Lion(learning_rate=0.0001, weight_decay=0.01)",
)

# Calls with maximize=True. They are not trained, since they increase the loss.
UPHILL = (
    "pytorch:SGD(lr=0.01, momentum=0.5, dampening=0.5, weight_decay=0.25, maximize=True)",
    "pytorch:Adagrad(lr=0.01, weight_decay=0.25, maximize=True)",
    "pytorch:Adadelta(lr=0.5, weight_decay=0.25, maximize=True)",
    "pytorch:RMSprop(lr=0.001, weight_decay=0.25, maximize=True)",
    "pytorch:AdamW(lr=0.001, weight_decay=0.25, maximize=True, amsgrad=True)",
)

# A call that starts from a state which no default of PyTorch or Keras has.
STARTED = (
    "optax:rmsprop(learning_rate=0.001, decay=0.5, eps=0.01, initial_scale=0.0625, "
    "eps_in_sqrt=False, centered=True)",
)

# Rules with fields that no call of a native means: decay after the step, and no bias correction.
DECAYED_LATE: tuple[Rule, ...] = tuple(
    kind(lr=0.25, weight_decay=0.25, decay=Decay.AFTER) for kind in RULES if kind is not Rprop
)
UNSAID: tuple[Rule, ...] = (
    *DECAYED_LATE,
    Rprop(lr=0.25, smallest=0.125, weight_decay=0.25, decay=Decay.AFTER),
    SGD(momentum=0.5, nesterov=True, weight_decay=0.25, decay=Decay.AFTER, maximize=True),
    Adam(epsilon=1e-6, bias_correction=False),
    Adam(
        lr=0.01,
        beta1=0.5,
        beta2=0.75,
        epsilon=1e-3,
        weight_decay=0.25,
        decay=Decay.AFTER,
        amsgrad=True,
        bias_correction=False,
        maximize=True,
    ),
    Adam(epsilon=1e-3, epsilon_at=Epsilon.HAT, bias_correction=False, weight_decay=0.25),
    LAMB(lr=0.25, epsilon=1e-3, weight_decay=0.25, bias_correction=False),
)

# The calls that are trained and have golden digests.
TRAINED: tuple[str, ...] = (*chain.from_iterable(PLAIN.values()), *VARIANTS)
# All calls of rules with matrix products.
MATRICES: tuple[str, ...] = (*chain.from_iterable(MATRIX.values()), *PRODUCTS)
# One call a rule, for tests that take long.
SHARE: tuple[str, ...] = tuple(calls[-1] for calls in PLAIN.values())
# All calls but those of FURTHER.
CALLS: tuple[str, ...] = (*TRAINED, *FADING, *UPHILL, *RARE, *STARTED, *MATRICES)

# Calls of the other dialects, with every flag switched on once. Only rung 3 runs them.
FURTHER = {
    "tf_keras": (
        "tf_keras:SGD(learning_rate=0.01)",
        "tf_keras:SGD(learning_rate=0.01, momentum=0.9)",
        "tf_keras:SGD(learning_rate=0.01, momentum=0.9, nesterov=True)",
        "tf_keras:Adagrad(learning_rate=0.01)",
        "tf_keras:Adagrad(learning_rate=0.01, initial_accumulator_value=0.0, epsilon=1e-5, "
        "decay=0.125)",
        "tf_keras:Adadelta(learning_rate=1.0)",
        "tf_keras:RMSprop(learning_rate=0.001)",
        "tf_keras:RMSprop(learning_rate=0.001, centered=True)",
        "tf_keras:RMSprop(learning_rate=0.001, momentum=0.9)",
        "tf_keras:RMSprop(learning_rate=0.001, momentum=0.9, centered=True)",
        "tf_keras:Adam(learning_rate=0.001)",
        "tf_keras:Adam(learning_rate=0.001, amsgrad=True)",
        "tf_keras:Adamax(learning_rate=0.001)",
        "tf_keras:Nadam(learning_rate=0.001)",
        "tf_keras:Nadam(learning_rate=0.001, schedule_decay=0.5)",
        "tf_keras:Ftrl(learning_rate=0.01)",
        f"tf_keras:Ftrl(learning_rate=0.01, {FTRL_ARGUMENTS})",
    ),
    "tensorflow1": (
        "tensorflow1:GradientDescentOptimizer(learning_rate=0.01)",
        "tensorflow1:MomentumOptimizer(learning_rate=0.01, momentum=0.9)",
        "tensorflow1:MomentumOptimizer(learning_rate=0.01, momentum=0.9, use_nesterov=True)",
        "tensorflow1:AdagradOptimizer(learning_rate=0.01)",
        "tensorflow1:AdagradOptimizer(learning_rate=0.01, initial_accumulator_value=1e-8)",
        "tensorflow1:AdadeltaOptimizer(learning_rate=1.0)",
        # An epsilon of 1e-4 changes a float32 result; the default is lost in rounding.
        "tensorflow1:RMSPropOptimizer(learning_rate=0.001, decay=0.5, epsilon=1e-4)",
        "tensorflow1:RMSPropOptimizer(learning_rate=0.001, decay=0.5, epsilon=1e-4, momentum=0.9, "
        "centered=True)",
        "tensorflow1:AdamOptimizer(learning_rate=0.001)",
        "tensorflow1:FtrlOptimizer(learning_rate=0.01)",
        f"tensorflow1:FtrlOptimizer(learning_rate=0.01, {FTRL_ARGUMENTS})",
    ),
    "optax": (
        "optax:sgd(learning_rate=0.01)",
        "optax:sgd(learning_rate=0.01, momentum=0.9)",
        "optax:sgd(learning_rate=0.01, momentum=0.9, nesterov=True)",
        "optax:sgd(learning_rate=-0.01, momentum=0.9)",
        "optax:adagrad(learning_rate=0.01)",
        "optax:adagrad(learning_rate=0.01, initial_accumulator_value=0.0)",
        "optax:adadelta(learning_rate=1.0)",
        "optax:adadelta(learning_rate=1.0, weight_decay=0.25)",
        "optax:rmsprop(learning_rate=0.001)",
        "optax:rmsprop(learning_rate=0.001, eps_in_sqrt=False)",
        "optax:rmsprop(learning_rate=0.001, momentum=0.9)",
        "optax:rmsprop(learning_rate=0.001, decay=0.5, eps=1e-4, momentum=0.9, centered=True, "
        "initial_scale=1.0)",
        "optax:adam(learning_rate=0.001)",
        "optax:adamw(learning_rate=0.001, weight_decay=0.25)",
        "optax:amsgrad(learning_rate=0.001, bias_correction_mu=False, bias_correction_nu=False)",
        "optax:nadam(learning_rate=0.002)",
        "optax:nadamw(learning_rate=0.002, weight_decay=0.25)",
        "optax:radam(learning_rate=0.001)",
        "optax:adamax(learning_rate=0.002)",
        "optax:adamaxw(learning_rate=0.002, weight_decay=0.25)",
        "optax:lion(learning_rate=0.0001, weight_decay=0.25)",
        "optax:lamb(learning_rate=0.001)",
        "optax:lamb(learning_rate=0.001, weight_decay=0.25)",
        "optax:rprop(learning_rate=0.001)",
        "optax:rprop(learning_rate=0.001, eta_minus=0.25, eta_plus=1.5, min_step_size=0.0005, "
        "max_step_size=0.002)",
    ),
    "onnx": (
        "onnx:Momentum(R=0.01, alpha=0.0, beta=1.0, mode='standard', norm_coefficient=0.0)",
        "onnx:Momentum(R=0.01, alpha=0.9, beta=0.5, mode='standard', norm_coefficient=0.25)",
        "onnx:Momentum(R=0.01, alpha=0.9, beta=1.0, mode='nesterov', norm_coefficient=0.0)",
        "onnx:Adagrad(R=0.01)",
        "onnx:Adagrad(R=0.01, H=0.125, decay_factor=0.125, norm_coefficient=0.25)",
        "onnx:Adam(R=0.001)",
        "onnx:Adam(R=0.001, norm_coefficient=0.25)",
    ),
}
