"""Types of `keraslike.tf.keras.optimizers`. Written by tests/types/stubs.py."""

from keraslike.optimizers import *
