"""`tf.queue`: what TensorFlow gives, and threads that wait for one another."""

import copy
import pickle
import threading
import time

import jax
import numpy as np
import pytest

from keraslike import tf

CancelledError, OutOfRangeError = tf.errors.CancelledError, tf.errors.OutOfRangeError
InvalidArgumentError = tf.errors.InvalidArgumentError


def plain(x):
    if isinstance(x, list):
        return [plain(item) for item in x]
    return np.asarray(x).tolist()


@pytest.fixture
def q():
    return tf.queue.FIFOQueue(3, [tf.int32, tf.string], shapes=[(), ()])


class Waiting(threading.Thread):
    """A call in a thread of its own, its result or its exception."""

    def __init__(self, function, *args):
        super().__init__(daemon=True)
        self.function, self.args, self.result, self.error = function, args, None, None
        self.start()

    def run(self):
        try:
            self.result = self.function(*self.args)
        except Exception as e:
            self.error = e

    def is_waiting(self):
        self.join(0.1)
        return self.is_alive()

    def finish(self):
        self.join(10)
        assert not self.is_alive()
        if self.error is not None:
            raise self.error
        return self.result


# -- the chapter's queue -----------------------------------------------------------------------


def test_the_chapters_queue(q):
    q.enqueue([10, b"windy"])
    q.enqueue([15, b"sunny"])
    assert repr(q.size()) == "<tf.Tensor: shape=(), dtype=int32, numpy=2>"
    assert repr(q.dequeue()) == (
        "[<tf.Tensor: shape=(), dtype=int32, numpy=10>, "
        "<tf.Tensor: shape=(), dtype=string, numpy=b'windy'>]"
    )
    q.enqueue_many([[13, 16], [b"cloudy", b"rainy"]])
    assert repr(q.dequeue_many(3)) == (
        "[<tf.Tensor: shape=(3,), dtype=int32, numpy=array([15, 13, 16], dtype=int32)>, "
        "<tf.Tensor: shape=(3,), dtype=string, numpy=array([b'sunny', b'cloudy', b'rainy'], "
        "dtype=object)>]"
    )


def test_attributes(q):
    assert q.dtypes == [tf.int32, tf.string] and q.names is None
    assert q.shapes == [tf.TensorShape([]), tf.TensorShape([])]
    assert "FIFOQueue" in repr(q) and "0 elements" in repr(q)
    assert tf.queue.FIFOQueue(3, [tf.int32]).shapes == [None]


def test_what_does_not_fit(q):
    with pytest.raises(InvalidArgumentError, match="2 components"):
        q.enqueue([1])
    with pytest.raises(TypeError):
        q.enqueue([1, 2])
    for value in ([[1], "a"], [tf.constant([1]), "a"], [tf.constant(2.5), "a"]):
        with pytest.raises(ValueError):
            q.enqueue(value)
    with pytest.raises(ValueError, match="sizes"):
        q.enqueue_many([[1, 2], ["a"]])
    with pytest.raises(ValueError, match="at least one axis"):
        q.enqueue_many([1, "a"])
    with pytest.raises(ValueError, match="list"):
        q.enqueue({"a": 1})
    assert plain(q.size()) == 0


def test_one_component():
    q = tf.queue.FIFOQueue(3, tf.int32)
    q.enqueue(1)
    q.enqueue([[1, 2]])
    assert plain(q.dequeue()) == 1 and plain(q.dequeue()) == [1, 2]
    for take in (q.dequeue_many, q.dequeue_up_to):
        with pytest.raises(InvalidArgumentError, match="shapes"):
            take(1)
    with pytest.raises(TypeError):
        q.enqueue(2.5)


def test_several_at_once():
    q = tf.queue.FIFOQueue(5, [tf.float32, tf.int32], shapes=[[2], ()])
    q.enqueue_many([[[1.0, 2.0], [3.0, 4.0]], [5, 6]])
    assert plain(q.dequeue_many(0)) == [[], []]
    assert plain(q.dequeue_many(2)) == [[[1, 2], [3, 4]], [5, 6]]
    with pytest.raises(InvalidArgumentError, match="negative"):
        q.dequeue_many(-1)


def test_names():
    q = tf.queue.FIFOQueue(5, [tf.int32, tf.float32], names=["a", "b"])
    q.enqueue({"a": 1, "b": 2.0})
    out = q.dequeue()
    assert list(out) == ["a", "b"] and plain(out["b"]) == 2
    for value in ([1, 2.0], {"a": 1}, {"a": 1, "b": 2.0, "c": 3}):
        with pytest.raises(ValueError):
            q.enqueue(value)


def test_constructors_refuse():
    with pytest.raises(ValueError, match="names"):
        tf.queue.FIFOQueue(5, [tf.int32, tf.float32], names=["a"])
    with pytest.raises(InvalidArgumentError, match="2 components and 1"):
        tf.queue.FIFOQueue(5, [tf.int32, tf.float32], shapes=[()])
    with pytest.raises(InvalidArgumentError, match="dtypes"):
        tf.queue.FIFOQueue(5, [])
    with pytest.raises(ValueError, match="PaddingFIFOQueue"):
        tf.queue.FIFOQueue(5, [tf.int32], shapes=[[None]])
    with pytest.raises(ValueError, match="shapes"):
        tf.queue.PaddingFIFOQueue(10, [tf.int32], shapes=None)
    for least in (10, 20):
        with pytest.raises(InvalidArgumentError, match="min_after_dequeue"):
            tf.queue.RandomShuffleQueue(10, least, [tf.int32])


# -- closed queues -----------------------------------------------------------------------------


def test_closed():
    q = tf.queue.FIFOQueue(5, [tf.int32], shapes=[()])
    q.enqueue_many([[1, 2]])
    assert plain(q.is_closed()) is False
    q.close()
    assert plain(q.is_closed()) is True
    with pytest.raises(CancelledError, match="closed"):
        q.enqueue(3)
    with pytest.raises(CancelledError, match="closed"):
        q.close()
    with pytest.raises(OutOfRangeError, match="not have enough"):
        q.dequeue_many(3)
    assert plain(q.size()) == 2
    assert plain(q.dequeue_up_to(5)) == [1, 2]
    with pytest.raises(OutOfRangeError):
        q.dequeue_up_to(5)
    with pytest.raises(OutOfRangeError):
        q.dequeue()
    assert plain(q.dequeue_up_to(0)) == []


# -- other orders ------------------------------------------------------------------------------


def test_padding():
    q = tf.queue.PaddingFIFOQueue(10, [tf.int32, tf.string], shapes=[[None], [None]])
    q.enqueue([[1], ["a"]])
    q.enqueue([[1, 2, 3], ["a", "b"]])
    q.enqueue([[7], ["c"]])
    assert plain(q.dequeue_many(2)) == [
        [[1, 0, 0], [1, 2, 3]],
        [[b"a", b""], [b"a", b"b"]],
    ]
    assert plain(q.dequeue()) == [[7], [b"c"]]
    with pytest.raises(ValueError, match="shape"):
        q.enqueue([1, ["a"]])


def test_priority():
    q = tf.queue.PriorityQueue(10, [tf.string], shapes=[()])
    assert q.dtypes == [tf.int64, tf.string] and q.shapes == [tf.TensorShape([])] * 2
    for priority, value in (5, "e"), (1, "a"), (np.int64(3), "c"), (3, "c2"):
        q.enqueue([priority, value])
    with pytest.raises(ValueError, match="int32"):
        q.enqueue([tf.constant(3), "x"])
    assert plain(q.dequeue()) == [1, b"a"]
    assert plain(q.dequeue_many(2)) == [[3, 3], [b"c", b"c2"]]
    q.enqueue_many([[4, 2], ["x", "y"]])
    assert plain(q.dequeue()) == [2, b"y"] and q.dequeue()[0].dtype == tf.int64


def test_random_shuffle():
    def order(seed):
        q = tf.queue.RandomShuffleQueue(40, 2, [tf.int32], shapes=[()], seed=seed)
        q.enqueue_many([list(range(20))])
        first = plain(q.dequeue_many(18))
        assert Waiting(q.dequeue).is_waiting()  # two stay in, to be mixed with what comes
        q.close()
        return first

    found = order(3)
    assert len(set(found)) == 18 and found != sorted(found)
    assert order(3) == found and order(4) != found


def test_random_shuffle_gives_all_once_closed():
    q = tf.queue.RandomShuffleQueue(10, 2, [tf.int32], shapes=[()], seed=3)
    q.enqueue_many([[1, 2, 3, 4, 5]])
    first = plain(q.dequeue_many(3))
    q.close()
    assert sorted(first + plain(q.dequeue_many(2))) == [1, 2, 3, 4, 5]


def test_from_list(q):
    other = tf.queue.FIFOQueue(3, [tf.int32, tf.string])
    assert tf.queue.QueueBase.from_list(tf.constant(1), [other, q]) is q
    with pytest.raises(TypeError, match="dtypes"):
        tf.queue.QueueBase.from_list(0, [q, tf.queue.FIFOQueue(3, [tf.int32])])
    with pytest.raises(TypeError, match="queues"):
        tf.queue.QueueBase.from_list(0, [1])


# -- threads -----------------------------------------------------------------------------------


def test_dequeue_waits_for_an_element():
    q = tf.queue.FIFOQueue(3, [tf.int32], shapes=[()])
    taking = Waiting(q.dequeue_many, 2)
    assert taking.is_waiting()
    q.enqueue(1)
    assert taking.is_waiting()
    q.enqueue(2)
    assert plain(taking.finish()) == [1, 2]


def test_enqueue_waits_for_room():
    q = tf.queue.FIFOQueue(1, [tf.int32], shapes=[()])
    q.enqueue(1)
    putting = Waiting(q.enqueue, 2)
    assert putting.is_waiting()
    assert plain(q.dequeue()) == 1
    putting.finish()
    assert plain(q.dequeue()) == 2
    many = Waiting(q.enqueue_many, [[3, 4, 5]])
    assert plain(q.dequeue_many(3)) == [3, 4, 5]
    many.finish()


def test_close_wakes_those_who_wait():
    q = tf.queue.FIFOQueue(3, [tf.int32], shapes=[()])
    one, several = Waiting(q.dequeue), Waiting(q.dequeue_up_to, 5)
    assert one.is_waiting() and several.is_waiting()
    q.close()
    for taking in (one, several):
        with pytest.raises(OutOfRangeError):
            taking.finish()


def test_close_may_cancel_those_who_wait_for_room():
    for cancel in (False, True):
        q = tf.queue.FIFOQueue(1, [tf.int32], shapes=[()])
        q.enqueue(1)
        putting = Waiting(q.enqueue, 2)
        assert putting.is_waiting()
        q.close(cancel_pending_enqueues=cancel)
        if cancel:
            with pytest.raises(CancelledError):
                putting.finish()
        else:
            assert putting.is_waiting()
            assert plain(q.dequeue()) == 1
            putting.finish()
            assert plain(q.dequeue()) == 2


def test_many_threads_lose_nothing():
    q = tf.queue.FIFOQueue(4, [tf.int32], shapes=[()])
    taken, lock = [], threading.Lock()

    def put(start):
        for i in range(start, start + 25):
            q.enqueue(i)

    def take():
        while True:
            try:
                value = int(q.dequeue())
            except OutOfRangeError:
                return
            with lock:
                taken.append(value)

    takers = [Waiting(take) for _ in range(3)]
    putters = [Waiting(put, 25 * i) for i in range(4)]
    for thread in putters:
        thread.finish()
    while int(q.size()):
        time.sleep(0.01)
    q.close()
    for thread in takers:
        thread.finish()
    assert sorted(taken) == list(range(100))


# -- elsewhere ---------------------------------------------------------------------------------


def test_pickles_and_copies():
    for q in (
        tf.queue.FIFOQueue(3, [tf.int32], shapes=[()]),
        tf.queue.RandomShuffleQueue(3, 0, [tf.int32], shapes=[()], seed=1),
    ):
        q.enqueue_many([[1, 2]])
        for twin in (pickle.loads(pickle.dumps(q)), copy.deepcopy(q)):
            assert sorted(plain(twin.dequeue_many(2))) == [1, 2]
            twin.enqueue(3)
        assert plain(q.size()) == 2


def test_traced_functions_are_refused(q):
    with pytest.raises(TypeError, match="traced"):
        jax.jit(lambda x: q.enqueue([x, "a"]))(1)
    with pytest.raises(TypeError, match="traced"):
        tf.function(lambda: q.dequeue())()


def test_public_names():
    assert dir(tf.queue) == sorted(tf.queue.__all__)
