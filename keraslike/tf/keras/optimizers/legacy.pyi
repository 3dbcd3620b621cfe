"""Types of `keraslike.tf.keras.optimizers.legacy`. Written by tests/types/stubs.py."""

from keraslike.optimizers.legacy import *
