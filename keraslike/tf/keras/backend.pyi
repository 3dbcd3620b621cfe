"""Types of `keraslike.tf.keras.backend`. Written by tests/types/stubs.py."""

from keraslike.backend import *
