"""Types of `keraslike.tf.keras`. Written by tests/types/stubs.py."""

from keraslike import *
