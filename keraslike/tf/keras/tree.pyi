"""Types of `keraslike.tf.keras.tree`. Written by tests/types/stubs.py."""

from keraslike.tree import *
