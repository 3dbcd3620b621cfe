"""Types of `keraslike.tf.keras.legacy.saving`. Written by tests/types/stubs.py."""

from keraslike.legacy.saving import *
