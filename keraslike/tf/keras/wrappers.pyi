"""Types of `keraslike.tf.keras.wrappers`. Written by tests/types/stubs.py."""

from keraslike.wrappers import *
