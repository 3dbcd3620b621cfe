"""Types of `keraslike.tf.keras.callbacks`. Written by tests/types/stubs.py."""

from keraslike.callbacks import *
