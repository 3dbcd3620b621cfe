"""What is to hold of `tf.distribute` on two devices: a process that has them prints JSON."""

import json

import numpy as np

from keraslike import tf

X = np.arange(24.0, dtype="float32").reshape(8, 3) / 24
Y = np.ones((8, 1), "float32")


def trained(strategy):
    """Weights, the sum of the losses and the metric after a loop of one's own, and after fit."""
    with strategy.scope():
        model = tf.keras.Sequential([
            tf.keras.Input((3,)),
            tf.keras.layers.Dense(1, kernel_initializer="ones"),
        ])  # fmt: skip
        norm = tf.keras.layers.BatchNormalization()
        optimizer = tf.keras.optimizers.SGD(0.1)
        seen = tf.keras.metrics.Mean()
        total = tf.Variable(0.0, trainable=False, aggregation=tf.VariableAggregation.SUM)
    data = tf.data.Dataset.from_tensor_slices((X, Y)).batch(4)

    def step(x, y):
        with tf.GradientTape() as tape:
            each = tf.square(model(x) - y)[:, 0]
            loss = tf.nn.compute_average_loss(each, global_batch_size=4)
        gradients = tape.gradient(loss, model.trainable_variables)
        optimizer.apply_gradients(zip(gradients, model.trainable_variables))
        seen.update_state(each)
        total.assign_add(tf.reduce_sum(y))
        norm(x, training=True)
        return loss

    @tf.function
    def distributed(x, y):
        return strategy.reduce("SUM", strategy.run(step, args=(x, y)), axis=None)

    losses = [
        float(distributed(*batch)) for batch in strategy.experimental_distribute_dataset(data)
    ]
    values = [np.asarray(w).ravel().tolist() for w in (*model.weights, norm.moving_mean)]
    return [losses, values, float(seen.result()), float(seen.count), float(total)]


def main():
    (cpu,) = tf.config.list_physical_devices("CPU")
    two = [tf.config.LogicalDeviceConfiguration()] * 2
    tf.config.set_logical_device_configuration(cpu, two)
    distribute = tf.distribute
    strategy = distribute.MirroredStrategy()
    found = {"one": trained(distribute.get_strategy()), "count": strategy.num_replicas_in_sync}
    found["two"] = trained(strategy)
    numbers = strategy.run(lambda: distribute.get_replica_context().replica_id_in_sync_group)
    found["numbers"] = [int(n) for n in strategy.experimental_local_results(numbers)]

    parts = [
        strategy.experimental_local_results(strategy.run(tf.random.normal, ([3], 0.0, 1.0), kwargs))
        for kwargs in ({}, {}, {"seed": 1})
    ]
    found["random"] = [len(np.unique(np.stack(part))) for part in parts]
    found["streams"] = len(np.unique(np.stack(parts[0] + parts[1])))
    with strategy.scope():
        own = tf.random.Generator.from_seed(1)
    drawn = [strategy.run(lambda: own.normal([])) for _ in range(2)]
    found["own streams"] = [[float(x) for x in value.values] for value in drawn]
    found["state"] = own.state.numpy().tolist()
    batches = strategy.experimental_distribute_dataset(tf.data.Dataset.range(4).batch(4))
    elements = iter(batches)
    found["shown"] = [str(elements.get_next()), repr(strategy.run(lambda: tf.constant(1)))]
    found["more"] = bool(elements.get_next_as_optional().has_value())
    twice = tf.function(
        lambda x: strategy.run(lambda part: 2 * part, (x,)), input_signature=[batches.element_spec]
    )
    found["twice"] = [
        v.numpy().tolist() for v in strategy.experimental_local_results(twice(next(iter(batches))))
    ]

    def summed(x):
        return distribute.get_replica_context().all_reduce("SUM", x)

    values = strategy.experimental_distribute_values_from_function(
        lambda context: tf.constant([1.0 + context.replica_id_in_sync_group, 0.0])
    )
    found["all_reduce"] = strategy.run(summed, (values,)).values[1].numpy().tolist()
    found["mean"] = strategy.reduce("MEAN", values, axis=None).numpy().tolist()
    found["mean of all"] = float(strategy.reduce("MEAN", values, axis=0))
    found["gathered"] = strategy.gather(values, 0).numpy().tolist()
    state = tf.Variable(0.0, trainable=False)
    errors = []
    for wrong in (
        lambda: strategy.run(lambda x: state.assign_add(x), (tf.constant(1.0),)),
        lambda: next(iter(strategy.experimental_distribute_dataset(
            tf.data.Dataset.range(3).batch(3)))),
    ):  # fmt: skip
        try:
            wrong()
            errors.append("")
        except ValueError as e:
            errors.append(str(e))
    found["errors"] = errors
    made = strategy.distribute_datasets_from_function(
        lambda context: tf.data.Dataset.range(4).batch(context.get_per_replica_batch_size(4))
    )
    found["from function"] = [[p.numpy().tolist() for p in x.values] for x in made]
    print(json.dumps(found))


if __name__ == "__main__":
    main()
