"""Types of `keraslike.tf.keras.export`. Written by tests/types/stubs.py."""

from keraslike.export import *
