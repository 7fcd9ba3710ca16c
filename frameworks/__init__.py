"""The same experiment and the same optimizers in NumPy, PyTorch and TensorFlow; the same file names in each."""
