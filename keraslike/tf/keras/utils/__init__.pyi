"""Types of `keraslike.tf.keras.utils`. Written by tests/types/stubs.py."""

from keraslike.utils import *
