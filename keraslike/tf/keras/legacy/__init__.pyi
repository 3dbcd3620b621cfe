"""Types of `keraslike.tf.keras.legacy`. Written by tests/types/stubs.py."""

from keraslike.legacy import *
