"""Calls as people paste them from scripts and tutorials: what each means, and what is refused."""

import dataclasses
import importlib
import inspect
import struct
from typing import Any

import pytest

from samestep.parity.runners import specs
from samestep.reference import (
    FTRL,
    LAMB,
    SGD,
    Adadelta,
    Adafactor,
    Adagrad,
    Adam,
    Adamax,
    Decay,
    Epsilon,
    Lion,
    Muon,
    NAdam,
    RAdam,
    RMSprop,
    Rule,
    dialects,
)
from samestep.reference.dialects.positions import NEW_KERAS_2, ORDERS
from samestep.reference.parts import Cosine, Exponential
from samestep.reference.rule import Buffer

pytestmark = pytest.mark.rung(3)

FLOAT32 = struct.unpack("f", struct.pack("f", 1e-3))[0]  # 1e-3 in float32


def keras_adam(**fields: Any) -> Adam:
    """What keras.optimizers.Adam() means, with other fields."""
    return Adam(epsilon=1e-7, epsilon_at=Epsilon.HAT, decay=Decay.DECOUPLED).replace(**fields)


def keras_sgd(**fields: Any) -> SGD:
    """What keras.optimizers.SGD() means, with other fields."""
    return SGD(buffer=Buffer.STEPS, decay=Decay.DECOUPLED).replace(**fields)


MEANINGS: list[tuple[str, Rule]] = [
    # PyTorch
    ("torch.optim.Adam(model.parameters(), lr=1e-3)", Adam(lr=1e-3)),
    ("optim.AdamW(params, 1e-3, weight_decay=0.1)",
     Adam(lr=1e-3, weight_decay=0.1, decay=Decay.DECOUPLED)),
    ("optimizer = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9, nesterov=True)",
     SGD(lr=0.1, momentum=0.9, nesterov=True)),
    ("optimizer = optim.SGD(net.parameters(), lr=0.001, momentum=0.9)", SGD(lr=1e-3, momentum=0.9)),
    ("optimizer = optim.SGD(net.parameters(), 0.1, 0.9, 0, 5e-4)",
     SGD(lr=0.1, momentum=0.9, weight_decay=5e-4)),
    ("optimizer_d = torch.optim.Adam(netD.parameters(), 2e-4, (0.5, 0.999))",
     Adam(lr=2e-4, beta1=0.5)),
    ("opt = torch.optim.Adam(filter(lambda p: p.requires_grad, model.parameters()), lr=3e-4)",
     Adam(lr=3e-4)),
    ("opt = torch.optim.Adam([p for p in model.parameters() if p.requires_grad], lr=3e-4)",
     Adam(lr=3e-4)),
    ("opt = torch.optim.Adam(list(encoder.parameters()) + list(decoder.parameters()), lr=1e-4)",
     Adam(lr=1e-4)),
    ("torch.optim.Adam(params=model.parameters(), lr=5e-4*2)", Adam(lr=5e-4 * 2)),
    ("torch.optim.Adam(model.parameters(), lr=10**-3)", Adam(lr=10**-3)),
    ("torch.optim.Adam(model.parameters(), lr=1/255)", Adam(lr=1 / 255)),
    ("torch.optim.Adam(model.parameters(), lr=-(-1e-3))", Adam(lr=1e-3)),
    ("torch.optim.Adam(model.parameters(), lr=0.1 * 64 / 256)", Adam(lr=0.1 * 64 / 256)),
    ("torch.optim.Adam(model.parameters(), lr=torch.tensor(1e-3))", Adam(lr=FLOAT32)),
    ("torch.optim.Adam(model.parameters(), lr=torch.tensor(1e-3, dtype=torch.float64))",
     Adam(lr=1e-3)),
    ("torch.optim.Adam(model.parameters(), lr=1e-3, foreach=args.foreach, fused=cuda.ok())",
     Adam(lr=1e-3)),
    ("self.opt = torch.optim.RMSprop(self.q.parameters(), lr=2.5e-4, alpha=0.95, eps=0.01)",
     RMSprop(lr=2.5e-4, rho=0.95, epsilon=0.01)),
    ("torch.optim.RMSprop(policy.parameters(), 1e-2, 0.9)", RMSprop(lr=1e-2, rho=0.9)),
    ("torch.optim.Adagrad(model.parameters(), lr=1e-2, lr_decay=1e-4)",
     Adagrad(lr=1e-2, lr_decay=1e-4, epsilon=1e-10)),
    ("torch.optim.Adadelta(model.parameters(), lr=1.0)",
     Adadelta(lr=1.0, rho=0.9, epsilon=1e-6)),
    ("torch.optim.NAdam(model.parameters(), 2e-3, (0.9, 0.99))", NAdam(lr=2e-3, beta2=0.99)),
    ("torch.optim.RAdam(model.parameters(), lr=1e-3)", dialects.pytorch.read("RAdam")),
    ("torch.optim.Adamax(model.parameters())", dialects.pytorch.read("Adamax")),
    ("torch.optim.adam.Adam(model.parameters(), lr=1e-3)", Adam(lr=1e-3)),
    ("torch.optim.SGD([{'params': body.parameters()}, {'params': head.parameters()}], lr=0.01)",
     SGD(lr=0.01)),
    (">>> opt = torch.optim.Adam(\n...     model.parameters(),  # all of them\n...     lr=1e-3,\n"
     "... );", Adam(lr=1e-3)),
    ("    optimizer = torch.optim.Adam(\n        model.parameters(),\n        lr=1e-3,\n    )\n",
     Adam(lr=1e-3)),
    ("from torch.optim import Adam\noptimizer = Adam(net.parameters(), lr=1e-3)", Adam(lr=1e-3)),
    ("import torch.optim as opt\no = opt.AdamW(net.parameters())",
     Adam(lr=1e-3, weight_decay=0.01, decay=Decay.DECOUPLED)),
    ("Adam(model.parameters(), lr=1e-3)", Adam(lr=1e-3)),
    ("Adam(params, 1e-3)", Adam(lr=1e-3)),
    ("AdamW(optimizer_grouped_parameters, lr=5e-5, eps=1e-8)",
     Adam(lr=5e-5, weight_decay=0.01, decay=Decay.DECOUPLED)),
    ("lambda params: torch.optim.SGD(params, lr=0.1)", SGD(lr=0.1)),
    ("def configure_optimizers(self):\n    return torch.optim.Adam(self.parameters(), lr=1e-3)",
     Adam(lr=1e-3)),
    ("lr = 3e-4\nmodel = Net()\nloss = nn.MSELoss()\nopt = torch.optim.Adam(net.weights, lr)",
     Adam(lr=3e-4)),
    ("optimizer: torch.optim.Optimizer = torch.optim.SGD(p, lr=.5)", SGD(lr=0.5)),
    ("opt, sched = torch.optim.SGD(p, lr=.5), torch.optim.lr_scheduler.StepLR(opt, 30)",
     SGD(lr=0.5)),
    ("torch.optim.Adam(model.parameters(), lr=float('1e-3'))", Adam(lr=1e-3)),
    ("torch.optim.Adam(model.parameters(), lr=np.float32(1e-3))", Adam(lr=FLOAT32)),
    ("torch.optim.Muon(net.parameters(), 0.02, 0.01)",
     dialects.pytorch.read("Muon", lr=0.02, weight_decay=0.01)),
    ("pytorch:Adam", Adam(lr=1e-3)),
    ("pytorch:AdamW(params, 1e-4)", Adam(lr=1e-4, weight_decay=0.01, decay=Decay.DECOUPLED)),
    ("pytorch:torch.optim.Adam(lr=1e-4)", Adam(lr=1e-4)),
    # Keras 3
    ("keras.optimizers.Adam(1e-3)", keras_adam()),
    ("opt = keras.optimizers.Adam(learning_rate=0.01)", keras_adam(lr=0.01)),
    ("tf.keras.optimizers.Adam(learning_rate=1e-3)", keras_adam()),
    ("tf.optimizers.Adam(learning_rate=1e-3)", keras_adam()),
    ("tf.keras.optimizers.SGD(0.01, 0.9, True)", keras_sgd(lr=0.01, momentum=0.9, nesterov=True)),
    ("from tensorflow import keras\nkeras.optimizers.SGD(learning_rate=1e-2)", keras_sgd()),
    ("from tensorflow.keras.optimizers import Adam\nmodel.compile(Adam(1e-4), 'mse')",
     keras_adam(lr=1e-4)),
    ("from keras import optimizers\nopt = optimizers.RMSprop(1e-4, 0.9)",
     RMSprop(lr=1e-4, epsilon=1e-7, rho=0.9, epsilon_at=Epsilon.INSIDE, buffer=Buffer.STEPS)),
    ("model.compile(optimizer='adam', loss='mse', metrics=['accuracy'])", keras_adam()),
    ('model.compile(loss="mse", optimizer="sgd")', keras_sgd()),
    ('model.compile("rmsprop", "mse")', dialects.keras.read("RMSprop")),
    ('optimizer="nadam", loss="mse"', dialects.keras.read("Nadam")),
    ("optimizer=keras.optimizers.Adam(1e-3),", keras_adam()),
    ("model.compile(\n    optimizer=keras.optimizers.AdamW(1e-3, 0.05),\n    loss='mse',\n)",
     keras_adam(weight_decay=0.05, decay=Decay.DECOUPLED)),
    ("opt = keras.optimizers.Adam(1e-4)\nmodel.compile(optimizer=opt, loss='mse')",
     keras_adam(lr=1e-4)),
    ("keras:adam", keras_adam()),
    ("keras:Adam(1e-3),", keras_adam()),
    ("if args.opt == 'adam':\n    opt = keras.optimizers.Adam(1e-3)", keras_adam()),
    ("return {'optimizer': keras.optimizers.Adam(1e-3), 'monitor': 'loss'}", keras_adam()),
    ("adam", keras_adam()),
    ("'adam'", keras_adam()),
    ("keras.optimizers.get('lion')", Lion(lr=1e-3)),
    ("keras.optimizers.Adam", keras_adam()),
    ("Adam(learning_rate=1e-3)", keras_adam()),
    ("Adam(1e-3)", keras_adam()),
    ("keras.optimizers.Lamb(1e-2)", dialects.keras.read("Lamb", learning_rate=1e-2)),
    ("keras.optimizers.Ftrl(0.05)", dialects.keras.read("Ftrl", learning_rate=0.05)),
    # Keras 2
    ("tf.keras.optimizers.legacy.Adam(1e-3)", keras_adam()),
    ("tf.keras.optimizers.legacy.RMSprop(lr=1e-3)", RMSprop(lr=1e-3, rho=0.9, epsilon=1e-7)),
    ("tf.keras.optimizers.Nadam(lr=2e-3, schedule_decay=0.004)",
     NAdam(lr=2e-3, epsilon=1e-7, momentum_decay=0.004)),
    ("keras.optimizers.Adagrad(lr=0.01, decay=1e-3)",
     Adagrad(lr=0.01, initial_accumulator=0.1, epsilon=1e-7, lr_decay=1e-3)),
    ("tf_keras.optimizers.Adam(1e-3, weight_decay=0.1)",
     keras_adam(weight_decay=0.1, decay=Decay.DECOUPLED)),
    ("import tf_keras as keras\nkeras.optimizers.Lion()", Lion(lr=1e-4)),
    ("tf.keras.optimizers.Adam(learning_rate=1e-3, jit_compile=False)", keras_adam()),
    ("tf.keras.optimizers.experimental.AdamW(1e-3, 0.1)",
     keras_adam(weight_decay=0.1, decay=Decay.DECOUPLED)),
    # TensorFlow 1
    ("train_step = tf.train.GradientDescentOptimizer(0.5).minimize(cross_entropy)", SGD(lr=0.5)),
    ("tf.train.AdamOptimizer(1e-4)", Adam(lr=1e-4, epsilon_at=Epsilon.HAT)),
    ("tf.compat.v1.train.MomentumOptimizer(0.01, 0.9, use_nesterov=True)",
     SGD(lr=0.01, momentum=0.9, nesterov=True)),
    ("import tensorflow.compat.v1 as tf\ntf.disable_v2_behavior()\n"
     "op = tf.train.AdagradOptimizer(0.1).minimize(loss)",
     dialects.tensorflow1.read("AdagradOptimizer", learning_rate=0.1)),
    ("AdamOptimizer(1e-4)", Adam(lr=1e-4, epsilon_at=Epsilon.HAT)),
    # optax
    ("optax.adamw(1e-3)", Adam(lr=1e-3, weight_decay=1e-4, decay=Decay.DECOUPLED)),
    ("tx = optax.sgd(0.1, 0.9, True)", SGD(lr=0.1, momentum=0.9, nesterov=True)),
    ("import optax as ox\ntx = ox.lion(3e-4, weight_decay=0.1)",
     Lion(lr=3e-4, weight_decay=0.1, decay=Decay.DECOUPLED)),
    ("optax.lamb(learning_rate=1e-3)", LAMB(lr=1e-3, epsilon=1e-6, decay=Decay.JOINED)),
    ("optax:adam(1e-3)", Adam(lr=1e-3)),
]  # fmt: skip


@pytest.mark.parametrize(("text", "rule"), MEANINGS, ids=[text for text, _ in MEANINGS])
def test_a_pasted_call_means_its_rule(text: str, rule: Rule) -> None:
    assert repr(dialects.read(text)) == repr(rule)
    assert repr(specs.rule(text)) == repr(rule)


def test_there_are_many_pasted_calls() -> None:
    assert len(MEANINGS) >= 60
    kinds = {type(rule) for _, rule in MEANINGS}
    assert kinds >= {SGD, Adam, RMSprop, NAdam, RAdam, Adamax, FTRL, LAMB, Lion, Muon, Adadelta}
    assert Adafactor not in kinds


REFUSALS = [
    # a name that is spelled otherwise, or is no optimizer
    ("torch:Adam(lr=0.1)", "no dialect 'torch'; .*did you mean pytorch"),
    ("PyTorch:Adam(lr=0.1)", "no dialect 'PyTorch'; .*did you mean pytorch"),
    ("Keras:Adam()", "no dialect 'Keras'; .*did you mean keras"),
    ("optx:adam(1e-3)", "no dialect 'optx'; .*did you mean optax"),
    ("tensorflow:Adam()", "no dialect 'tensorflow'; .*did you mean keras"),
    ("pytorch:Adm(lr=1)", "no optimizer 'Adm' here; did you mean Adam"),
    ("torch.optim.adam(p, lr=1)", "no optimizer 'adam' here; did you mean Adam"),
    ("keras.optimizers.AdamOptimizer(1e-3)", "no optimizer 'AdamOptimizer' here; .* Adam"),
    ("optax.Adam(1e-3)", "no optimizer 'Adam' here; did you mean adam"),
    ("torch.optim.Adma(p, lr=1)", "no optimizer 'Adma' here; did you mean Adam"),
    ("torch.optim.Adam(p, lr=lambda s: 0.1)", "functions are not executed here; write the number"),
    ("Adm(params, lr=0.1)", "got 'Adm'; did you mean Adam"),
    ("adaam", "got 'adaam'; did you mean Adam"),
    ("torch.optimizer.Adam(p)", "torch.optimizer.Adam is in no library.*mean torch.optim.Adam"),
    ("torch.Adam(p)", "torch.Adam is in no library.*did you mean torch.optim.Adam"),
    ("tf.keras.Adam(1e-3)", "tf.keras.Adam is in no library.*mean tf.keras.optimizers.Adam"),
    ("transformers.AdamW(p, lr=1e-3)", "transformers.AdamW is in no library that is read here"),
    ("nn.CrossEntropyLoss()", "nn.CrossEntropyLoss is in no library"),
    ("torch.optim.lr_scheduler.StepLR(opt, 30)", "StepLR is a learning rate schedule, and no opt"),
    ("Net(3)", "a call must read like .*got 'Net'"),
    # left out on purpose
    ("pytorch:LBFGS(lr=1)", "torch.optim.LBFGS is left out: it asks for several gradients a step"),
    ("torch.optim.LBFGS(model.parameters(), lr=1)", "LBFGS is left out: it asks for several"),
    ("keras.optimizers.LossScaleOptimizer(keras.optimizers.Adam())", "is left out: it scales"),
    ("optax.chain(optax.clip(1.0), optax.adam(1e-3))", "optax.chain is left out: it stands around"),
    ("optax.yogi(1e-3)", "optax.yogi is left out"),
    ("tf.train.ProximalAdagradOptimizer(0.1)", "ProximalAdagradOptimizer is left out: it"),
    # arguments
    ("keras:Adam(learning_rte=0.1)", "no argument 'learning_rte'.*did you mean learning_rate"),
    ("torch.optim.Adam(p, learning_rate=0.1)", "no argument 'learning_rate'.*did you mean lr"),
    ("keras.optimizers.Adam(epsilon=1e-8, beta1=0.9)", "no argument 'beta1'.*mean beta_1"),
    ("torch.optim.Adam(p, epsilon=1e-8)", "no argument 'epsilon'.*did you mean eps"),
    ("torch.optim.SGD(p, lr=0.1, momentun=0.9)", "no argument 'momentun'.*did you mean momentum"),
    ("pytorch:SGD(lr=0.1, lr=0.2)", "must be given lr once, got 0.1 and 0.2"),
    ("torch.optim.SGD(p, 0.1, lr=0.2)", "must be given lr once, got 0.1 and 0.2"),
    ("torch.optim.SGD(p, params=q)", "must be given params once, got p and q"),
    ("keras:Adam(0.1, learning_rate=0.2)", "must be given learning_rate once, got 0.1 and 0.2"),
    ("torch.optim.Adam(1e-3)", "is given the parameters first, got 0.001; did you mean lr=0.001"),
    ("pytorch:SGD(0.1)", "is given the parameters first, got 0.1; did you mean lr=0.1"),
    ("torch.optim.Adam(p, 1e-3, (0.9, 0.99), 1e-8, 0, False, True)", "at most 6 .*got True"),
    ("paper:Adam(0.1)", "takes its arguments by name, got 0.1"),
    ("torch.optim.SGD([{'params': a}, {'params': b, 'lr': 1e-3}], lr=0.1)", "group with 'lr'"),
    ("keras.optimizers.Adam(learning_rate='0.1')", "lr must be a real number .*got '0.1'"),
    ("tf_keras.optimizers.Adam(1e-3, decay=1e-6)", "no argument 'decay': the legacy optimizers"),
    ("tf_keras.optimizers.Adam(1e-3, adaptive_epsilon=True)", "adaptive_epsilon of tf_keras"),
    ("tf_keras.optimizers.Lamb()", "tf_keras.optimizers has no optimizer 'Lamb'"),
    ("tf.keras.optimizers.legacy.RMSprop(lr=1e-3, decay=1e-6)", "decay=1e-06 of tf_keras.*lr /"),
    # values that only the running program knows
    ("torch.optim.Adam(p, lr=args.lr)", "lr=args.lr of torch.optim.Adam is a variable"),
    ("torch.optim.Adam(p, **cfg)", r"\*\*cfg of torch.optim.Adam is a variable"),
    ("torch.optim.Adam(*args)", r"\*args of torch.optim.Adam is a variable"),
    ("keras.optimizers.Adam(learning_rate=schedule)", "learning_rate=schedule of keras"),
    ("torch.optim.Adam(p, betas=(0.9, beta2))", r"betas=\(0.9, beta2\) of torch"),
    ("torch.optim.Adam(p, lr=cfg['lr'])", r"lr=cfg\['lr'\] of torch"),
    ("torch.optim.Adam(p, lr=1e-3 if big else 1e-4)", "lr=0.001 if big else 0.0001 of torch"),
    ("torch.optim.Adam(p, lr=__import__('os').getpid())", r"lr=__import__\('os'\).getpid\(\) of"),
    ("keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(1e-3, 1000))",
     "learning_rate of keras.optimizers.Adam is a schedule, Cosine"),
    ("opt = torch.optim.Adam(p, lr)\nlr = 1e-3", "lr=lr of torch"),
    ("lr = 0.1\nlr = 0.2\nopt = torch.optim.Adam(p, lr)", "lr=lr of torch"),
    ("lr = 0.1\nlr *= 2\nopt = torch.optim.Adam(p, lr)", "lr=lr of torch"),
    ("lr = 0.1\nif big:\n    lr = 1\nopt = torch.optim.Adam(p, lr)", "lr=lr of torch"),
    ("if big:\n    lr = 1\nopt = torch.optim.Adam(p, lr)", "lr=lr of torch"),
    ("for lr in (1, 2):\n    opt = torch.optim.Adam(p, lr)", "lr=lr of torch"),
    ("torch.optim.Adam(p, lr=max(1e-3, 1e-4))", r"write the value in its place$"),
    # arithmetic
    ("torch.optim.Adam(p, lr=1/0)", "1 / 0 has no value: division by zero"),
    ("torch.optim.Adam(p, lr=9**9**9**9)", r"9 \*\* 9 \*\* 9 is too large a power"),
    ("torch.optim.Adam(p, lr=10**400)", r"10 \*\* 400 is too large a power"),
    ("torch.optim.Adam(p, lr='1' * 10**9)", "arithmetic must be"),
    ("torch.optim.Adam(p, lr=(-1)**0.5)", "must be a real number"),
    ("torch.optim.Adam(p, lr=1e308 * 10)", "must be a real number"),
    ("torch.optim.Adam(p, lr=float('fast'))", r"float\('fast'\) is no number"),
    ("torch.optim.Adam(p, lr=float('inf'))", r"lr must lie in \[0, inf\), got inf"),
    # ambiguous, several, none
    ("Adam(lr=1e-3)", r"may be pytorch:Adam\(lr=0.001\) or tf_keras:Adam\(lr=0.001\): write which"),
    ("SGD()", r"may be pytorch:SGD\(\) or keras:SGD\(\) or tf_keras:SGD\(\)"),
    ("Adam", r"Adam alone is not clear: write pytorch:Adam\(\) or keras:Adam\(\)"),
    ("Adam(lr=1e-3, beta_1=0.9, betas=(0.9, 0.99))", "no Adam takes the arguments"),
    ("g = torch.optim.Adam(p, 1e-4)\nd = torch.optim.SGD(q, 4e-4)",
     "one optimizer, got 2: torch.optim.Adam and torch.optim.SGD"),
    ("pytorch:keras.optimizers.Adam(1e-3)", "keras.optimizers.Adam is of keras:, and the text beg"),
    ("", "got an empty text"),
    (" \n\t", "got an empty text"),
    ("x = 1", "which has no optimizer"),
    ("eval('1')", "got 'eval'"),
    # what is no Python
    ("keras:Adam(learning_rate=1e-3", "was never closed"),
    ("keras:Adam(learning_rate=1e-3))", r"unmatched '\)'"),
    ("torch.optim.Adam(p, betas=(0.9, 0.999], lr=1)", "does not match"),
    ("keras:Adam(learning_rate=0.001 beta_1=0.9)", "at 'beta_1=0.9|Perhaps you forgot a comma"),
    ("keras:Adam(lr==1e-3, )()", "must read like"),
    ("keras:Adam(learning_rate=1e\u22123)", r"U\+2212.* mean keras:Adam\(learning_rate=1e-3\)"),
    ("torch.optim.Adam(p, lr=1e\u20133)", r"U\+2013.* did you mean torch.optim.Adam\(p, lr=1e-3\)"),
    ("model.compile(optimizer=\u201cadam\u201d)", r"U\+201C.*did you mean model.compile"),
    ("keras:", "must read like"),
    (":Adam()", "must read like"),
    ("keras::Adam()", "must read like"),
    ("keras:Adam()()", "must read like"),
    ("keras:Adam(learning_rate=" + "(" * 300 + "1" + ")" * 300 + ")", "must read like"),
    ("a" * 30_000, "30000 characters"),
    ("keras:Adam(\0)", "must read like"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "message"), REFUSALS, ids=[text[:60] for text, _ in REFUSALS])
def test_a_refusal_names_the_word_that_is_the_trouble(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=f"(?s){message}"):
        dialects.read(text)


@pytest.mark.parametrize("value", [None, 1e-3, b"keras:Adam()", ["keras:Adam()"], Adam()])
def test_what_is_no_text_is_refused(value: Any) -> None:
    with pytest.raises(ValueError, match="as text, got"):
        dialects.read(value)


def test_nothing_in_a_text_is_executed(capsys: pytest.CaptureFixture[str]) -> None:
    call = dialects.read_call("torch.optim.Adam(print('executed'), lr=print('executed'))")
    assert call.variables == {"lr": "print('executed')"}
    assert capsys.readouterr().out == ""


def test_a_variable_that_changes_no_step_is_left_out() -> None:
    call = dialects.read_call("torch.optim.AdamW(p, lr=args.lr, fused=args.fused)")
    assert call.variables == {"lr": "args.lr"}
    assert call.text == "pytorch:AdamW(lr=args.lr)"


def test_a_schedule_in_a_call_is_read_by_the_readers_of_parts() -> None:
    text = "keras.optimizers.Adam(tf.keras.optimizers.schedules.CosineDecay(1e-3, 1000))"
    assert dialects.read_call(text).arguments == {"learning_rate": Cosine(lr=1e-3, steps=1000)}
    script = (
        "from keras.optimizers.schedules import ExponentialDecay\nrate = 0.1\n"
        "decay = ExponentialDecay(rate, decay_steps=100, decay_rate=0.96, staircase=True)\n"
        "opt = keras.optimizers.SGD(learning_rate=decay)"
    )
    schedule = Exponential(lr=0.1, steps=100, factor=0.96, staircase=True)
    assert dialects.read_call(script).arguments == {"learning_rate": schedule}
    with pytest.raises(ValueError, match=r"nothing called 'CosineDecai' here.*mean CosineDecay"):
        dialects.read_call(text.replace("Decay(", "Decai("))


ASSUMPTIONS = [
    ("keras.optimizers.Adam(1e-3)", ""),
    ("torch.optim.Adam(p)", ""),
    ("tf.keras.optimizers.Adam(1e-3)", "Keras 3, in TensorFlow from 2.16 on"),
    ("tf.keras.optimizers.Adam(lr=1e-3)", "legacy optimizers alone, so Adam is read as tf_keras"),
    ("keras.optimizers.SGD(lr=0.1, momentum=0.9, decay=0.0)", "tf_keras.optimizers.legacy.SGD"),
    ("tf_keras:Adam()", "tf_keras: means the legacy optimizers"),
    ("tf_keras.optimizers.Adam()", "is read as keras.optimizers.Adam, whose steps it takes"),
    ("adam", "as model.compile takes it: keras:Adam()"),
    ("Adam(1e-3)", "Adam without its library is read as keras:Adam"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "sentence"), ASSUMPTIONS)
def test_what_is_assumed_is_said(text: str, sentence: str) -> None:
    assumptions = " ".join(dialects.read_call(text).assumptions)
    assert bool(assumptions) == bool(sentence)
    assert sentence in assumptions


MODULES = {
    "pytorch": "torch.optim", "keras": "keras.optimizers", NEW_KERAS_2: "tf_keras.optimizers",
    "tf_keras": "tf_keras.optimizers.legacy", "tensorflow1": "tensorflow.compat.v1.train",
    "optax": "optax",
}  # fmt: skip


@pytest.mark.parametrize("library", ORDERS)
def test_arguments_by_position_have_the_order_of_the_live_signatures(library: str) -> None:
    path = MODULES[library]
    top = pytest.importorskip(path.partition(".")[0], reason=f"{path} is not installed")
    module = top
    for name in path.split(".")[1:]:
        module = getattr(module, name, None) or importlib.import_module(f"{module.__name__}.{name}")
    natives = dialects.find(library).natives if library in dialects.DIALECTS else {}
    assert not natives or set(ORDERS[library]) == set(natives)
    for name, order in ORDERS[library].items():
        parameters = inspect.signature(getattr(module, name)).parameters.values()
        by_position = [p.name for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD]
        by_name = [p.name for p in parameters if p.kind is p.KEYWORD_ONLY]
        assert by_position == list(order.by_position)
        assert set(by_name) <= set(order.by_name)
        takes_more = any(p.kind is p.VAR_KEYWORD for p in parameters)
        assert takes_more or set(by_name) == set(order.by_name)


def test_schedules_by_position_have_the_order_of_the_live_signatures() -> None:
    schedules = pytest.importorskip("keras", reason="keras is not installed").optimizers.schedules
    for name in dialects.parts.keras.SCHEDULES:
        names = list(inspect.signature(getattr(schedules, name)).parameters)
        assert dialects.schedule_order(name) == tuple(names)


def test_a_rule_of_a_misspelled_field_is_refused_as_a_rule() -> None:
    with pytest.raises(ValueError, match=r"Adam has no bta1; it takes.*did you mean beta1\?"):
        specs.read("Adam(lr=0.1, bta1=0.9)")
    with pytest.raises(ValueError, match=r"no rule 'Adamm'; there are.*did you mean Adam\?"):
        specs.read("Adamm(lr=0.1)")
    with pytest.raises(ValueError, match="Adam must be given lr once"):
        specs.read("Adam(lr=0.1, lr=0.2)")
    with pytest.raises(ValueError, match=r"lr=args.lr is a variable.*--let args.lr=VALUE"):
        specs.read("Adam(lr=args.lr)")


def test_a_native_and_an_adapter_are_pasted_as_well() -> None:
    native = specs.read("native:torch.optim.Adam(model.parameters(), lr=1e-3)")
    assert (native.home, str(native.call)) == ("pytorch", "Adam(lr=0.001)")
    adapter = specs.read("adapter:tensorflow:torch.optim.Adam(model.parameters(), lr=1e-3)")
    assert adapter.rule == Adam(lr=1e-3)
    with pytest.raises(ValueError, match=r"no dialect 'torch'.*did you mean pytorch"):
        specs.read("native:torch:Adam(lr=1e-3)")
    with pytest.raises(ValueError, match="the legacy ones can be run"):
        specs.read("native:tf_keras.optimizers.Adam(1e-3)")


def test_a_spec_is_one_line_that_can_be_read_again() -> None:
    script = "import torch.optim as opt\no = opt.AdamW(net.parameters(),\n  lr=1e-3)"
    spec = specs.read(script)
    assert spec.text == "pytorch:AdamW(lr=0.001)"
    assert spec.dialect == "pytorch"
    assert dataclasses.replace(specs.read(spec.text), text="") == dataclasses.replace(spec, text="")


def test_values_of_variables_can_be_given() -> None:
    texts = ["torch.optim.SGD(p, lr=args.lr, momentum=m)", "keras.optimizers.SGD(args.lr)"]
    first, second = dialects.fill(texts, ["args.lr=1e-2", "m = 0.9"])
    assert dialects.read(first) == SGD(lr=0.01, momentum=0.9)
    assert dialects.read(second) == keras_sgd(lr=0.01)
    with pytest.raises(ValueError, match="there is no wd in"):
        dialects.fill(texts, ["wd=0.1"])
    with pytest.raises(ValueError, match=r"must be like args.lr=0.001, with a plain value"):
        dialects.fill(texts, ["m=beta"])


def test_a_rate_that_both_sides_leave_open_does_not_matter() -> None:
    same = dialects.share_rate("torch.optim.Adam(p, lr=lr)", "keras.optimizers.Adam(lr)")
    assert [dialects.read(text).lr for text in same.texts] == [1e-3, 1e-3]
    assert same.assumptions == ("lr is the learning rate of both, and they are compared at 0.001",)
    for other in ("keras.optimizers.Adam(rate)", "keras:Adam()", "keras.optimizers.Adam(lr, b)"):
        assert dialects.share_rate("torch.optim.Adam(p, lr=lr)", other).assumptions == ()
