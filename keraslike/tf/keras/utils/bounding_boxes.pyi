"""Types of `keraslike.tf.keras.utils.bounding_boxes`. Written by tests/types/stubs.py."""

from keraslike.utils.bounding_boxes import *
