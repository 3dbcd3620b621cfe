"""Types of `keraslike.tf.keras.ops`. Written by tests/types/stubs.py."""

from keraslike.ops import *
