"""Types of `keraslike.tf.keras.saving`. Written by tests/types/stubs.py."""

from keraslike.saving import *
