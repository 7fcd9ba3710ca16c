"""What a misspelled name may have meant."""

import difflib
from collections.abc import Iterable

SYNONYMS = (  # arguments of different libraries that mean the same
    ("lr", "learning_rate", "R"),
    ("eps", "epsilon"),
    ("betas", "beta_1", "beta1", "b1"),
    ("betas", "beta_2", "beta2", "b2"),
    ("rho", "alpha"),
    ("weight_decay", "wd", "norm_coefficient"),
    ("nesterov", "use_nesterov"),
)


def near_miss(name: str, known: Iterable[str]) -> str | None:
    """The known name that ``name`` may have meant, or None.

    A name in other letters or with other underscores, another library's word for the same argument,
    the same letters in another order, or a name that is spelled much alike.
    """
    names = list(known)
    plain = {_plain(each): each for each in reversed(names)}
    if _plain(name) in plain:
        return plain[_plain(name)]
    for group in SYNONYMS:
        if name in group:
            for synonym in group:
                if synonym in names:
                    return synonym
    for each in plain:
        if sorted(each) == sorted(_plain(name)):  # two letters changed places
            return plain[each]
    close = difflib.get_close_matches(_plain(name), plain, n=1)
    return plain[close[0]] if close else None


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """``"; did you mean Adam?"``, or an empty text where nothing is near."""
    near = near_miss(name, known)
    return f"; did you mean {near}?" if near else ""


def _plain(name: str) -> str:
    return name.lower().replace("_", "").replace(" ", "").removesuffix("optimizer")
