"""Types of `keraslike.tf.keras.distribution`. Written by tests/types/stubs.py."""

from keraslike.distribution import *
