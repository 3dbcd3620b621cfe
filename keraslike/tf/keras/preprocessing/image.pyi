"""Types of `keraslike.tf.keras.preprocessing.image`. Written by tests/types/stubs.py."""

from keraslike.legacy.preprocessing.image import *
from keraslike.preprocessing.image import *
