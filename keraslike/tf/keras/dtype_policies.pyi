"""Types of `keraslike.tf.keras.dtype_policies`. Written by tests/types/stubs.py."""

from keraslike.dtype_policies import *
