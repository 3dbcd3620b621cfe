"""Types of `keraslike.tf.keras.regularizers`. Written by tests/types/stubs.py."""

from keraslike.regularizers import *
