"""The verdict in words that a stranger understands, and whether it holds."""

from collections.abc import Sequence
from typing import Any

from samestep.parity.natives.check import HOLDS as NATIVE_HOLDS
from samestep.parity.natives.hostile import WITHIN as HOSTILE_SAME
from samestep.reference import dialects

from . import work

TITLES = {"numpy": "NumPy", "pytorch": "PyTorch", "tensorflow": "TensorFlow"}
HOLDS, FAILS, LEFT_OUT = "holds", "fails", "left out"
TIMED = {"steps": "step times", "growth": "step times as models grow"}  # told, not judged


def of(content: dict[str, Any]) -> dict[str, Any]:
    """The verdict on a report's content: ``holds``, a headline, and the parts it rests on."""
    parts = [_training(content), _runs(content), _natives(content["natives"])]
    parts += [_hostile(content["hostile"])]
    parts += [_timed(content[name], words) for name, words in TIMED.items()]
    holds = all(part["state"] != FAILS for part in parts)
    return {"holds": holds, "headline": _headline(content, parts), "parts": [p for p in parts if p["words"]]}


def titles(frameworks: Sequence[str]) -> str:
    """Names of frameworks as a list in a sentence."""
    return listed([TITLES[framework] for framework in frameworks])


def listed(words: Sequence[str]) -> str:
    """``a``, ``a and b``, ``a, b and c``."""
    return " and ".join(filter(None, [", ".join(words[:-1]), *words[-1:]]))


def counted(number: int, noun: str) -> str:
    """A number and its noun: ``1 run``, ``1,875 steps``."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def row_words(row: dict[str, Any]) -> str:
    """The state of one row of the training table in words."""
    odd = titles(row["odd"])
    if row["state"] == "equal":
        return f"equal at all {counted(len(row['marks']), 'mark')}"
    if row["state"] == "different":
        return f"{odd}: different, first at the mark of step {row['first_difference']:,}"
    if row["state"] == "altered":
        return f"{odd}: the record's digests are not those of its weights"
    return f"{odd}: no record" if odd else "nothing to compare with"


def defaults_differ(rules: Sequence[str]) -> list[str]:
    """The names which, called with default arguments, mean another rule in PyTorch than in Keras."""
    return [name for name in rules if repr(dialects.pytorch.read(name)) != repr(dialects.keras.read(name))]


def _headline(content: dict[str, Any], parts: Sequence[dict[str, str]]) -> str:
    asked = content["asked"]["frameworks"]
    states = {row["state"] for row in content["training"]}
    if "different" in states:
        return _difference(asked, {f for row in content["training"] if row["state"] == "different" for f in row["odd"]})
    if states != {"equal"}:
        return f"Not shown: {'a record contradicts itself' if 'altered' in states else 'a record is missing'}."
    names = titles([f for f in asked if f != "numpy"] if len(asked) > 2 else asked)
    if any(part["state"] == FAILS for part in parts):
        return f"{names} take the same training step, but not every verdict of this report holds."
    return f"Yes: told the same rule, {names} take the same training step, to the last bit."


def _difference(asked: Sequence[str], odd: set[str]) -> str:
    others = [framework for framework in asked if framework not in odd]
    if not others:
        return f"No: {titles(asked)} did not take the same training steps."
    return f"No: {titles([f for f in asked if f in odd])} did not take the same training steps as {titles(others)}."


def _training(content: dict[str, Any]) -> dict[str, str]:
    rows = content["training"]
    wrong = [f"{row['call']} ({row_words(row)})" for row in rows if row["state"] != "equal"]
    if wrong:
        return _part("training", FAILS, f"{len(wrong)} of {counted(len(rows), 'call')} without equal digests: "
                     f"{'; '.join(wrong)}.")  # fmt: skip
    frameworks = titles(content["asked"]["frameworks"])
    steps, weights = max(row["steps"] for row in rows), max(row["weights"] for row in rows)
    words = (
        f"{counted(len(rows), 'call')} of {counted(len(content['dialects']), 'rule')}, each trained for "
        f"{counted(steps, 'step')} on MNIST in {frameworks}: all {weights:,} weights have the same bits in all of "
        "them, at every mark."
    )
    return _part("training", HOLDS, words)


def _runs(content: dict[str, Any]) -> dict[str, str]:
    failures = content["failures"]
    if not failures:
        return _part("runs", HOLDS, "")
    return _part("runs", FAILS, f"{counted(len(failures), 'run')} left no record; the messages are below.")


def _natives(natives: dict[str, Any]) -> dict[str, str]:
    if natives["state"] != work.DONE:
        return _undone("natives", "The frameworks' own optimizers were not compared", natives)
    rows = natives["rows"]
    differ = [row for row in rows if row["verdict"] not in NATIVE_HOLDS]
    if differ or not rows:
        calls = listed(sorted({f"{row['call']} in {row['witness']}" for row in differ}))
        which = f"{len(differ)} of {counted(len(rows), 'comparison')}"
        return _part(
            "natives", FAILS, f"The frameworks' own optimizers: {which} without a verdict that holds: {calls}."
        )
    recorded = sum(row["verdict"] != "agrees" for row in rows)
    also = f", {recorded} of them with a recorded deviation within its recorded size" if recorded else ""
    words = f"The frameworks' own optimizers follow their dialects in {counted(len(rows), 'comparison')}{also}."
    return _part("natives", HOLDS, words)


def _hostile(hostile: dict[str, Any]) -> dict[str, str]:
    if hostile["state"] != work.DONE:
        return _undone("hostile gradients", "Hostile gradients were not tried", hostile)
    rows = hostile["rows"]
    wrong = [f"{row['call']} ({row['case']})" for row in rows if not row["holds"]]
    if wrong or not rows:
        which = f"{len(wrong)} of {counted(len(rows), 'trial')}"
        return _part(
            "hostile gradients", FAILS, f"Hostile gradients: {which} without the reference's bits: {listed(wrong)}."
        )
    told = sum(row["native"] != HOSTILE_SAME for row in rows)
    words = (
        f"On hostile gradients ours have the reference's bits in {counted(len(rows), 'trial')}; the frameworks' own "
        f"optimizers do otherwise, or refuse, in {told} of them."
    )
    return _part("hostile gradients", HOLDS, words)


def _timed(part: dict[str, Any], name: str) -> dict[str, str]:
    if part["state"] != work.DONE:
        return _undone(name, f"{name.capitalize()} were not measured", part)
    return _part(name, HOLDS, "")


def _undone(name: str, words: str, part: dict[str, Any]) -> dict[str, str]:
    state = FAILS if part["state"] == work.FAILED else LEFT_OUT
    return _part(name, state, f"{words}: {part['words'].splitlines()[-1].rstrip('.')}.")


def _part(name: str, state: str, words: str) -> dict[str, str]:
    return {"name": name, "state": state, "words": words}
