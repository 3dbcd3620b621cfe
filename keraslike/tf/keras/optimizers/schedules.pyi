"""Types of `keraslike.tf.keras.optimizers.schedules`. Written by tests/types/stubs.py."""

from keraslike.optimizers.schedules import *
