"""Tables that map the arguments of TensorFlow's older interfaces to those of functions here.

An entry is `theirs=ours[default]`: `=ours` if the function here has another name for the argument,
the default in brackets if there is one, and nothing after `=` if it does not have the argument.
"""

from __future__ import annotations

import ast
import inspect
from typing import Any

from keraslike.tf import dtypes

_DTYPES = {
    name: getattr(dtypes, name) for name in ("complex64", "float32", "int32", "int64", "uint8")
}


def parsed(arguments: str) -> tuple[list[inspect.Parameter], dict[str, str]]:
    """The parameters in space-separated entries, and a dict from their names to ours.

    >>> parameters, ours = parsed("x=input axis[-1] name=[None]")
    >>> [p.default for p in parameters[1:]], ours
    ([-1, None], {'x': 'input', 'axis': 'axis', 'name': ''})
    """
    parameters, ours = [], {}
    for entry in arguments.split():
        names, bracket, default = entry.partition("[")
        theirs, equals, own = names.partition("=")
        ours[theirs] = own if equals else theirs
        value: Any = inspect.Parameter.empty
        if bracket:
            text = default.removesuffix("]")
            value = _DTYPES[text] if text in _DTYPES else ast.literal_eval(text)
        kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
        parameters.append(inspect.Parameter(theirs, kind, default=value, annotation="Any"))
    return parameters, ours
