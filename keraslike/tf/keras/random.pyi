"""Types of `keraslike.tf.keras.random`. Written by tests/types/stubs.py."""

from keraslike.random import *
