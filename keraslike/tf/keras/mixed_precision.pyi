"""Types of `keraslike.tf.keras.mixed_precision`. Written by tests/types/stubs.py."""

from keraslike.mixed_precision import *
