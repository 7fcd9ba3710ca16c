"""An audit as a person reads it: what was lost first, how far it is off, and what cures it."""

from collections.abc import Iterator

from samestep.migrate.port.refused import one_line

from .comparison import Audit
from .leaves import Loss, Stage

SHOWN = 5  # leaves in a list

# By stage and framework, the line that cures a loss.
CURES: dict[tuple[Stage, str], str] = {
    (Stage.WEIGHTS, "pytorch"): "save model.state_dict() and load it",
    (Stage.WEIGHTS, "keras"): "save and load the weights of the whole model",
    (Stage.BUFFERS, "pytorch"): (
        "save the whole model.state_dict(), not its parameters alone: buffers such as those of "
        "BatchNorm belong to it"
    ),
    (Stage.BUFFERS, "keras"): "save the whole model: what is not trained belongs to it",
    (Stage.ARRAYS, "pytorch"): "save optimizer.state_dict() and load it",
    (Stage.ARRAYS, "keras"): (
        "call model.optimizer.build(model.trainable_variables) before model.load_weights(): an "
        "optimizer that is not built forgets its state"
    ),
    (Stage.COUNTS, "pytorch"): "save optimizer.state_dict() whole: each tensor's step is in it",
    (Stage.COUNTS, "keras"): (
        "save optimizer.iterations with the optimizer's variables, and load it after build()"
    ),
    (Stage.GROUPS, "pytorch"): (
        "make the scheduler before optimizer.load_state_dict(), for making one sets the rates "
        "anew; then load both"
    ),
    (Stage.GROUPS, "keras"): "save and load optimizer.learning_rate",
    (Stage.SCHEDULE, "pytorch"): "save scheduler.state_dict() and load it",
    (Stage.SCHEDULE, "keras"): "save and load optimizer.iterations, by which schedules go",
    (Stage.SCALE, "pytorch"): "save scaler.state_dict() and load it",
    (Stage.SCALE, "keras"): "save and load the variables of the LossScaleOptimizer",
    (Stage.AVERAGES, "pytorch"): "save the averaged model's state_dict() and load it",
    (Stage.AVERAGES, "keras"): "build the optimizer before loading, so that it has its averages",
    (Stage.RANDOM, "pytorch"): (
        "save torch.get_rng_state() (and those of CUDA, NumPy and random, if you use them) and "
        "set it as the last thing when loading"
    ),
    (Stage.RANDOM, "keras"): (
        "save the variables called seed_generator_state, which no file of Keras has: "
        "[v for v in model.variables if v.name == 'seed_generator_state']"
    ),
    (Stage.DATA, "pytorch"): "save how many batches were seen, and skip them when loading",
    (Stage.DATA, "keras"): "save how many batches were seen, and skip them when loading",
}  # fmt: skip
CAST = (
    "optimizer.load_state_dict() casts state to the dtype of the weights; put the saved tensors "
    "back afterwards: optimizer.state[parameter][name] = saved[name]"
)


def lines(audit: Audit) -> Iterator[str]:
    """The verdict, the losses, and the cure."""
    span = f"saved after {audit.at} steps, {audit.steps} steps on"
    if audit.same:
        yield f"SAME run: {span}, all bits are equal"
        yield f"compared: {', '.join(audit.parts)}, and the weights after each step"
        return
    yield f"NOT the unbroken run: {span}"
    if not audit.repeatable:
        yield (
            "the run does not repeat itself, even unbroken: draw its data and seeds in build(), "
            "then ask again"
        )
        return
    yield f"first lost: {audit.stage or 'not found'}"
    for loss in audit.losses[:SHOWN]:
        yield f"  {loss.stage}: {one_line(loss.name)} {one_line(loss.text)}"
    if len(audit.losses) > SHOWN:
        yield f"  and {len(audit.losses) - SHOWN} more"
    if audit.first_step is None:
        yield f"the weights are equal for {audit.steps} steps: it was lost, though not yet seen"
    else:
        yield (
            f"weights differ from step {audit.at + audit.first_step} on, by up to "
            f"{audit.distance:.2g} of their path"
        )
    yield f"cure: {cure(audit)}"


def cure(audit: Audit) -> str:
    """The line that cures the first loss."""
    if audit.stage is None:
        return (
            "no part that build() gives differs, and neither random numbers nor batches explain "
            'it; give all that the step uses as parts, and the data as "batches"'
        )
    first: Loss | None = audit.losses[0] if audit.losses else None
    if first is not None and first.how == "cast":
        return CAST
    return CURES[audit.stage, audit.framework]
