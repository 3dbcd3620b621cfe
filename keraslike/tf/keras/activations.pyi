"""Types of `keraslike.tf.keras.activations`. Written by tests/types/stubs.py."""

from keraslike.activations import *
