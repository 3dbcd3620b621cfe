"""Types of `keraslike.tf.keras.preprocessing.sequence`. Written by tests/types/stubs.py."""

from keraslike.legacy.preprocessing.sequence import *
from keraslike.preprocessing.sequence import *
