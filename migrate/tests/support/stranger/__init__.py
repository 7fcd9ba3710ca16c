"""Pairs by somebody who has not read how samestep finds a cause, and the faults in them.

Each fault was written down with its stage, its layer and what a true cause must say before it was
run. Three were corrected after: a frozen embedding shows in *backward*, which comes first; zeros
around a pooling and a forgotten activation show at the next layer. One was no fault: Keras'
functional models override ``training=False``, so the pair is the same.
"""

from . import (
    actor,
    causal,
    habits,
    language,
    noisy,
    padded,
    patches,
    ratings,
    recurrent,
    segmenter,
    siamese,
    squeezed,
    tabular,
    tagger,
    unusual,
)  # fmt: skip
from .pair import Fault, Pair

KINDS = (
    actor, causal, habits, language, noisy, padded, patches, ratings, recurrent, segmenter,
    siamese, squeezed, tabular, tagger,
)  # fmt: skip
FAULTS: dict[str, Fault] = {name: fault for kind in KINDS for name, fault in kind.FAULTS.items()}
RIGHT: dict[str, Pair] = {
    name: pair for kind in (*KINDS, unusual) for name, pair in kind.RIGHT.items()
}
