"""Types of `keraslike.tf.keras.initializers`. Written by tests/types/stubs.py."""

from keraslike.initializers import *
