"""Products with a weight matrix: `Dense` and `EinsumDense`."""

from __future__ import annotations

import copy
import math
import re
import string
from collections.abc import Callable, Sequence
from typing import Any

import jax.numpy as jnp

from keraslike import initializers
from keraslike.core import sparsity
from keraslike.core.arguments import given, positive
from keraslike.layers.input_spec import InputSpec
from keraslike.layers.lora import _AdaptedWeight, _BareWeight
from keraslike.layers.quantized import Matrix, Quantizable
from keraslike.ops.products import contract, matmul


class Dense(Quantizable):
    """`activation(inputs @ kernel + bias)`: a fully connected layer.

    Args:
        units: the size of the output's last axis.
        activation: a function or its name; `None` is the identity.
        use_bias: whether to add a bias.
        quantization_config: the configuration, if `dtype` is a quantized policy.

    Accepts `(batch, ..., features)` and returns `(batch, ..., units)` in the compute dtype. Raises
    ValueError for an input of rank 1 and, once built, for another number of features.

    >>> layer = Dense(3, activation="relu")
    >>> layer(jnp.ones((2, 4))).shape, [w.shape for w in layer.weights]
    ((2, 3), [(4, 3), (3,)])
    """

    _keeps_sparse = True
    supports_masking = True
    input_spec = InputSpec(min_ndim=2)
    units: int
    bias: Any
    kernel = _AdaptedWeight()
    _kernel = _BareWeight("kernel")

    def __init__(
        self,
        units: int,
        activation: str | Callable | None = None,
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        bias_constraint: Any = None,
        lora_rank: int | None = None,
        lora_alpha: float | None = None,
        quantization_config: Any = None,
        **kwargs: Any,
    ):
        super().__init__(Dense, **given(locals()))
        self.units = positive(units=units)

    def build(self, input_shape: Sequence[int | None]) -> None:
        features = input_shape[-1]
        self._kernel_shape: Any = (features, self.units)
        self._add_matrix("kernel", self._kernel_shape)
        self.bias = self._add("bias", (self.units,)) if self.use_bias else None
        self.input_spec = InputSpec(min_ndim=2, axes={-1: features})
        self._adapt_built()

    def _product(self, inputs: Any, weight: Any) -> Any:
        product = sparsity.matmul if sparsity.is_sparse(inputs) else matmul
        return product(inputs, weight)

    def _matrices(self) -> list[Matrix]:
        return [Matrix("kernel", self._kernel_shape, (0,), self._kernel_shape)]


class EinsumDense(Quantizable):
    """`activation(einsum(equation, inputs, kernel) + bias)`.

    Args:
        equation: such as `"abc,cd->abd"`: the inputs' axes, the kernel's, the output's. An ellipsis
            represents leading or trailing axes of inputs and output.
        output_shape: the output's sizes without the batch and the ellipsis; `None` stands for the
            inputs' size.
        activation: a function or its name; `None` is the identity.
        bias_axes: the letters of the output's axes that the bias has; no bias if omitted.

    Raises ValueError for an equation of another form, a kernel axis of unknown size, and sizes that
    contradict the inputs'.

    >>> layer = EinsumDense("abc,cd->abd", (None, 3), bias_axes="d")
    >>> layer(jnp.ones((2, 5, 4))).shape, [w.shape for w in layer.weights]
    ((2, 5, 3), [(4, 3), (3,)])
    """

    _saves_activity_regularizer = True
    # Keras's private names, as in `Quantizable`.
    _int4_block_size = property(lambda self: self._block)
    original_kernel_shape = property(lambda self: self._kernel_shape)
    _int4_unpacked_column_size = property(lambda self: self._matrices()[0].flat[-1])
    equation: str
    bias_axes: str | None
    gptq_unpacked_column_size: int | None
    bias: Any
    kernel = _AdaptedWeight()
    _kernel = _BareWeight("kernel")

    def __init__(
        self,
        equation: str,
        output_shape: int | Sequence[int | None],
        activation: str | Callable | None = None,
        bias_axes: str | None = None,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        kernel_constraint: Any = None,
        bias_constraint: Any = None,
        lora_rank: int | None = None,
        lora_alpha: float | None = None,
        gptq_unpacked_column_size: int | None = None,
        quantization_config: Any = None,
        **kwargs: Any,
    ):
        super().__init__(EinsumDense, **given(locals()))
        self.output_shape = (output_shape,) if isinstance(output_shape, int) else (*output_shape,)
        _einsum_parts(equation)

    def build(self, input_shape: Sequence[int | None]) -> None:
        before, letters, after, kernel, out = _einsum_parts(self.equation)
        elided = len(input_shape) - len(letters)
        if elided < 0 or (elided and not before and not after):
            raise ValueError(
                f"Layer '{self.name}': equation={self.equation!r} does not fit an input of shape "
                f"{tuple(input_shape)}."
            )
        first = elided if before else 0
        found = dict(zip(letters, input_shape[first : first + len(letters)]))
        sizes = self.output_shape if first else (input_shape[0], *self.output_shape)
        if len(sizes) != len(out):
            raise ValueError(
                f"Layer '{self.name}': output_shape={self.output_shape} does not fit "
                f"equation={self.equation!r}, whose output has the axes {out!r}."
            )
        wanted = dict(zip(out, sizes))
        for letter in found.keys() & wanted.keys():
            if wanted[letter] not in (None, found[letter]):
                raise ValueError(
                    f"Layer '{self.name}': axis {letter!r} of {self.equation!r} has size "
                    f"{found[letter]} in the input of shape {tuple(input_shape)} and size "
                    f"{wanted[letter]} in output_shape={self.output_shape}."
                )
        sizes = {**found, **{k: n for k, n in wanted.items() if n is not None}}
        self.input_spec = InputSpec(ndim=len(input_shape))
        self._kernel_shape: Any = tuple(sizes.get(letter) for letter in kernel)
        initializer = _with_output_axes(self.kernel_initializer, kernel, out)
        self._add_matrix("kernel", self._kernel_shape, initializer=initializer)
        self.bias = None
        if self.bias_axes is not None:
            if not self.bias_axes or set(self.bias_axes) - set(out):
                raise ValueError(
                    f"bias_axes must be letters of the output {out!r}. "
                    f"Received: bias_axes={self.bias_axes!r}"
                )
            rest = out[min(map(out.index, self.bias_axes)) :]
            shape = [sizes.get(letter) if letter in self.bias_axes else 1 for letter in rest]
            self.bias = self._add("bias", shape + [1] * (elided if after else 0))
        self._adapt_built()

    def _product(self, inputs: Any, weight: Any) -> Any:
        _, given, after, kernel, out = _einsum_parts(self.equation)
        shared = len(set(given) & set(kernel))
        free, inside, new = given[:-shared], kernel[:shared], kernel[shared:]
        if shared and not after and (given, out) == (free + inside, free + new):
            return contract(inputs, weight, shared)
        integers = inputs.dtype == weight.dtype == jnp.int8
        return jnp.einsum(
            self.equation, inputs, weight, preferred_element_type=jnp.int32 if integers else None
        )

    def _adapted_product(self, inputs: Any) -> Any:
        given, kernel, out = self._letters()
        rank = next(letter for letter in string.ascii_letters if letter not in given + kernel + out)
        equation = f"{given},{kernel[:-1]}{rank},{rank}{kernel[-1]}->{out}"
        return jnp.einsum(equation, inputs, *(factor.value for factor in self._factors()))

    def _matrices(self) -> list[Matrix]:
        shape, (_, kernel, out) = self._kernel_shape, self._letters()
        summed = tuple(i for i, letter in enumerate(kernel) if letter not in out)
        rows = math.prod(shape[i] for i in summed)
        return [Matrix("kernel", shape, summed, (rows, math.prod(shape) // rows), mixed=True)]

    def _calibrated_shape(self) -> tuple[int, int]:
        shape = self._kernel_shape
        if len(shape) not in (2, 3):
            raise ValueError(
                f"GPTQ and AWQ take kernels of two or three axes. Layer '{self.name}' has one of "
                f"shape {shape}."
            )
        rows = shape[0] if len(shape) == 2 or shape[0] == max(shape) else shape[0] * shape[1]
        return rows, math.prod(shape) // rows

    def _build_calibrated(self, mode: str) -> None:
        super()._build_calibrated(mode)
        if mode == "gptq":
            self.gptq_unpacked_column_size = self._calibrated_shape()[1]

    def _letters(self) -> tuple[str, str, str]:
        """The letters of the inputs, the kernel and the output, with letters for axes of an
        ellipsis."""
        before, given, after, kernel, out = _einsum_parts(self.equation)
        unused = [c for c in string.ascii_letters if c not in given + kernel + out]
        more = "".join(unused[: self.input_spec.ndim - len(given)])
        first, last = more * before, more * after
        return first + given + last, kernel, first + out + last

    def _to_outputs(self, m: Matrix, scale: Any) -> Any:
        return _rearranged(scale, *self._letters()[1:])

    def _from_outputs(self, m: Matrix, scale: Any) -> Any:
        return _rearranged(scale, *self._letters()[:0:-1])

    def _rounded_inputs(self, inputs: Any) -> tuple[Any, Any]:
        given, _, out = self._letters()
        axes = tuple(i for i, letter in enumerate(given) if letter not in out)
        inputs, scale = self.inputs_quantizer(inputs, axis=axes)
        return inputs, _rearranged(scale, given, out)

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        if self.gptq_unpacked_column_size is None:
            del config["gptq_unpacked_column_size"]
        return config


def _rearranged(x: Any, letters: str, wanted: str) -> Any:
    """An array with its axes rearranged: axes of size 1 that are not wanted are removed, and
    missing axes are inserted with size 1."""
    kept = [letter for letter in wanted if letter in letters]
    left = [letter for letter in letters if letter in wanted]
    x = x.squeeze(tuple(i for i, letter in enumerate(letters) if letter not in wanted))
    x = x.transpose([left.index(letter) for letter in kept])
    return x[tuple(slice(None) if letter in letters else None for letter in wanted)]


def _einsum_parts(equation: str) -> tuple[bool, str, bool, str, str]:
    """Whether an ellipsis comes first, the letters of the inputs, whether an ellipsis comes last,
    and the letters of the kernel and of the output."""
    form = r"(\.\.\.)?([a-zA-Z]+)(\.\.\.)?,([a-zA-Z]+)->(\.\.\.)?([a-zA-Z]+)(\.\.\.)?"
    match = re.fullmatch(form, equation.replace(" ", ""))
    if match is None or match[1] != match[5] or match[3] != match[7] or (match[1] and match[3]):
        raise ValueError(
            "equation must be such as 'abc,cd->abd', '...c,cd->...d' or 'ab...,bc->ac...'. "
            f"Received: equation={equation!r}"
        )
    _, given, _, kernel, _, out, _ = match.groups()
    for letter in kernel:
        if letter not in given + out:
            raise ValueError(
                f"The kernel's axis {letter!r} is neither the inputs' nor the output's. "
                f"Received: equation={equation!r}"
            )
    for letter in out:
        if letter not in given + kernel:
            raise ValueError(
                f"The output's axis {letter!r} is neither the inputs' nor the kernel's. "
                f"Received: equation={equation!r}"
            )
    return bool(match[1]), given, bool(match[3]), kernel, out


def _with_output_axes(initializer: Any, kernel: str, out: str) -> Any:
    """A copy of the initializer that treats the axes of the output as its output axes."""
    if not isinstance(initializer, initializers.VarianceScaling) or (
        initializer.input_axes is not None and initializer.output_axes is not None
    ):
        return initializer
    new = copy.copy(initializer)  # The copy draws the same values.
    new.input_axes = [i for i, letter in enumerate(kernel) if letter not in out]
    new.output_axes = [i for i, letter in enumerate(kernel) if letter in out]
    return new
