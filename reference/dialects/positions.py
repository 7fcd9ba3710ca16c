"""The arguments of the natives in the order of their signatures; a test holds it to the libraries.

Arguments after ``*`` are taken by name alone. ``ORDERS`` has an entry for each dialect whose calls
can be pasted from a script; ``NEW_KERAS_2`` stands for the optimizers of TensorFlow 2.11 to 2.15,
which are ``tf_keras.optimizers`` now.
"""

from typing import NamedTuple

NEW_KERAS_2 = "tf_keras.optimizers"

_KERAS = (
    "clipnorm clipvalue global_clipnorm use_ema ema_momentum ema_overwrite_frequency "
    "loss_scale_factor gradient_accumulation_steps name"
)
_NEW = (
    "clipnorm clipvalue global_clipnorm use_ema ema_momentum ema_overwrite_frequency jit_compile "
    "name * lr"
)
_LEGACY = "* lr decay clipnorm clipvalue global_clipnorm gradient_aggregator gradient_transformers"
_MEANS = "learning_rate beta_1 beta_2 epsilon"
_FTRL = "learning_rate learning_rate_power initial_accumulator_value l1_regularization_strength"
_L2 = "l2_regularization_strength"
_SHRINKAGE = "l2_shrinkage_regularization_strength beta"

_COMMON = {  # in both generations of Keras' new optimizers, before the arguments of all
    "SGD": "learning_rate momentum nesterov weight_decay",
    "Adagrad": "learning_rate initial_accumulator_value epsilon weight_decay",
    "Adadelta": "learning_rate rho epsilon weight_decay",
    "RMSprop": "learning_rate rho momentum epsilon centered weight_decay",
    "Adam": f"{_MEANS} amsgrad weight_decay",
    "AdamW": "learning_rate weight_decay beta_1 beta_2 epsilon amsgrad",
    "Adamax": f"{_MEANS} weight_decay",
    "Nadam": f"{_MEANS} weight_decay",
    "Lion": "learning_rate beta_1 beta_2 weight_decay",
    "Adafactor": (
        "learning_rate beta_2_decay epsilon_1 epsilon_2 clip_threshold relative_step weight_decay"
    ),
    "Ftrl": f"{_FTRL} {_L2} {_SHRINKAGE} weight_decay",
}
_TEXTS: dict[str, dict[str, str]] = {
    "pytorch": {
        "SGD": "params lr momentum dampening weight_decay nesterov * maximize foreach "
               "differentiable fused",
        "Adagrad": "params lr lr_decay weight_decay initial_accumulator_value eps foreach * "
                   "maximize differentiable fused",
        "Adadelta": "params lr rho eps weight_decay foreach * capturable maximize differentiable",
        "RMSprop": "params lr alpha eps weight_decay momentum centered capturable foreach maximize "
                   "differentiable",
        "Adam": "params lr betas eps weight_decay amsgrad * foreach maximize capturable "
                "differentiable fused decoupled_weight_decay",
        "AdamW": "params lr betas eps weight_decay amsgrad * maximize foreach capturable "
                 "differentiable fused",
        "SparseAdam": "params lr betas eps maximize",
        "Adamax": "params lr betas eps weight_decay foreach * maximize differentiable capturable",
        "NAdam": "params lr betas eps weight_decay momentum_decay decoupled_weight_decay * "
                 "foreach maximize capturable differentiable",
        "RAdam": "params lr betas eps weight_decay decoupled_weight_decay * foreach maximize "
                 "capturable differentiable",
        "Rprop": "params lr etas step_sizes * capturable foreach maximize differentiable",
        "Adafactor": "params lr beta2_decay eps d weight_decay * foreach maximize",
        "Muon": "params lr weight_decay momentum nesterov ns_coefficients eps ns_steps "
                "adjust_lr_fn",
        "ASGD": "params lr lambd alpha t0 weight_decay foreach maximize differentiable capturable",
    },
    "keras": {
        **{name: f"{order} {_KERAS}" for name, order in _COMMON.items()},
        "Lamb": f"{_MEANS} weight_decay {_KERAS}",
        "Muon": "learning_rate adam_beta_1 adam_beta_2 adam_weight_decay epsilon weight_decay "
                f"{_KERAS} exclude_layers exclude_embeddings muon_a muon_b muon_c adam_lr_ratio "
                "momentum ns_steps nesterov rms_rate",
        "ScheduleFreeAdamW": f"{_MEANS} warmup_steps weight_decay {_KERAS}",
    },
    NEW_KERAS_2: {
        **{name: f"{order} {_NEW}" for name, order in _COMMON.items()},
        "Adam": f"{_MEANS} adaptive_epsilon amsgrad weight_decay {_NEW}",
    },
    "tf_keras": {
        "SGD": f"learning_rate momentum nesterov name {_LEGACY}",
        "Adagrad": f"learning_rate initial_accumulator_value epsilon name {_LEGACY}",
        "Adadelta": f"learning_rate rho epsilon name {_LEGACY}",
        "RMSprop": f"learning_rate rho momentum epsilon centered name {_LEGACY}",
        "Adam": f"{_MEANS} amsgrad name {_LEGACY}",
        "Adamax": f"{_MEANS} name {_LEGACY}",
        "Nadam": f"{_MEANS} name {_LEGACY} schedule_decay",
        "Ftrl": f"{_FTRL} {_L2} name {_SHRINKAGE} {_LEGACY}",
    },
    "tensorflow1": {
        "GradientDescentOptimizer": "learning_rate use_locking name",
        "MomentumOptimizer": "learning_rate momentum use_locking name use_nesterov",
        "AdagradOptimizer": "learning_rate initial_accumulator_value use_locking name",
        "AdadeltaOptimizer": "learning_rate rho epsilon use_locking name",
        "RMSPropOptimizer": "learning_rate decay momentum epsilon use_locking centered name",
        "AdamOptimizer": "learning_rate beta1 beta2 epsilon use_locking name "
                         "use_own_namescope_for_non_slot_vars",
        "FtrlOptimizer": f"{_FTRL} {_L2} use_locking name accum_name linear_name {_SHRINKAGE}",
    },
    "optax": {
        "sgd": "learning_rate momentum nesterov accumulator_dtype",
        "adagrad": "learning_rate initial_accumulator_value eps",
        "adadelta": "learning_rate rho eps weight_decay weight_decay_mask",
        "rmsprop": "learning_rate decay eps initial_scale eps_in_sqrt centered momentum nesterov "
                   "bias_correction",
        "adam": "learning_rate b1 b2 eps eps_root mu_dtype * nesterov",
        "adamw": "learning_rate b1 b2 eps eps_root mu_dtype weight_decay mask * nesterov",
        "nadam": "learning_rate b1 b2 eps eps_root mu_dtype * nesterov",
        "nadamw": "learning_rate b1 b2 eps eps_root mu_dtype weight_decay mask * nesterov",
        "radam": "learning_rate b1 b2 eps eps_root threshold * nesterov",
        "adamax": "learning_rate b1 b2 eps",
        "adamaxw": "learning_rate b1 b2 eps weight_decay mask",
        "lion": "learning_rate b1 b2 mu_dtype weight_decay mask",
        "lamb": "learning_rate b1 b2 eps eps_root weight_decay mask",
        "rprop": "learning_rate eta_minus eta_plus min_step_size max_step_size",
    },
}  # fmt: skip


class Order(NamedTuple):
    """The arguments that an optimizer takes by position, in order, and those by name alone."""

    by_position: tuple[str, ...]
    by_name: tuple[str, ...] = ()

    @property
    def every(self) -> tuple[str, ...]:
        """All arguments."""
        return (*self.by_position, *self.by_name)


def _order(text: str) -> Order:
    by_position, _, by_name = text.partition("*")
    return Order(tuple(by_position.split()), tuple(by_name.split()))


ORDERS: dict[str, dict[str, Order]] = {
    library: {name: _order(text) for name, text in texts.items()}
    for library, texts in _TEXTS.items()
}
