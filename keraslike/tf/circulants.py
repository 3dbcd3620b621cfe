"""Linear operators of circular convolutions: `tf.linalg.LinearOperatorCirculant` and others."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from keraslike.tf import dtypes, linalg, ops, signal, table
from keraslike.tf import math as tf_math
from keraslike.tf.conversion import _as_operand, constant
from keraslike.tf.dtypes import DType, TensorShape
from keraslike.tf.linear_operator import LinearOperator
from keraslike.tf.operator_arguments import HINTS, hints_of, require
from keraslike.tf.tensor import Tensor


class _Circulant(LinearOperator):
    """A circular convolution along some axes."""

    @property
    def _depth(self) -> int:
        return self._parts["_spectrum"]  # type: ignore[return-value]

    def __init__(self, spectrum: Any, input_output_dtype: Any = dtypes.complex64, **hints: Any):
        self._spectrum = _as_operand(spectrum)
        if len(self._spectrum.shape) < self._depth:
            raise ValueError(
                f"spectrum must have at least {self._depth} axes. Received: "
                f"{tuple(self._spectrum.shape)}"
            )
        if hints.get("is_square") is False:
            raise ValueError("A circulant operator is always square. Received: is_square=False")
        if not dtypes.as_dtype(self._spectrum.dtype).is_complex:
            if hints.get("is_self_adjoint") is False:
                raise ValueError(
                    "A real spectrum is that of a self-adjoint operator. Received: "
                    "is_self_adjoint=False"
                )
            hints["is_self_adjoint"] = True
        super().__init__(input_output_dtype, **hints_of(hints, is_square=True))

    spectrum = property(lambda self: self._spectrum)

    # -- shapes -------------------------------------------------------------------------------

    @property
    def block_depth(self) -> int:
        """The number of axes along which the convolution is."""
        return self._depth

    @property
    def block_shape(self) -> TensorShape:
        """The sizes of the kernel."""
        return self._spectrum.shape[-self._depth :]

    def block_shape_tensor(self, name: Any = None) -> Tensor:
        """The sizes of the kernel as a tensor."""
        return constant(self.block_shape.as_list(), dtypes.int32)

    def _shape(self) -> Sequence[int]:
        size = math.prod(tuple(self.block_shape))
        return (*self._spectrum.shape[: -self._depth], size, size)

    # -- the convolution ----------------------------------------------------------------------

    def _complex(self, x: Any) -> Tensor:
        kind: DType = dtypes.complex128 if self.dtype.real_dtype.size > 4 else dtypes.complex64
        return ops.cast(x, kind)

    def _transformed(self, x: Any, inverse: bool = False) -> Tensor:
        name = {1: "fft", 2: "fft2d", 3: "fft3d"}[self._depth]
        return getattr(signal, f"i{name}" if inverse else name)(x)

    def convolution_kernel(self, name: Any = None) -> Tensor:
        """The kernel: the inverse transform of the spectrum."""
        return ops.cast(self._transformed(self._complex(self._spectrum), inverse=True), self.dtype)

    def _filtered(self, x: Any, factor: Any) -> Tensor:
        """Columns whose transforms are multiplied."""
        columns = self._complex(linalg.matrix_transpose(x))
        sizes = self.block_shape.as_list()
        blocks = ops.reshape(columns, (*columns.shape[:-1], *sizes))
        factor = ops.expand_dims(factor, -self._depth - 1)
        made = self._transformed(self._transformed(blocks) * factor, inverse=True)
        made = ops.reshape(made, (*made.shape[: -self._depth], columns.shape[-1]))
        return ops.cast(linalg.matrix_transpose(made), self.dtype)

    def _of_adjoint(self, adjoint: bool) -> Tensor:
        values = self._complex(self._spectrum)
        return tf_math.conj(values) if adjoint else values

    def _matmul(self, x: Any, adjoint: bool) -> Any:
        return self._filtered(x, self._of_adjoint(adjoint))

    def _solve(self, rhs: Any, adjoint: bool) -> Any:
        return self._filtered(rhs, 1.0 / self._of_adjoint(adjoint))

    # -- numbers ------------------------------------------------------------------------------

    def _flat(self) -> Tensor:
        sizes = (*self._spectrum.shape[: -self._depth], self.domain_dimension)
        return ops.reshape(self._spectrum, sizes)

    def _determinant(self) -> Any:
        return ops.cast(table.reduce_prod(self._complex(self._flat()), -1), self.dtype)

    def _log_abs_determinant(self) -> Any:
        sizes = table.abs(self._complex(self._flat()))
        return ops.cast(table.reduce_sum(table.log(sizes), -1), self.dtype)

    def trace(self, name: Any = None) -> Tensor:
        return ops.cast(table.reduce_sum(self._complex(self._flat()), -1), self.dtype)

    def diag_part(self, name: Any = None) -> Tensor:
        mean = ops.expand_dims(self.trace() / self.domain_dimension, -1)
        return ops.broadcast_to(mean, self.shape[:-1])

    def eigvals(self, name: Any = None) -> Tensor:
        if not self.is_self_adjoint:
            raise NotImplementedError("Only self-adjoint matrices are supported.")
        return self._flat()

    def cond(self, name: Any = None) -> Tensor:
        sizes = table.abs(self._flat())
        return table.reduce_max(sizes, -1) / table.reduce_min(sizes, -1)

    # -- other operators ----------------------------------------------------------------------

    def _like(self, spectrum: Any, hints: dict[str, Any], **more: Any) -> Any:
        return type(self)(spectrum, self.dtype, **hints, **more)

    def _hints(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in HINTS}

    def adjoint(self, name: Any = None) -> LinearOperator:
        if self.is_self_adjoint:
            return self
        return self._like(tf_math.conj(self._spectrum), self._hints(), name=self.name)

    def inverse(self, name: Any = None) -> LinearOperator:
        if self.is_non_singular is False:
            raise ValueError(f"Cannot take the inverse of {self.name}, of shape {self.shape}.")
        return self._like(1.0 / self._spectrum, self._hints())

    def _times(self, right: LinearOperator) -> LinearOperator:
        # Of one number of axes, the product is the convolution with both kernels.
        if type(right) is not type(self) or right.block_shape != self.block_shape:
            return super()._times(right)
        both = {n: getattr(self, n) and getattr(right, n) or None for n in HINTS[:3]}
        if False in (self.is_non_singular, right.is_non_singular):
            both["is_non_singular"] = False
        if not both["is_self_adjoint"]:
            both["is_positive_definite"] = None
        left, other = self._spectrum, right.spectrum
        if left.dtype != other.dtype:
            left, other = self._complex(left), self._complex(other)
        return self._like(left * other, both)

    # -- assertions ---------------------------------------------------------------------------

    def assert_hermitian_spectrum(self, name: Any = None) -> None:
        """Raises InvalidArgumentError for a spectrum whose kernel is not real."""
        kernel = self._transformed(self._complex(self._spectrum), inverse=True)
        limit = np.finfo(self.dtype.real_dtype.as_numpy_dtype).eps * self.domain_dimension
        limit = limit * table.reduce_max(table.abs(kernel))
        require(table.abs(tf_math.imag(kernel)) <= limit, f"Not Hermitian: {self.name}")

    def assert_non_singular(self, name: Any = None) -> None:
        require(table.abs(self._spectrum) > 0, f"Singular operator: {self.name}")

    def assert_self_adjoint(self, name: Any = None) -> None:
        require(
            table.abs(tf_math.imag(self._complex(self._spectrum))) <= 0,
            f"Not self-adjoint, since the spectrum is not real: {self.name}",
        )

    def assert_positive_definite(self, name: Any = None) -> None:
        require(
            tf_math.real(self._complex(self._spectrum)) > 0,
            f"Not positive definite: {self.name}",
        )


class LinearOperatorCirculant(_Circulant):
    """The operator of a circular convolution along one axis, by the spectrum of its kernel:
    `ifft(spectrum * fft(x))`.

    Args:
        spectrum: the Fourier transform of the kernel, which is the first column of the matrix.
            A real one belongs to a self-adjoint operator.
        input_output_dtype: of the elements of the matrix. Their imaginary parts are left out if it
            is real.

    Raises ValueError for a spectrum with too few axes, and for hints that contradict it.

    >>> tf.linalg.LinearOperatorCirculant([3.0, 1.0], tf.float32).to_dense().numpy().tolist()
    [[2.0, 1.0], [1.0, 2.0]]
    """

    _parts: ClassVar = {"_spectrum": 1}


class LinearOperatorCirculant2D(_Circulant):
    """The operator of a circular convolution along two axes, by the spectrum of its kernel: rows
    of `block_shape[1]` elements are one after another in a vector.

    >>> operator = tf.linalg.LinearOperatorCirculant2D([[4.0, 0.0], [2.0, 2.0]], tf.float32)
    >>> operator.matvec([1.0, 0.0, 0.0, 0.0]).numpy().tolist()
    [2.0, 1.0, 0.0, 1.0]
    """

    _parts: ClassVar = {"_spectrum": 2}


class LinearOperatorCirculant3D(_Circulant):
    """The operator of a circular convolution along three axes, by the spectrum of its kernel.

    >>> operator = tf.linalg.LinearOperatorCirculant3D([[[2.0, 4.0]]], tf.float32)
    >>> operator.block_depth, operator.matvec([1.0, 0.0]).numpy().tolist()
    (3, [3.0, -1.0])
    """

    _parts: ClassVar = {"_spectrum": 3}


__all__ = ["LinearOperatorCirculant", "LinearOperatorCirculant2D", "LinearOperatorCirculant3D"]
