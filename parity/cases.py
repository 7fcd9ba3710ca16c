"""The calls that stand for every rule in every dialect, wherever all rules are tried."""

PLAIN = {  # one call a rule and dialect, with learning rates that suit the experiment
    "SGD": ("pytorch:SGD(lr=0.01)", "keras:SGD(learning_rate=0.01)"),
    "Adagrad": ("pytorch:Adagrad(lr=0.01)", "keras:Adagrad(learning_rate=0.01)"),
    "Adadelta": ("pytorch:Adadelta(lr=1.0)", "keras:Adadelta(learning_rate=1.0)"),
    "RMSprop": ("pytorch:RMSprop(lr=0.001)", "keras:RMSprop(learning_rate=0.001)"),
    "Adam": ("pytorch:Adam(lr=0.001)", "keras:Adam(learning_rate=0.001)"),
}

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
CALLS: tuple[str, ...] = (*TRAINED, *FADING, *UPHILL)
