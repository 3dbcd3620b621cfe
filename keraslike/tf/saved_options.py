"""`tf.saved_model.SaveOptions` and `LoadOptions`."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any


@dataclasses.dataclass
class SaveOptions:
    """Options of `save`, which have no effect here.

    Raises NotImplementedError for those that would change the result.

    >>> tf.saved_model.SaveOptions().save_debug_info
    False
    """

    namespace_whitelist: Sequence[str] | None = None
    save_debug_info: bool = False
    function_aliases: dict[str, Any] | None = None
    experimental_debug_stripper: bool = False
    experimental_io_device: str | None = None
    experimental_variable_policy: Any = None
    experimental_custom_gradients: bool = True
    experimental_image_format: bool = False
    experimental_skip_saver: bool = False
    experimental_sharding_callback: Any = None
    extra_tags: Any = None

    def __post_init__(self) -> None:
        changing = ("function_aliases", "experimental_image_format", "experimental_skip_saver")
        changing += ("experimental_sharding_callback", "extra_tags")
        if given := [name for name in changing if getattr(self, name)]:
            raise NotImplementedError(f"SaveOptions: {given} is not supported.")


@dataclasses.dataclass
class LoadOptions:
    """Options of `load`, which have no effect here.

    >>> tf.saved_model.LoadOptions().allow_partial_checkpoint
    False
    """

    allow_partial_checkpoint: bool = False
    experimental_io_device: str | None = None
    experimental_skip_checkpoint: bool = False
    experimental_variable_policy: Any = None
    experimental_load_function_aliases: bool = False


__all__ = ["LoadOptions", "SaveOptions"]
