"""Types of `keraslike.tf.keras.visualization`. Written by tests/types/stubs.py."""

from keraslike.visualization import *
