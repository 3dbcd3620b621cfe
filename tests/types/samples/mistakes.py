"""Mistakes that a type checker finds; the lines that it is to report end in `# expected`."""

import keraslike as keras
from keraslike import layers, ops, tf

layers.Dense(units="ten")  # expected
layers.Conv2D(8)  # expected
keras.losses.Huber(detla=2.0)  # expected
keras.callbacks.EarlyStopping(patience="three")  # expected
keras.optimizers.Adam(learning_rte=1e-3)  # expected
model = keras.Sequential([layers.Dense(1)])
model.fit(epoch=3)  # expected
model.compile(optimiser="adam")  # expected
ops.does_not_exist([1.0])  # expected
tf.reduce_summ([1.0])  # expected
tf.math.count_nonzero([1.0], axes=0)  # expected
keras.saving.load_model("m.keras", custom_object={})  # expected
