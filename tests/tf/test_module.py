"""`tf.Module`: classes that derive from it, as packages such as Sonnet do."""

from __future__ import annotations

import abc
import copy
from typing import ClassVar

import pytest
from flax import nnx

from keraslike import tf


class Scoped(abc.ABCMeta):
    """A metaclass that runs methods within the module's scope of names."""

    made: ClassVar[list[str]] = []

    def __new__(cls, name, bases, attributes):
        made = super().__new__(cls, name, bases, attributes)
        for method in vars(made).values():
            if isinstance(method, type(tf.function(lambda: None))):
                method._decorate(tf.Module.with_name_scope)
        return made

    def __call__(cls, *args, **kwargs):
        cls.made.append(cls.__name__)
        return super().__call__(*args, **kwargs)


class Base(tf.Module):
    pass


class Scale(Base, metaclass=Scoped):
    def __init__(self):
        super().__init__()
        self.w = tf.Variable(3.0)

    @tf.function
    def scaled(self, x):
        with tf.name_scope("inner") as scope:
            return self.w * x, scope

    def __call__(self, x):
        return self.w * x


def test_modules_may_have_a_metaclass():
    class Twice(Scale):
        def __init__(self):
            super().__init__()
            self.inner = Scale()

    Scoped.made.clear()
    module = Twice()
    assert Scoped.made == ["Twice", "Scale"]
    assert isinstance(module, tf.Module) and isinstance(module, nnx.Module)
    assert len(module.variables) == 2 and module.submodules == (module.inner,)
    copied = copy.deepcopy(module)
    module.w.assign(5.0)
    with tf.GradientTape() as tape:
        y = module(tf.constant(2.0)) + copied(tf.constant(1.0))
    assert float(y) == 13.0 and float(tape.gradient(y, module.w)) == 2.0
    assert copied.scaled(tf.constant(2.0))[1] == "twice/inner/"
    assert nnx.state(module)["w"].get_value() == 5.0


def test_a_function_is_decorated_before_its_first_call():
    @tf.function
    def squared(x):
        return x * x

    squared._decorate(lambda function: lambda x: function(x) + 1.0)
    assert float(squared(tf.constant(3.0))) == 10.0
    with pytest.raises(ValueError, match="called before"):
        squared._decorate(lambda function: function)
    assert float(squared(tf.constant(2.0))) == 5.0


def test_a_variable_without_its_constructor_says_so():
    class Late(tf.Variable):
        def __init__(self, value):
            self.kept = value

    with pytest.raises(AttributeError, match="used before its constructor has called super"):
        Late(1.0)


class Reversal(tf.keras.layers.Layer):
    """A layer whose gradient is that of a method."""

    def __init__(self, factor):
        super().__init__()
        self.factor, self.scale = factor, tf.Variable(3.0)

    @tf.custom_gradient
    def reversed(self, x):
        def gradient(upstream, variables=None):
            return -self.factor * upstream, [7.0 * upstream for _ in variables]

        return x * self.scale, gradient

    @staticmethod
    @tf.custom_gradient
    def fivefold(x):
        return x * 1.0, lambda upstream: 5.0 * upstream

    def call(self, x):
        return self.reversed(x)


def test_a_method_may_have_a_custom_gradient():
    layer, x = Reversal(2.0), tf.constant(1.5)
    for call in (layer, layer.reversed, tf.function(layer.reversed)):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = call(x)
        slopes = tape.gradient(y, [x, layer.scale])
        assert [float(y), *map(float, slopes)] == [4.5, -2.0, 7.0]
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = Reversal.fivefold(x) + layer.fivefold(x)
    assert float(tape.gradient(y, x)) == 10.0
