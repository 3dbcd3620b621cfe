"""Types of `keraslike.tf.keras.models`. Written by tests/types/stubs.py."""

from keraslike.models import *
