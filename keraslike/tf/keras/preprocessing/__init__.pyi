"""Types of `keraslike.tf.keras.preprocessing`. Written by tests/types/stubs.py."""

from keraslike.legacy.preprocessing import *
from keraslike.preprocessing import *
