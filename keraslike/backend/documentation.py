"""The docstrings of those functions of `keras.backend` that are one line in a table, of which some
are those of the operations with the same name."""

from keraslike.ops.documentation import DOCUMENTATION as OPS
from keraslike.ops.documentation import read, with_x_and_y

_TEXT = """
pow
`x ** a`.
>>> pow([2.0, 3.0], 2).tolist()
[4.0, 9.0]

round
The nearest whole numbers, of two as near the even one.
>>> round([0.5, 1.6]).tolist()
[0.0, 2.0]

sqrt
`sqrt(max(x, 0))`.
>>> sqrt([4.0, -1.0]).tolist()
[2.0, 0.0]

max
The largest value along axes.
>>> max([[1, 4], [3, 2]], axis=1).tolist()
[4, 3]

min
The smallest value along axes.
>>> min([[1, 4], [3, 2]], axis=1).tolist()
[1, 2]

prod
The product of the values along axes.
>>> prod([2, 3, 4]).tolist()
24

l2_normalize
`x / sqrt(max(sum(x**2), 1e-12))`, the sum along axes.
>>> l2_normalize([3.0, 4.0]).round(1)
Array([0.6, 0.8], dtype=float32)

batch_flatten
`(samples, features)`: all axes but the first in one.
>>> batch_flatten(ones((2, 3, 4))).shape
(2, 12)

concatenate
Arrays joined along an axis.
>>> concatenate([[1, 2], [3]]).tolist()
[1, 2, 3]

expand_dims
`x` with an axis of size 1 put in.
>>> expand_dims([1, 2]).tolist()
[[1], [2]]

flatten
All elements in one axis.
>>> flatten([[1, 2], [3, 4]]).tolist()
[1, 2, 3, 4]

gather
The elements at indices along the first axis.
>>> gather([10, 20, 30], [2, 0]).tolist()
[30, 10]

int_shape
The shape, a tuple; `None` for a size that a symbolic tensor does not know.
>>> int_shape([[1, 2]])
(1, 2)

ndim
The number of axes.
>>> ndim([[1, 2]])
2

permute_dimensions
The axes in another order.
>>> permute_dimensions(ones((2, 3)), (1, 0)).shape
(3, 2)

repeat_elements
Each element along an axis `rep` times.
>>> repeat_elements([1, 2], 2, axis=0).tolist()
[1, 1, 2, 2]

reshape
The elements in another shape.
>>> reshape([1, 2, 3, 4], (2, 2)).tolist()
[[1, 2], [3, 4]]

reverse
The order along axes reversed.
>>> reverse([1, 2, 3], 0).tolist()
[3, 2, 1]

shape
The shape, a tuple.
>>> shape([[1, 2]])
(1, 2)

squeeze
`x` without an axis of size 1.
>>> squeeze([[1, 2]], 0).tolist()
[1, 2]

stack
Arrays of one shape joined along a new axis.
>>> stack([[1, 2], [3, 4]]).tolist()
[[1, 2], [3, 4]]

tile
`x` laid side by side `n` times along each axis.
>>> tile([1, 2], 2).tolist()
[1, 2, 1, 2]

transpose
The axes in reversed order.
>>> transpose([[1, 2], [3, 4]]).tolist()
[[1, 3], [2, 4]]

cast
The values in another dtype.
>>> cast([1.7, 2.0], "int32").tolist()
[1, 2]

cast_to_floatx
The values in the dtype that `floatx()` says; a NumPy array stays one.
>>> cast_to_floatx([1, 2]).tolist()
[1.0, 2.0]

dtype
The name of the dtype.
>>> dtype(ones((1,)))
'float32'

eval
The value as a NumPy array.
>>> eval(ones((2,))).tolist()
[1.0, 1.0]

is_sparse
Whether it is a sparse array.
>>> is_sparse(ones((2,)))
False

to_dense
The dense array of a sparse one; a dense one as it is.
>>> to_dense(ones((2,))).tolist()
[1.0, 1.0]

stop_gradient
The values, of one array or of several, as constants of which no gradient is taken.
>>> stop_gradient(ones((2,))).tolist()
[1.0, 1.0]

arange
The numbers from `start` to before `stop` (from 0 to before `start` where it is `None`).
>>> arange(3).tolist()
[0, 1, 2]

constant
An array of a value, filled up to a shape where one is given.
>>> constant(7.0, shape=(2,)).tolist()
[7.0, 7.0]

eye
The identity matrix.
>>> eye(2).tolist()
[[1.0, 0.0], [0.0, 1.0]]

ones
Ones.
>>> ones((2,)).tolist()
[1.0, 1.0]

zeros
Zeros.
>>> zeros((2,)).tolist()
[0.0, 0.0]

one_hot
1 at each index and 0 elsewhere, along a new last axis.
>>> one_hot([1, 0], 2).tolist()
[[0.0, 1.0], [1.0, 0.0]]

random_bernoulli
1 with the probability `p`, else 0.
>>> random_bernoulli((2,), p=1.0, seed=1).tolist()
[1.0, 1.0]

random_normal
Draws from the normal distribution.
>>> random_normal((2, 3), seed=1).shape
(2, 3)

random_uniform
Draws from the uniform distribution on `[minval, maxval)`.
>>> random_uniform((2, 3), seed=1).shape
(2, 3)

truncated_normal
Draws from the normal distribution, none more than two standard deviations from the mean.
>>> truncated_normal((2, 3), seed=1).shape
(2, 3)

random_normal_variable
A Variable of draws from the normal distribution.
>>> random_normal_variable((2, 3), mean=0.0, scale=1.0, seed=1).shape
(2, 3)

random_uniform_variable
A Variable of draws from the uniform distribution on `[low, high)`.
>>> random_uniform_variable((2, 3), low=0.0, high=1.0, seed=1).shape
(2, 3)

dropout
Elements become 0 with the probability `level`, the others are divided by `1 - level`.
>>> dropout(ones((2,)), 0.0).tolist()
[1.0, 1.0]

batch_get_value
The values of Variables as NumPy arrays.
>>> batch_get_value([variable([1.0, 2.0])])
[array([1., 2.], dtype=float32)]

count_params
The number of elements of a Variable or an array.
>>> count_params(ones((2, 3)))
6

moving_average_update
Assigns `x * momentum + value * (1 - momentum)` to a Variable, and returns it.
>>> float(moving_average_update(variable(1.0), 3.0, 0.5))
2.0

set_value
Assigns a value to a Variable.
>>> set_value(variable(1.0), 2.0) is None
True

update
Assigns a value to a Variable, and returns it.
>>> float(update(variable(1.0), 2.0))
2.0

update_add
Adds to a Variable, and returns it.
>>> float(update_add(variable(1.0), 2.0))
3.0

update_sub
Subtracts from a Variable, and returns it.
>>> float(update_sub(variable(1.0), 2.0))
-1.0

batch_normalization
`(x - mean) / sqrt(var + epsilon) * gamma + beta`.
>>> batch_normalization([[3.0]], [1.0], [4.0], [0.0], [1.0]).round(2)
Array([[1.]], dtype=float32)

elu
`x` where positive, `alpha * (exp(x) - 1)` elsewhere.
>>> elu([2.0]).tolist()
[2.0]

hard_sigmoid
`clip(0.2 x + 0.5, 0, 1)`, Keras 2's.
>>> hard_sigmoid([0.0, 3.0]).tolist()
[0.5, 1.0]

in_top_k
Whether each target is among the `k` most probable predictions.
>>> in_top_k([[0.1, 0.9]], [1], 1).tolist()
[True]

relu
`max(x, 0)`, with a slope `alpha` below `threshold`, and at most `max_value`.
>>> relu([-1.0, 2.0]).tolist()
[0.0, 2.0]

conv1d
The convolution of `(samples, steps, channels)` with a kernel `(size, channels, filters)`.
>>> conv1d(ones((1, 4, 2)), ones((2, 2, 3))).shape
(1, 3, 3)

conv2d
The convolution of `(samples, rows, columns, channels)` with a kernel `(height, width, channels,
filters)`.
>>> conv2d(ones((1, 4, 4, 2)), ones((2, 2, 2, 3))).shape
(1, 3, 3, 3)

conv3d
The convolution of volumes with a kernel `(depth, height, width, channels, filters)`.
>>> conv3d(ones((1, 3, 3, 3, 1)), ones((2, 2, 2, 1, 2))).shape
(1, 2, 2, 2, 2)

depthwise_conv2d
The convolution of each channel by itself, with a kernel `(height, width, channels, multiplier)`.
>>> depthwise_conv2d(ones((1, 4, 4, 2)), ones((2, 2, 2, 1))).shape
(1, 3, 3, 2)

separable_conv2d
A depthwise convolution, then one with a window of size 1.
>>> separable_conv2d(ones((1, 4, 4, 2)), ones((2, 2, 2, 1)), ones((1, 1, 2, 5))).shape
(1, 3, 3, 5)

pool2d
The largest value (`pool_mode="max"`) or the mean (`"avg"`) of each window of an image.
>>> pool2d(ones((1, 4, 4, 1)), (2, 2), (2, 2)).shape
(1, 2, 2, 1)

pool3d
The largest value (`pool_mode="max"`) or the mean (`"avg"`) of each window of a volume.
>>> pool3d(ones((1, 2, 2, 2, 1)), (2, 2, 2)).shape
(1, 1, 1, 1, 1)

resize_images
Images larger by whole factors.
>>> resize_images(ones((1, 2, 2, 1)), 2, 3, "channels_last").shape
(1, 4, 6, 1)

resize_volumes
Volumes larger by whole factors, each element repeated.
>>> resize_volumes(ones((1, 1, 1, 1, 1)), 2, 3, 4, "channels_last").shape
(1, 2, 3, 4, 1)

temporal_padding
Zeros before and after the steps of `(samples, steps, channels)`.
>>> temporal_padding(ones((1, 2, 1)), (1, 2)).shape
(1, 5, 1)

spatial_2d_padding
Zeros around images.
>>> spatial_2d_padding(ones((1, 2, 2, 1))).shape
(1, 4, 4, 1)

spatial_3d_padding
Zeros around volumes.
>>> spatial_3d_padding(ones((1, 1, 1, 1, 1))).shape
(1, 3, 3, 3, 1)

binary_crossentropy
`-target * log(output) - (1 - target) * log(1 - output)`, element by element.
>>> binary_crossentropy([1.0], [0.5]).round(2)
Array([0.69], dtype=float32)

categorical_crossentropy
`-sum(target * log(output))` along an axis, `output` scaled to a sum of 1.
>>> categorical_crossentropy([[0.0, 1.0]], [[0.5, 0.5]]).round(2)
Array([0.69], dtype=float32)

foldl
`fn(accumulated, element)` of each element along the first axis, from the first to the last.
>>> foldl(lambda total, x: total + x, constant([1, 2, 3])).tolist()
6.0

foldr
`fn(accumulated, element)` of each element along the first axis, from the last to the first.
>>> foldr(lambda total, x: total - x, constant([1, 2, 3])).tolist()
0.0

map_fn
`fn` of each element along the first axis.
>>> map_fn(lambda x: x + 1, constant([1, 2])).tolist()
[2.0, 3.0]
"""

DOCUMENTATION = {n: with_x_and_y(text) for n, text in OPS.items()} | read(_TEXT)
