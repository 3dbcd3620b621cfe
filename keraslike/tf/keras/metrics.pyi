"""Types of `keraslike.tf.keras.metrics`. Written by tests/types/stubs.py."""

from keraslike.legacy.losses import *
from keraslike.metrics import *
