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

STARTED = (  # from a state that no default of PyTorch or Keras has
    "optax:rmsprop(learning_rate=0.001, decay=0.5, eps=0.01, initial_scale=0.0625, eps_in_sqrt=False, centered=True)",
)

TRAINED: tuple[str, ...] = (*(call for calls in PLAIN.values() for call in calls), *VARIANTS)
CALLS: tuple[str, ...] = (*TRAINED, *FADING, *UPHILL, *STARTED)

FURTHER = {  # calls of dialects beyond the two frameworks', every flag switched on once; run on the third rung alone
    "tf_keras": (
        "tf_keras:SGD(learning_rate=0.01)",
        "tf_keras:SGD(learning_rate=0.01, momentum=0.9)",
        "tf_keras:SGD(learning_rate=0.01, momentum=0.9, nesterov=True)",
        "tf_keras:Adagrad(learning_rate=0.01)",
        "tf_keras:Adagrad(learning_rate=0.01, initial_accumulator_value=0.0, epsilon=1e-5, decay=0.125)",
        "tf_keras:Adadelta(learning_rate=1.0)",
        "tf_keras:RMSprop(learning_rate=0.001)",
        "tf_keras:RMSprop(learning_rate=0.001, centered=True)",
        "tf_keras:RMSprop(learning_rate=0.001, momentum=0.9)",
        "tf_keras:RMSprop(learning_rate=0.001, momentum=0.9, centered=True)",
        "tf_keras:Adam(learning_rate=0.001)",
        "tf_keras:Adam(learning_rate=0.001, amsgrad=True)",
    ),
    "tensorflow1": (
        "tensorflow1:GradientDescentOptimizer(learning_rate=0.01)",
        "tensorflow1:MomentumOptimizer(learning_rate=0.01, momentum=0.9)",
        "tensorflow1:MomentumOptimizer(learning_rate=0.01, momentum=0.9, use_nesterov=True)",
        "tensorflow1:AdagradOptimizer(learning_rate=0.01)",
        "tensorflow1:AdagradOptimizer(learning_rate=0.01, initial_accumulator_value=1e-8)",
        "tensorflow1:AdadeltaOptimizer(learning_rate=1.0)",
        "tensorflow1:RMSPropOptimizer(learning_rate=0.001, decay=0.5, epsilon=1e-4)",  # float32 can tell this epsilon
        "tensorflow1:RMSPropOptimizer(learning_rate=0.001, decay=0.5, epsilon=1e-4, momentum=0.9, centered=True)",
        "tensorflow1:AdamOptimizer(learning_rate=0.001)",
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
        "optax:rmsprop(learning_rate=0.001, decay=0.5, eps=1e-4, momentum=0.9, centered=True, initial_scale=1.0)",
        "optax:adam(learning_rate=0.001)",
        "optax:adamw(learning_rate=0.001, weight_decay=0.25)",
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
