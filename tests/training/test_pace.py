"""The number of steps a dispatch, by a clock of the test's."""

import pytest

from keraslike.training.pace import Pace


class Machine(Pace):
    """Where a dispatch takes `overhead` and `step(n)` a step, and compiling a second."""

    def __init__(self, step, overhead=1e-4, compiling=1.0):
        self.clock, self.step, self.overhead, self.compiling = 0.0, step, overhead, compiling
        self.compiled, self.dispatches = set(), []
        super().__init__()

    def _now(self):
        return self.clock

    def _wait(self, results):
        pass

    def fit(self, steps, epochs=1):
        self.begin(epochs, steps)
        for _ in range(epochs):
            left = steps
            while left:
                n = min(self.steps, left)
                if (n > 1) not in self.compiled:
                    self.compiled.add(n > 1)
                    self.clock += self.compiling
                self.clock += self.overhead + n * self.step(n)
                self.dispatches.append(n)
                self.ran(n, None)
                left -= n


def test_short_steps_are_put_together_up_to_50_ms():
    machine = Machine(lambda n: 1e-5)
    machine.fit(500, epochs=200)
    assert machine.settled and machine.steps >= 64
    assert machine.steps * 1e-5 <= 0.05
    plain = 100_000 * 1.1e-4
    assert machine.clock < 0.25 * plain + 2


def test_where_putting_them_together_loses_one_is_kept():
    machine = Machine(lambda n: 1e-4 if n == 1 else 6e-4)
    machine.fit(500, epochs=200)
    assert machine.settled and machine.steps == 1
    assert sum(n > 1 for n in machine.dispatches) <= 10


@pytest.mark.parametrize("step, epochs", [(5e-3, 100), (1e-5, 1)], ids=["long steps", "few steps"])
def test_what_does_not_pay_is_not_tried(step, epochs):
    machine = Machine(lambda n: step)
    machine.fit(500, epochs)
    assert set(machine.dispatches) == {1} and machine.compiled == {False}


def test_a_later_fit_may_pay():
    machine = Machine(lambda n: 1e-5)
    machine.fit(500)
    assert machine.steps == 1
    machine.fit(500, epochs=200)
    assert machine.steps > 1
    found = machine.steps
    machine.fit(500)
    assert machine.steps == found


def test_a_best_in_the_middle():
    machine = Machine(lambda n: 1e-5 if n < 60 else 1e-3)
    machine.fit(500, epochs=200)
    assert machine.steps == 16
