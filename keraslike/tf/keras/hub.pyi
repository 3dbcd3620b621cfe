"""Types of `keraslike.tf.keras.hub`. Written by tests/types/stubs.py."""

from keraslike.hub import *
