"""Reinforcement learning: an actor-critic network balances a pole on a cart.

    python examples/actor_critic.py             # until the pole stands for 195 steps
    python examples/actor_critic.py --quick

The cart and pole are those of Barto, Sutton and Anderson, Neuronlike adaptive elements that can
solve difficult learning control problems, IEEE Trans. SMC 13 (1983).
"""

import jax
import numpy as np
import shared

import keraslike as keras
from keraslike import layers, ops

LONGEST = 200  # steps of an episode


class CartPole:
    """A pole of half a metre's half length on a cart of 1 kg, pushed left or right with 10 N."""

    def __init__(self, seed):
        self.rng = np.random.default_rng(seed)

    def reset(self):
        self.state = self.rng.uniform(-0.05, 0.05, 4)
        return self.state

    def step(self, action):
        """The state 20 ms after a push, and whether the pole has fallen or the cart has left."""
        place, speed, angle, turning = self.state
        force = 10.0 if action == 1 else -10.0
        sin, cos = np.sin(angle), np.cos(angle)
        pushed = (force + 0.05 * turning**2 * sin) / 1.1
        turn = (9.8 * sin - cos * pushed) / (0.5 * (4 / 3 - 0.1 * cos**2 / 1.1))
        gain = pushed - 0.05 * turn * cos / 1.1
        self.state = self.state + 0.02 * np.array([speed, gain, turning, turn])
        return self.state, abs(self.state[0]) > 2.4 or abs(self.state[2]) > np.radians(12)


def build(units):
    state = keras.Input((4,))
    x = layers.Dense(units, activation="relu")(state)
    return keras.Model(state, [layers.Dense(2)(x), layers.Dense(1)(x)])


predict = jax.jit(lambda model, states: model(states))  # a model is a pytree of its weights


def play(model, cart, rng):
    """An episode: its states, `(LONGEST, 4)`, actions, and how many there were."""
    states, actions = np.zeros((LONGEST, 4), "float32"), np.zeros(LONGEST, "int32")
    state = cart.reset()
    for t in range(LONGEST):
        states[t] = state
        scores = np.asarray(predict(model, states[t : t + 1])[0])[0]
        actions[t] = rng.random() < 1 / (1 + np.exp(scores[0] - scores[1]))
        state, fallen = cart.step(actions[t])
        if fallen:
            break
    return states, actions, t + 1


def returns(length, discount=0.99):
    """What is still to come at each step, a step being worth 1, standardized."""
    earned = np.zeros(LONGEST, "float32")
    for t in reversed(range(length)):
        earned[t] = 1 + discount * (earned[t + 1] if t + 1 < length else 0)
    played = earned[:length]
    earned[:length] = (played - played.mean()) / (played.std() + 1e-7)
    return earned


def loss(model, states, actions, earned, played):
    """The actor's `-log p (R - v)` and the critic's Huber loss, summed over the steps played."""
    scores, values = model(states)
    values = values[:, 0]
    chosen = ops.sum(ops.log_softmax(scores) * ops.one_hot(actions, 2), axis=-1)
    actor = -chosen * (earned - ops.stop_gradient(values))
    critic = keras.losses.huber(earned[:, None], values[:, None])
    return ops.sum(played * (actor + critic))


@jax.jit
def gradients(model, *episode):
    return keras.value_and_grad(loss)(model, *episode)


def main(quick=False, epochs=None):
    keras.utils.set_random_seed(0)
    rng = np.random.default_rng(0)
    cart, model = CartPole(seed=0), build(16 if quick else 128)
    optimizer = keras.optimizers.Adam(0.02 if quick else 0.01)
    lengths = []
    for episode in range(epochs or (60 if quick else 2000)):
        states, actions, length = play(model, cart, rng)
        played = (np.arange(LONGEST) < length).astype("float32")
        _, grads = gradients(model, states, actions, returns(length), played)
        optimizer.apply(grads, model.trainable_variables)
        lengths.append(length)
        recent = float(np.mean(lengths[-20:]))
        if (episode + 1) % 20 == 0:
            print(f"Episode {episode + 1}: the last 20 stood for {recent:.0f} steps", flush=True)
        if len(lengths) >= 20 and recent > 195:
            print(f"Solved at episode {episode + 1}")
            break
    return {"lengths": lengths}


if __name__ == "__main__":
    main(**shared.options(__doc__))
