"""The implementations and modes in which frameworks run their own optimizers.

It loads no framework, so that a text about a native can be read without one.
"""

KERAS_MODES = ("eager", "graph", "xla")
IMPLEMENTATIONS = ("for-loop", "foreach", "fused")  # of the optimizers of torch.optim
# The optimizers of torch.optim with one implementation; their calls choose none.
UNVARIED = ("Muon",)
# The optimizers of torch.optim with a fused implementation.
FUSED = ("SGD", "Adagrad", "Adam", "AdamW")
