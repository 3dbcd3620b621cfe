"""Types of `keraslike.tf.keras.losses`. Written by tests/types/stubs.py."""

from keraslike.legacy.losses import *
from keraslike.losses import *
