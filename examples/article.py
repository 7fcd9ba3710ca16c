"""The article's script, with this project's optimizer in the place of Keras' (or Keras' own, to
compare).

python examples/article.py            Adagrad of ``reference``, five epochs
python examples/article.py --keras    keras.optimizers.Adagrad
"""

from typing import Annotated

import keras
import typer

import samestep.frameworks.tensorflow
from samestep.frameworks.experiment import mnist
from samestep.reference import dialects


def main(
    native: Annotated[
        bool, typer.Option("--keras", help="use keras.optimizers.Adagrad itself")
    ] = False,
    epochs: int = 5,
) -> None:
    """Train the article's network on MNIST and print its accuracy on the test set."""
    keras.utils.set_random_seed(1)
    data = mnist.load()
    x_train, x_test = (
        images.reshape(-1, 28, 28) / 255.0 for images in (data.train_images, data.test_images)
    )
    model = keras.Sequential([
        keras.Input((28, 28)),
        keras.layers.Flatten(),
        keras.layers.Dense(128, activation="relu"),
        keras.layers.Dropout(0.2),
        keras.layers.Dense(10, activation="softmax"),
    ])  # fmt: skip
    rule = dialects.keras.read("Adagrad", learning_rate=0.01)
    optimizer = (
        keras.optimizers.Adagrad(learning_rate=0.01)
        if native
        else samestep.frameworks.tensorflow.Optimizer(rule)
    )
    model.compile(optimizer=optimizer, loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(x_train, data.train_labels, epochs=epochs, verbose=2)
    _, accuracy = model.evaluate(x_test, data.test_labels, verbose=0)
    print(f"accuracy on the test set: {accuracy:.4f}")


if __name__ == "__main__":
    typer.run(main)
