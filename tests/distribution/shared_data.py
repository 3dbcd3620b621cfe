"""Data of which each of several processes reads its share; a part of `two_processes`."""

import contextlib
import functools
import shutil
import time

import grain
import numpy as np

import keraslike as keras
from keraslike import layers
from keraslike.core import processes
from keraslike.data import Dataset
from keraslike.distribution import DataParallel, distribution, set_distribution
from keraslike.saving import orbax_store
from keraslike.training import loop

N, BATCH = 21, 8  # the last batch has 5 samples, which four devices do not divide
X = np.random.default_rng(7).normal(size=(N, 3)).astype("float32")
Y = X[:, :1] * 2
KILLED_AFTER = 4  # steps, of two epochs of three
EVERY = 2  # steps from one backup to the next


class Samples:
    """Notes which samples are read."""

    def __init__(self):
        self.read = []

    def __len__(self):
        return N

    def __getitem__(self, i):
        self.read.append(int(i))
        return X[i], Y[i]


class Batches(keras.utils.PyDataset):
    """Makes some rows alone where it is asked to."""

    def __init__(self, samples, parts):
        super().__init__()
        self.samples, self.parts = samples, parts

    def __len__(self):
        return -(-N // BATCH)

    def made_of(self, numbers):
        rows = [self.samples[n] for n in numbers]
        return tuple(np.array([row[i] for row in rows]).reshape(len(rows), -1) for i in (0, 1))

    def __getitem__(self, index):
        return self.made_of(range(index * BATCH, min(N, (index + 1) * BATCH)))

    def part(self, index, rows):
        if not self.parts:
            return super().part(index, rows)
        size = min(BATCH, N - index * BATCH)
        return self.made_of(index * BATCH + rows(size)), size


def grain_loader(samples):
    return grain.DataLoader(
        data_source=samples,
        sampler=grain.samplers.IndexSampler(N, num_epochs=1, shuffle=True, seed=5),
        operations=[grain.transforms.Batch(BATCH)],
        worker_count=0,
    )


# A name -> what makes the data of samples that note what is read.
SOURCES = {
    "arrays": lambda samples: (X, Y),
    "PyDataset": lambda samples: (Batches(samples, parts=False),),
    "PyDataset of parts": lambda samples: (Batches(samples, parts=True),),
    "MapDataset": lambda samples: (grain.MapDataset.source(samples).shuffle(seed=5).batch(BATCH),),
    "DataLoader": lambda samples: (grain_loader(samples),),
    # Shuffled by what numpy draws, which is something else in each process.
    "Dataset": lambda samples: (
        Dataset.from_tensor_slices((X, Y)).shuffle(N).batch(BATCH).prefetch(2),
    ),
}
READ_ONCE = ("PyDataset of parts", "MapDataset")


class Killed(Exception):
    pass


class Kill(keras.callbacks.Callback):
    """Ends all processes after a step, once it is saved."""

    def on_train_batch_end(self, batch, logs=None):
        if self.model._position.updates == KILLED_AFTER:
            raise Killed


class Late(keras.callbacks.Callback):
    """Is slower in one process than in the others as `fit` ends."""

    def __init__(self, process):
        super().__init__()
        self.process = process

    def on_train_end(self, logs=None):
        time.sleep(0.1 * self.process)


def make():
    model = keras.Sequential([layers.Input((3,)), layers.Dense(1)])
    model.compile(loss="mse", optimizer=keras.optimizers.SGD(0.1), metrics=["mae"])
    return model


def start(model, name, samples, process, callbacks):
    """A fit from the beginning, whose random orders depend on seeds alone."""
    keras.utils.set_random_seed(11)
    np.random.seed(process)
    model.set_weights([np.ones((3, 1)), np.zeros(1)])
    model.optimizer.iterations.assign(0)
    return go_on(model, name, samples, callbacks)


def go_on(model, name, samples, callbacks):
    kwargs = {"batch_size": BATCH} if name == "arrays" else {}
    data = SOURCES[name](samples)
    history = model.fit(*data, epochs=2, verbose=0, callbacks=callbacks, **kwargs).history
    return [history["loss"], history["mae"], *[w.tolist() for w in model.get_weights()]]


def in_shares(process, folder):
    """For each kind of data: results, and how often each sample was read by this process; results
    of a run that was ended in between, and of its last run; a run that is to be gone on with."""
    set_distribution(DataParallel())
    before, loop._RESIDENT_BYTES = loop._RESIDENT_BYTES, 0  # arrays are too large to stay
    model, results = make(), {}
    try:
        for name in SOURCES:
            samples = Samples()
            whole = start(model, name, samples, process, [])
            read = samples.read
            left, copy = folder / f"left {name}", folder / f"resumed {name}"
            backup = keras.callbacks.BackupAndRestore(left, save_freq=EVERY)
            with contextlib.suppress(Killed):
                start(model, name, Samples(), process, [backup, Kill()])
                raise AssertionError("it was not killed")
            orbax_store.settle(str(left))
            processes.write_once(str(copy), functools.partial(shutil.copytree, left, copy))
            backup = keras.callbacks.BackupAndRestore(copy, save_freq=EVERY)
            keras.utils.set_random_seed(12)
            np.random.seed(process + 5)
            resumed = go_on(model, name, Samples(), [Late(process), backup])
            results[name] = [whole, resumed, read]
        results["evaluated"] = model.evaluate(X, Y, batch_size=5, verbose=0)
        results["predicted"] = model.predict(X, batch_size=5, verbose=0).tolist()
        mine = distribution().distribute_dataset(Dataset.range(16).batch(BATCH))
        results["part"] = [batch.tolist() for batch in mine.as_numpy_iterator()]
        model.set_weights([np.ones((3, 1)), np.zeros(1)])
        size = BATCH * 2
        data = Dataset.from_tensor_slices((X[:size], Y[:size])).batch(BATCH)
        loss = model.evaluate(distribution().distribute_dataset(data), verbose=0)
        results["of parts"] = [loss, model.evaluate(data, verbose=0)]
    finally:
        loop._RESIDENT_BYTES = before
        set_distribution(None)
    return results


def alone(folder):
    """The same in one process, without a break; and the rest of the runs that were left."""
    model, results = make(), {}
    for name in SOURCES:
        whole = start(model, name, Samples(), 0, [])
        backup = keras.callbacks.BackupAndRestore(folder / f"left {name}", save_freq=EVERY)
        results[name] = [whole, go_on(model, name, Samples(), [backup])]
    results["evaluated"] = model.evaluate(X, Y, batch_size=5, verbose=0)
    results["predicted"] = model.predict(X, batch_size=5, verbose=0).tolist()
    return results
