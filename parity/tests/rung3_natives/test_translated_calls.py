"""Whole calls in another dialect: the parts inside them, and what a script has beside them."""

import inspect
from typing import Any

import numpy as np
import pytest

from samestep.reference import dialects, parts
from samestep.reference.dialects import Inexpressible, Translation
from samestep.reference.parts import ClipGlobalNorm, ClipNorm, ClipValue, Infinite

pytestmark = pytest.mark.rung(3)

SGD_LINES = "opt = torch.optim.SGD(model.parameters(), lr=0.1)\n"


def translated(text: str, target: str) -> Translation:
    return dialects.translate(dialects.read_call(text), dialects.find(target))


IN_PYTORCH = [  # what a Keras optimizer holds, and words of PyTorch that must stand beside the call
    ("clipnorm=1.0", "p.grad.mul_(1.0 / p.grad.norm().clamp(min=1.0))"),
    ("clipnorm=1.0", "parts.clip_(parameters, ClipNorm(limit=1.0))"),
    ("clipvalue=0.5", "torch.nn.utils.clip_grad_value_(parameters, clip_value=0.5)"),
    ("global_clipnorm=2.0", "norm = torch.nn.utils.get_total_norm("),
    ("global_clipnorm=2.0", "parts.clip_(parameters, ClipGlobalNorm(limit=2.0"),
    ("use_ema=True", "avg_fn=torch.optim.swa_utils.get_ema_avg_fn(decay=0.99)"),
    ("use_ema=True, ema_momentum=0.9", "get_ema_avg_fn(decay=0.9)"),
    ("loss_scale_factor=1024.0", "(loss * 1024.0).backward()"),
    ("loss_scale_factor=1024.0", "p.grad.div_(1024.0)"),
    ("gradient_accumulation_steps=4", "(loss / 4).backward()"),
    ("gradient_accumulation_steps=4", "after each 4th batch"),
    ("gradient_accumulation_steps=4, loss_scale_factor=8.0", "(loss * 8.0 / 4).backward()"),
]


@pytest.mark.parametrize(("inside", "code"), IN_PYTORCH)
@pytest.mark.parametrize("optimizer", ["SGD(learning_rate=0.1", "Adam(learning_rate=0.1"])
def test_parts_inside_a_keras_call_are_written_in_the_words_of_pytorch(
    optimizer: str, inside: str, code: str
) -> None:
    """The native call as well, though Adam's needs a setting before each step."""
    translation = translated(f"keras:{optimizer}, {inside})", "pytorch")
    assert code in "\n".join(translation.lines)
    assert translation.lines[0].startswith(f"pytorch:{optimizer[:4].strip('(')}")
    assert bool(translation.refusals) == optimizer.startswith("Adam")
    assert not any("tensorflow" in line for line in (*translation.lines, *translation.refusals))


def test_parts_that_are_switched_off_leave_no_trace() -> None:
    text = "keras:SGD(clipnorm=None, use_ema=False, ema_momentum=0.9, loss_scale_factor=None)"
    assert translated(text, "pytorch") == Translation(("pytorch:SGD(lr=0.01)",))


CLIPPINGS = [  # a call's argument, the part, gradients whose norms are exact
    ("clipnorm=2.5", ClipNorm(limit=2.5)),
    ("clipnorm=10.0", ClipNorm(limit=10.0)),
    ("clipvalue=3.5", ClipValue(limit=3.5)),
    ("global_clipnorm=6.5", ClipGlobalNorm(limit=6.5, infinite=Infinite.NAN)),
    ("global_clipnorm=100.0", ClipGlobalNorm(limit=100.0, infinite=Infinite.NAN)),
]


@pytest.mark.parametrize(("argument", "clipping"), CLIPPINGS)
def test_the_code_of_a_clipping_clips_as_keras_does(argument: str, clipping: Any) -> None:
    """Norms 5, 12 and 13, whose quotients are exact: equal bits."""
    torch = pytest.importorskip("torch", reason="torch is not installed")
    gradients = [np.array([3.0, 4.0]), np.array([[0.0, 12.0]])]
    parameters = [torch.zeros(g.shape, dtype=torch.float64, requires_grad=True) for g in gradients]
    for parameter, gradient in zip(parameters, gradients, strict=True):
        parameter.grad = torch.tensor(gradient)
    lines = translated(f"keras:SGD({argument})", "pytorch").lines
    code = [line.strip() for line in lines[2:] if line.startswith("  ") and "samestep" not in line]
    exec("\n".join(code), {"torch": torch, "parameters": parameters})
    expected = clipping.clip(gradients, np)
    for parameter, array in zip(parameters, expected, strict=True):
        assert np.array_equal(parameter.grad.numpy(), array)


def test_a_schedule_is_written_in_the_words_of_the_other_dialect() -> None:
    cosine = "keras.optimizers.schedules.CosineDecay(0.1, 1000)"
    lines = translated(f"keras.optimizers.SGD({cosine})", "pytorch").lines
    assert lines[0] == "pytorch:SGD(lr=0.1)"
    assert "torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=1000" in lines[2]
    same = translated(f"keras.optimizers.SGD({cosine})", "keras").lines
    assert same[0].startswith("keras:SGD(learning_rate=keras.optimizers.schedules.CosineDecay(init")
    assert dialects.read_call(same[0]).arguments == {
        "learning_rate": parts.Cosine(lr=0.1, steps=1000)
    }
    warm = f"{cosine[:-1]}, warmup_target=0.5, warmup_steps=10)"
    lines = translated(f"keras.optimizers.SGD({warm})", "pytorch").lines
    assert lines[0] == "pytorch:SGD(lr=0.5)"
    assert "LinearLR(optimizer, start_factor=0.2, total_iters=10)" in lines[2]


def test_the_decay_of_a_legacy_optimizer_is_a_schedule() -> None:
    """Adagrad's is its rule's own, and Nadam ignores its decay."""
    text = "tf.keras.optimizers.legacy.RMSprop(lr=1e-3, decay=1e-6)"
    assert any(
        "InverseTime(lr=0.001, factor=1e-06)" in x for x in translated(text, "pytorch").lines
    )
    schedule = "InverseTimeDecay(initial_learning_rate=0.01, decay_steps=1, decay_rate=0.5)"
    assert translated("tf_keras:SGD(lr=0.01, decay=0.5)", "keras").lines == (
        f"keras:SGD(learning_rate=keras.optimizers.schedules.{schedule})",
    )
    adagrad = "tf_keras:Adagrad(lr=0.5, decay=0.25, initial_accumulator_value=0.0)"
    assert "lr_decay=0.25" in translated(adagrad, "pytorch").lines[0]
    assert len(translated("tf_keras:Nadam(lr=0.5, decay=0.25)", "pytorch").lines) == 1


def test_a_call_that_needs_a_constant_rate_is_refused_beside_a_schedule() -> None:
    """With Nesterov momentum the buffers of both differ while the rate falls."""
    refusals = translated(
        "SGD(lr=0.01, decay=1e-6, momentum=0.9, nesterov=True)", "pytorch"
    ).refusals
    (refusal,) = refusals
    assert "only while the learning rate stays constant" in refusal
    assert "nesterov=True, buffer=Buffer.STEPS" in refusal


def test_schedulers_inside_a_scheduler_are_read() -> None:
    text = SGD_LINES + (
        "scheduler = SequentialLR(opt, [LinearLR(opt, start_factor=0.5, total_iters=4), "
        "ExponentialLR(opt, gamma=0.5)], milestones=[4])"
    )
    (scheduler,) = dialects.read_call(text).beside
    schedule: Any = scheduler.read(lr=1.0)["schedule"]
    assert [schedule.rate(step) for step in (1, 3, 5, 6)] == [0.5, 0.75, 1.0, 0.5]


def test_what_a_dialect_has_no_words_for_is_said() -> None:
    translation = translated("keras:SGD(clipnorm=1.0)", "optax")
    assert translation.lines == ("optax:sgd(learning_rate=0.01)",)
    assert "clipping ClipNorm(limit=1.0) beside the rule" in translation.refusals[0]
    legacy = translated("keras:SGD(clipnorm=1.0, use_ema=True)", "tf_keras")
    assert legacy.lines == ("tf_keras:SGD(learning_rate=0.01, clipnorm=1.0)",)
    assert "average in tf_keras" in legacy.refusals[0]
    with pytest.raises(Inexpressible, match="ema_overwrite_frequency"):
        translated("keras:SGD(use_ema=True, ema_overwrite_frequency=100)", "pytorch")


BESIDE = [  # lines of PyTorch beside the optimizer, and arguments of the Keras call
    ("torch.nn.utils.clip_grad_value_(model.parameters(), 0.5)", "clipvalue=0.5"),
    ("from torch.nn.utils import clip_grad_value_\nclip_grad_value_(p, 0.5)", "clipvalue=0.5"),
    ("s = torch.optim.lr_scheduler.StepLR(opt, 30, 0.1)", "ExponentialDecay(initial_learning_rate"),
    ("s = CosineAnnealingLR(opt, T_max=10)\ns.step()", ""),
    ("ema = AveragedModel(model, avg_fn=get_ema_avg_fn(0.9))", "use_ema=True, ema_momentum=0.9"),
    ("ema = torch.optim.swa_utils.AveragedModel(model, multi_avg_fn="
     "torch.optim.swa_utils.get_ema_multi_avg_fn(0.9))", "use_ema=True, ema_momentum=0.9"),
    ("for x in loader:\n    model(x).backward()\n    nn.utils.clip_grad_norm_(p, 1.0)", ""),
]  # fmt: skip


@pytest.mark.parametrize(("lines", "arguments"), BESIDE)
def test_parts_beside_a_pytorch_optimizer_come_into_the_keras_call(
    lines: str, arguments: str
) -> None:
    """What Keras cannot say is refused; in a comparison of rules they are left out, and named."""
    translation = translated(SGD_LINES + lines, "keras")
    assert translation.lines[0].startswith("keras:SGD(learning_rate=")
    assert arguments in translation.lines[0]
    assert bool(translation.refusals) == (not arguments)
    call = dialects.read_call(SGD_LINES + lines)
    assert call.rule() == dialects.pytorch.read("SGD", lr=0.1)
    assert all("stands beside the optimizer" in sentence for sentence in call.left_out)
    assert len(call.left_out) == 1


def test_two_parts_of_a_kind_and_variables_beside_are_refused() -> None:
    twice = SGD_LINES + "clip_grad_norm_(p, 1.0)\nclip_grad_value_(p, 1.0)"
    with pytest.raises(ValueError, match="must have one clipping, got clip_grad_value_"):
        translated(twice, "keras")
    with pytest.raises(ValueError, match=r"max_norm=args.clip of clip_grad_norm_ is a variable"):
        translated(SGD_LINES + "clip_grad_norm_(p, args.clip)", "keras")
    with pytest.raises(ValueError, match="has nothing called 'OneCycler' here"):
        translated(SGD_LINES + "torch.optim.lr_scheduler.OneCycler(opt, 0.1)", "keras")


def test_schedulers_have_the_order_of_the_live_signatures() -> None:
    torch = pytest.importorskip("torch", reason="torch is not installed")
    for name in dialects.parts.pytorch.SCHEDULERS:
        kind = getattr(torch.optim.lr_scheduler, name)
        assert dialects.scheduler_order(name) == tuple(inspect.signature(kind).parameters)


def test_a_variable_stays_where_its_value_does_not_matter() -> None:
    translation = translated("torch.optim.AdamW(p, lr=args.lr, weight_decay=wd)", "optax")
    assert translation.lines == ("optax:adamw(learning_rate=args.lr, weight_decay=wd)",)
    assert translation.assumptions == ("args.lr, wd: any number above 0, and no schedule",)
    refused = translated("torch.optim.AdamW(p, lr=args.lr)", "keras")
    assert "Adam(lr=args.lr, weight_decay=0.01" in refused.refusals[0]


@pytest.mark.parametrize(
    ("text", "target", "message"),
    [
        ("torch.optim.AdamW(p, lr=args.lr)", "paper", "lr=args.lr of torch.optim.AdamW is a var"),
        ("torch.optim.SGD(p, lr=0.1, **kw)", "keras", r"\*\*kw of torch.optim.SGD is a variable"),
        ("torch.optim.Adam(p, betas=betas)", "optax", "betas=betas of torch.optim.Adam is a var"),
        ("torch.optim.SGD(p, 0.1, nesterov=flag)", "keras", "nesterov=flag of torch.optim.SGD"),
        ("keras.optimizers.Adagrad(epsilon=e)", "pytorch", "epsilon=e of keras.optimizers.Adagrad"),
    ],
)
def test_a_variable_that_matters_is_named(text: str, target: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        translated(text, target)
