"""The arguments that all optimizers share. As in Keras, each optimizer's signature contains
them."""

from __future__ import annotations

import functools
import inspect
from typing import Any, TypedDict


class SharedButDecay(TypedDict, total=False):
    """The shared arguments without the weight decay, for optimizers that declare it themselves."""

    clipnorm: float | None
    clipvalue: float | None
    global_clipnorm: float | None
    use_ema: bool
    ema_momentum: float
    ema_overwrite_frequency: int | None
    loss_scale_factor: float | None
    gradient_accumulation_steps: int | None
    name: str | None


class Shared(SharedButDecay, total=False):
    """The arguments that an optimizer passes on to `Optimizer`: `**shared: Unpack[Shared]`."""

    weight_decay: float | None


def take_shared(cls: type, base: type) -> None:
    """Adds the shared arguments to the signature of a constructor that ends in `**shared:
    Unpack[Shared]`.

    They follow its positional arguments, may be passed by position, and precede its keyword-only
    arguments. Shared arguments that it declares itself keep their place.
    """
    init = vars(cls).get("__init__")
    if init is None:
        return
    signature = inspect.signature(init)
    *own, last = signature.parameters.values()
    if last.annotation not in ("Unpack[Shared]", "Unpack[SharedButDecay]"):
        return
    named = {p.name for p in own}
    shared = [
        p
        for p in inspect.signature(base.__init__).parameters.values()
        if p.name in Shared.__annotations__ and p.name not in named
    ]
    first = [p for p in own if p.kind == p.POSITIONAL_OR_KEYWORD]
    after = [
        p.replace(kind=p.POSITIONAL_OR_KEYWORD)
        for p in own
        if p.kind == inspect.Parameter.KEYWORD_ONLY
    ]
    parameters = [*first, *shared, *after]
    names, count = [p.name for p in parameters[1:]], len(first) - 1

    @functools.wraps(init)
    def run(self: Any, *args: Any, **kwargs: Any) -> None:
        further = dict(zip(names[count:], args[count:]))
        twice = further.keys() & kwargs
        if twice or len(args) > len(names):
            what = f"{sorted(twice)} twice" if twice else f"{len(args)} arguments by position"
            raise TypeError(f"{type(self).__name__} was given {what}. It takes {names}.")
        init(self, *args[:count], **further, **kwargs)

    kwargs = inspect.Parameter("kwargs", inspect.Parameter.VAR_KEYWORD, annotation="Any")
    run.__signature__ = signature.replace(parameters=[*parameters, kwargs])  # type: ignore[attr-defined]
    cls.__init__ = run
