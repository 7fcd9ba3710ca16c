"""The calls that stand for every rule in every dialect, wherever all rules are tried."""

PLAIN = {  # one call a rule and dialect of a framework, with learning rates that suit the experiment
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
    "Lion": ("keras:Lion(learning_rate=0.0001)",),
    "LAMB": ("keras:Lamb(learning_rate=0.01)",),
    "Adafactor": ("pytorch:Adafactor(lr=0.05, eps=(1e-07, 0.001))", "keras:Adafactor(learning_rate=0.05)"),
}

EVERYDAY = ("SGD", "Adagrad", "Adadelta", "RMSprop", "Adam")  # what the report trains unless asked for more

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
    "keras:Lion(learning_rate=0.0001, weight_decay=0.01)",
    "keras:ScheduleFreeAdamW(learning_rate=0.0025, warmup_steps=10, weight_decay=0.01)",
)

RARE = (  # every remaining argument of a native, at a size that shows in a short trial; they are not trained
    "pytorch:ASGD(lr=0.01, lambd=0.5, alpha=0.6, t0=3.0, weight_decay=0.25, maximize=True)",
    "pytorch:Rprop(lr=0.001, etas=(0.25, 1.5), step_sizes=(0.0005, 0.002), maximize=True)",
    "pytorch:Adamax(lr=0.002, eps=0.001, weight_decay=0.25, maximize=True)",
    "pytorch:NAdam(lr=0.002, momentum_decay=0.5, weight_decay=0.25, decoupled_weight_decay=True, maximize=True)",
    "pytorch:RAdam(lr=0.001, betas=(0.9, 0.75), eps=0.001, weight_decay=0.25, maximize=True)",
    "keras:Adamax(learning_rate=0.002, weight_decay=0.25)",
    "keras:Nadam(learning_rate=0.001, weight_decay=0.25)",
    "pytorch:Adafactor(lr=0.5, beta2_decay=-0.6, eps=(0.001, 0.05), d=2.0, weight_decay=0.25, maximize=True)",
    "keras:Adafactor(learning_rate=0.5, beta_2_decay=-0.6, epsilon_1=0.000001, epsilon_2=0.0625, clip_threshold=0.5, "
    "weight_decay=0.25)",
    "keras:Adafactor(learning_rate=0.5, relative_step=False)",
    "keras:Lamb(learning_rate=0.1, beta_1=0.8, beta_2=0.7, epsilon=0.001, weight_decay=0.25)",
    "keras:Ftrl(learning_rate=0.01, learning_rate_power=-0.3, l1_regularization_strength=0.01, "
    "l2_regularization_strength=0.5, l2_shrinkage_regularization_strength=0.25, beta=0.5, weight_decay=0.25)",
)

FADING = (  # an L2 penalty shrinks the weights of pixels that are always black until their steps are subnormal numbers,
    # which TensorFlow flushes to zero and the others do not: seen in the first epoch, so these are not trained
    "pytorch:Adam(lr=0.001, weight_decay=0.001)",
    "pytorch:RMSprop(lr=0.001, momentum=0.9, centered=True, weight_decay=0.001)",
)

UPHILL = (  # every rule with maximize; they have no business in training
    "pytorch:SGD(lr=0.01, momentum=0.5, dampening=0.5, weight_decay=0.25, maximize=True)",
    "pytorch:Adagrad(lr=0.01, weight_decay=0.25, maximize=True)",
    "pytorch:Adadelta(lr=0.5, weight_decay=0.25, maximize=True)",
    "pytorch:RMSprop(lr=0.001, weight_decay=0.25, maximize=True)",
    "pytorch:AdamW(lr=0.001, weight_decay=0.25, maximize=True, amsgrad=True)",
)

TRAINED: tuple[str, ...] = (*(call for calls in PLAIN.values() for call in calls), *VARIANTS)
CALLS: tuple[str, ...] = (*TRAINED, *FADING, *UPHILL, *RARE)
