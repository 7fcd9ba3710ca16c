"""The court: streams of gradients, trajectories, derived limits, deviations, mutants, and the tests that use them."""
