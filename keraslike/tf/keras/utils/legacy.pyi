"""Types of `keraslike.tf.keras.utils.legacy`. Written by tests/types/stubs.py."""

from keraslike.utils.legacy import *
