"""Types of `keraslike.tf.keras.distillation`. Written by tests/types/stubs.py."""

from keraslike.distillation import *
