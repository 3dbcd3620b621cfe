"""Types of `keraslike.tf.keras.quantizers`. Written by tests/types/stubs.py."""

from keraslike.quantizers import *
