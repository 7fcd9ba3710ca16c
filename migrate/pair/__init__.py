"""Compare one training step of a PyTorch model and a Keras model that are meant to be the same."""
