"""What samestep answers wrongly today, with the reason in one sentence."""

IGNORED = "a label of -100, which PyTorch ignores, stops the search for the loss with an IndexError"
TOKEN = "a fault behind it makes the map of a parameter of the user's own module ambiguous"
TWIN = "a function that TensorFlow has outside of layers is said to have no twin in Keras"
LOOP = "nn.RNN is mapped by its shapes alone, so a fault makes its map ambiguous"
POOL = "a pooling that has its twin, but another input or padding, is said to have no twin"

MISSED = {
    # right pairs
    "siamese": "the moving variance of a normalization that is called twice is accused",
    "pooled, biased": "the second bias of nn.RNN is missing in Keras' SimpleRNN, even at rest",
    "inputs and outputs by name": "outputs of a dictionary are compared by place, not by name",
    "one input with names": "a dictionary is given as keywords, also to one argument",
    "sequences to sequences": "targets of sequences do not get Keras' layout",
    "volumes to sequences": "targets of sequences do not get Keras' layout",
    "a stride by a slice": "one layer of PyTorch that is two in Keras is accused",
    "habits, dropout first": "ReLU and dropout, which exchange, are accused in the other order",
    # faults
    "tagger: padding counts in the mean": IGNORED,
    "tagger: mean of the sentences' means": IGNORED,
    "tagger: weighted sum over the number of words": IGNORED,
    "tagger: time is turned behind both directions": (
        "Keras' last layer is said to have no twin, where only its input differs"
    ),
    "patches: scaled by the width of all heads": TOKEN,
    "patches: softmax over the queries": TOKEN,
    "patches: heads are reshaped without a transposition": TOKEN,
    "patches: normalized behind the sum": TOKEN,
    "patches: mean instead of the class token": TOKEN,
    "patches: class token last": TOKEN,
    "language: sees one word ahead": TWIN,
    "language: scores are masked with 0": TWIN,
    "noisy: the variance for the deviation": TWIN,
    "causal: first time instead of last": "an index is said to have no twin, which has one",
    "pooled: softmax over the features": LOOP,
    "pooled: ReLU in the loop": LOOP,
    "pooled: mean over time": LOOP,
    "squeezed: zeros around the maximum": POOL,
    "squeezed: ReLU of the sum": POOL,
    "squeezed: zeros count in the average": POOL,
    "squeezed: an activation too many": POOL,
    "habits: a capped ReLU": "the cause names the same activation twice and not its max_value",
}
