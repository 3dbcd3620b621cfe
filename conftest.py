"""What the examples in docstrings take as given."""

import sys

import pytest


@pytest.fixture(autouse=True)
def _imported_before_examples(request, doctest_namespace):
    """Those of `keraslike.tf` begin after `from keraslike import tf`."""
    if isinstance(request.node, pytest.DoctestItem) and "keraslike.tf" in sys.modules:
        doctest_namespace["tf"] = sys.modules["keraslike.tf"]
