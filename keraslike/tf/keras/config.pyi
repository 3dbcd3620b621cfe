"""Types of `keraslike.tf.keras.config`. Written by tests/types/stubs.py."""

from keraslike.config import *
