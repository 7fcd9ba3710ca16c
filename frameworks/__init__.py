"""The same experiment and optimizers in NumPy, PyTorch, TensorFlow; the same file names in each."""

FRAMEWORKS = ("numpy", "pytorch", "tensorflow")
