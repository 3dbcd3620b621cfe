"""`Static` compares what is not in the tree of an object."""

import functools

import pytest

from keraslike.core.static import Static


@pytest.mark.parametrize("count", range(2, 8))
def test_any_one_difference_counts(count):
    """What a comparison makes on its way is freed and its memory used again."""

    def partials(changed=None):
        return [functools.partial(pow, i, 99 if i == changed else 100) for i in range(count)]

    def closures(changed=None):
        return [(lambda n: lambda x: x + n)(9 if i == changed else 0) for i in range(count)]

    for make in (partials, closures):
        assert Static(make()) == Static(make())
        for changed in range(count):
            assert Static(make()) != Static(make(changed)), (make.__name__, changed)
