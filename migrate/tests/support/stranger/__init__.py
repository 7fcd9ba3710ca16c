"""Pairs by somebody who has not read how samestep finds a cause, and the faults in them.

Each fault was written down with its stage, its layer and what a true cause must say before it was
run. What was too narrow was widened after: a frozen embedding shows in *backward*, which comes
first; a forgotten activation, and zeros around a pooling, at the next layer; a softmax too many in
the loss, which is said best; axes that are exchanged may be called "height and width" or "another
order". What was too wide was narrowed, where an untrue sentence had one of its words. One fault
was none: Keras' functional models override ``training=False``, so the pair is the same.
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
