"""`tf.Module`: classes that derive from it, as packages such as Sonnet do."""

from __future__ import annotations

import abc
import copy

import pytest
from flax import nnx

from keraslike import tf


class Scoped(abc.ABCMeta):
    """A metaclass that runs methods within the module's scope of names."""

    made: list[str] = []

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
