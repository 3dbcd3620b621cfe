"""Types of `keraslike.tf.keras.errors`. Written by tests/types/stubs.py."""

from keraslike.errors import *
