"""For your own tests and scripts: ``assert_same_steps`` compares your optimizer with a rule, a call
or another optimizer; ``Recorder`` records the gradients of your own training for ``samestep
compare``."""
