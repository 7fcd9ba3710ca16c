"""Conventions of losses, of what surrounds the optimizer, and of files."""

from .convention import Convention

LOSSES = (
    Convention(
        name="cross-entropy-input",
        topic="cross entropy",
        matter="what the loss takes",
        keras="probabilities by default, clipped at 1e-07; logits with from_logits=True",
        pytorch="logits",
        effect="a probability of 1e-09 costs 16.1 in Keras and 20.7 in PyTorch",
        facts={
            "keras from_logits": False,
            "keras clips at": 1e-07,
            "pytorch takes": "logits",
        },
    ),
    Convention(
        name="class-weights",
        topic="cross entropy",
        matter="the divisor with weights",
        keras="the size of the batch",
        pytorch="the sum of the weights",
        effect="the losses differ by the mean weight",
        facts={"keras over pytorch, weights 1 and 3": 2.0},
    ),
    Convention(
        name="masked-loss",
        topic="cross entropy",
        matter="positions that do not count",
        keras="a mask; the sum is divided by the number of positions that count",
        pytorch="the label ignore_index, -100 by default; the same divisor",
        effect="equal means",
        facts={"pytorch ignore_index": -100, "keras mean": 2.0, "pytorch mean": 2.0},
    ),
    Convention(
        name="l2",
        topic="L2",
        matter="the factor, and where it is seen",
        keras="kernel_regularizer=L2(l): l times the sum of squares, in the loss that is shown",
        pytorch="weight_decay=l: l times w in the gradient, not in the loss",
        effect="weight_decay is 2 l",
        facts={"keras gradient of L2(0.25) at 3": 1.5, "pytorch gradient of 0.25 at 3": 0.75},
    ),
)
AROUND = (
    Convention(
        name="loss-scale",
        topic="loss scale",
        matter="start and growth",
        keras="starts at 2^15, doubles after 2000 steps",
        pytorch="starts at 2^16, doubles after 2000 steps",
        effect="steps that are skipped at the start differ; PyTorch's schedule goes on then",
        facts={
            "keras start": 32768.0,
            "keras steps": 2000,
            "pytorch start": 65536.0,
            "pytorch steps": 2000,
        },
    ),
    Convention(
        name="clip",
        topic="clipping by norm",
        matter="which tensors, and what is added",
        keras="clipnorm takes each variable by itself, global_clipnorm all together",
        pytorch="clip_grad_norm_ takes all together and adds 1e-06 to the norm",
        effect="PyTorch's packed attention matrix is one tensor, Keras' are three",
        facts={
            "keras clipnorm": (1.0, 1.0),
            "pytorch gradient of 1 clipped to 0.5 is below 0.5": True,
        },
    ),
    Convention(
        name="momentum",
        topic="SGD with momentum",
        matter="what is stored",
        keras="minus the rate times the sum of gradients",
        pytorch="the sum of gradients",
        effect="under a schedule one cannot be had from the other, except for the next step",
        facts={"keras": -0.5, "pytorch": 2.0},
    ),
    Convention(
        name="step-number",
        topic="optimizers",
        matter="how steps are counted",
        keras="one int64 in all",
        pytorch="a float32 for each parameter",
        effect="PyTorch's stops at 2^24",
        facts={"keras dtype": "int64", "pytorch dtype": "float32", "2^24 + 1": 16777216.0},
    ),
    Convention(
        name="random-state",
        topic="Dropout",
        matter="the state of the random generator",
        keras="not in the file of the weights",
        pytorch="not in state_dict()",
        effect="a resumed run with dropout draws other masks",
        facts={"keras weights": 0, "pytorch entries": 0},
    ),
)
FILES = (
    Convention(
        name="optimizer-file",
        topic="files",
        matter="the state of the optimizer",
        keras="by position: iteration, learning_rate, then m and v of each variable in turn",
        pytorch="by position in the list of parameters, named exp_avg and exp_avg_sq",
        effect="carry it by the map of the parameters, never by position",
        facts={
            "keras": ("iteration", "learning_rate", "momentum", "velocity", "momentum", "velocity"),
            "pytorch": ("step", "exp_avg", "exp_avg_sq"),
        },
    ),
    Convention(
        name="checkpoint-names",
        topic="files",
        matter="TensorFlow checkpoints",
        keras="legacy optimizers of Keras 2 store slots by name, Keras 3 stores them by position",
        pytorch="no such file",
        effect="a checkpoint is read with tf.train.load_checkpoint; nothing in it is executed",
        facts={"legacy has slots by name": True, "keras 3 has slots by position": True},
        needs=("tf_keras",),
    ),
    Convention(
        name="tensorflow1-steps",
        topic="files",
        matter="the step number of TensorFlow 1's Adam",
        keras="only beta1_power and beta2_power are stored",
        pytorch="the step itself is stored",
        effect="0.9^t leaves the normal numbers of float32 at t = 829, 0.999^t at 87294: take the "
        "second",
        facts={"last step of 0.9": 828, "last step of 0.999": 87293},
    ),
)
TRAINING = (*LOSSES, *AROUND, *FILES)
