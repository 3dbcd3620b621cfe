"""The number of steps a dispatch, by a clock of the test's."""

import jax
import jax.numpy as jnp
import pytest

from keraslike.training.pace import LOOPED, Pace, work


class Machine(Pace):
    """Where a dispatch takes `overhead` and `step(n)` a step, and compiling a second."""

    def __init__(self, step, overhead=1e-4, compiling=1.0, looped=False):
        self.clock, self.step, self.overhead, self.compiling = 0.0, step, overhead, compiling
        self.compiled, self.dispatches = set(), []
        super().__init__(looped)

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
                if self.in_loop not in self.compiled:
                    self.compiled.add(self.in_loop)
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


def test_where_many_lose_the_few_that_were_faster_are_kept():
    machine = Machine(lambda n: 1e-5 if n < 60 else 1e-3)
    machine.fit(500, epochs=200)
    assert machine.settled and 1 < machine.steps < 60


def test_one_program_for_a_step_that_is_nearly_nothing():
    machine = Machine(lambda n: 1e-5, looped=True)
    machine.fit(500)
    assert machine.compiled == {True}
    assert len(machine.dispatches) < 20 and sum(machine.dispatches) == 500
    machine.fit(2000, epochs=2)
    assert machine.steps == 2000


def test_the_work_in_a_step():
    conv = jax.make_jaxpr(lambda x, k: jax.lax.conv(x, k, (1, 1), "SAME"))
    assert work(conv(jnp.ones((1, 1, 4, 4)), jnp.ones((1, 1, 3, 3)))) > LOOPED

    def many(x, n):
        return jax.lax.scan(lambda c, _: (jnp.tanh(c @ c), None), x, length=n)[0]

    x = jnp.ones((16, 16))
    assert work(jax.make_jaxpr(lambda x: many(x, 10))(x)) <= 1
    assert work(jax.make_jaxpr(lambda x: many(x, 10_000))(x)) > 1
    assert work(jax.make_jaxpr(jax.jit(jax.grad(lambda x: many(x, 10).sum())))(x)) <= 1
