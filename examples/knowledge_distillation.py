"""A large network teaches a small one.

    python examples/knowledge_distillation.py   # MNIST, downloaded once
    python examples/knowledge_distillation.py --quick

Hinton, Vinyals and Dean, Distilling the knowledge in a neural network,
https://arxiv.org/abs/1503.02531
"""

import shared

import keraslike as keras
from keraslike import layers, ops


class Student(keras.Model):
    """A model that learns from labels and from a teacher's softened predictions.

    The loss is `alpha` times that of the labels and `1 - alpha` times the divergence of the two
    predictions at a temperature, times its square, which keeps the gradients' size.
    """

    def __init__(self, student, teacher, alpha=0.1, temperature=3.0, **kwargs):
        super().__init__(**kwargs)
        self.student, self.teacher = student, teacher
        self.teacher.trainable = False
        self.alpha, self.temperature = alpha, temperature
        self.divergence = keras.losses.KLDivergence()

    def call(self, x):
        return self.student(x)

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        of_labels = super().compute_loss(x, y, y_pred, sample_weight, training)
        taught = ops.softmax(self.teacher(x, training=False) / self.temperature)
        learned = ops.softmax(y_pred / self.temperature)
        of_teacher = self.divergence(taught, learned) * self.temperature**2
        return self.alpha * of_labels + (1 - self.alpha) * of_teacher


def convnet(first, second):
    return keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            layers.Conv2D(first, 3, strides=2, padding="same", activation="leaky_relu"),
            layers.MaxPooling2D(2, strides=1, padding="same"),
            layers.Conv2D(second, 3, strides=2, padding="same"),
            layers.Flatten(),
            layers.Dense(10),
        ]
    )


def main(quick=False, epochs=None):
    if quick:
        pairs = (shared.pictures(n, (28, 28), 10, seed=n) for n in (512, 128))
    else:
        pairs = keras.datasets.mnist.load_data()
    train, test = ((x[..., None].astype("float32") / 255, y) for x, y in pairs)
    batch_size = 32 if quick else 64

    def train_and_test(network):
        network.compile(
            keras.optimizers.Adam(0.005 if quick else 0.001),
            keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            metrics=[keras.metrics.SparseCategoricalAccuracy(name="accuracy")],
        )
        network.fit(*train, batch_size=batch_size, epochs=epochs or 3, verbose=2)
        return network.evaluate(*test, verbose=0)[1]

    teacher = convnet(*((16, 32) if quick else (256, 512)))
    found = {"teacher": train_and_test(teacher)}
    found["student"] = train_and_test(Student(convnet(*((2, 4) if quick else (16, 32))), teacher))
    print(
        f"Test accuracy of the teacher {found['teacher']:.3f}, the student {found['student']:.3f}"
    )
    return found


if __name__ == "__main__":
    main(**shared.options(__doc__))
