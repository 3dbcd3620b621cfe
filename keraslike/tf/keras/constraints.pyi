"""Types of `keraslike.tf.keras.constraints`. Written by tests/types/stubs.py."""

from keraslike.constraints import *
