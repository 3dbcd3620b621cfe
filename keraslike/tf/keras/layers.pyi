"""Types of `keraslike.tf.keras.layers`. Written by tests/types/stubs.py."""

from keraslike.layers import *
from keraslike.legacy.layers import *
