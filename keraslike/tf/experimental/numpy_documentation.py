"""An example of each function of `tf.experimental.numpy`; the outputs are TensorFlow's."""

_TEXT = """
all
>>> tnp.all([[True, False], [True, True]], axis=0).numpy().tolist()
[True, False]

allclose
>>> tnp.allclose([1.0, 2.0], [1.0, 2.0]).numpy().tolist()
True

amax
>>> tnp.amax([[1, 5], [3, 2]], axis=0).numpy().tolist()
[3, 5]

amin
>>> tnp.amin([[1, 5], [3, 2]], axis=0).numpy().tolist()
[1, 2]

angle
>>> tnp.angle([1 + 1j]).numpy().round(4).tolist()
[0.7854]

any
>>> tnp.any([[True, False], [False, False]], axis=1).numpy().tolist()
[True, False]

append
>>> tnp.append([1, 2], [3.5]).numpy().tolist()
[1.0, 2.0, 3.5]

arange
>>> tnp.arange(1, 4).numpy().tolist()
[1, 2, 3]

argmax
>>> tnp.argmax([1, 5, 3]).numpy().tolist()
1

argmin
>>> tnp.argmin([1, 5, 3]).numpy().tolist()
0

argsort
>>> tnp.argsort([3, 1, 2]).numpy().tolist()
[1, 2, 0]

around
>>> tnp.around([1.25, 2.75], 1).numpy().round(4).tolist()
[1.2, 2.8]

array
>>> tnp.array([1, 2], ndmin=2).numpy().tolist()
[[1, 2]]

array_equal
>>> tnp.array_equal([1, 2], [1, 2]).numpy().tolist()
True

asarray
>>> tnp.asarray([1, 2.5]).numpy().tolist()
[1.0, 2.5]

ascontiguousarray
>>> tnp.ascontiguousarray(3).numpy().tolist()
[3]

atleast_1d
>>> tnp.atleast_1d(3).numpy().tolist()
[3]

atleast_2d
>>> tnp.atleast_2d([1, 2]).numpy().tolist()
[[1, 2]]

atleast_3d
>>> tnp.atleast_3d([1, 2]).numpy().tolist()
[[[1], [2]]]

average
>>> tnp.average([1, 2], weights=[3, 1]).numpy().tolist()
1.25

bitwise_not
>>> tnp.bitwise_not([1, 2]).numpy().tolist()
[-2, -3]

broadcast_arrays
>>> [part.numpy().tolist() for part in tnp.broadcast_arrays([1, 2], [[3]])]
[[[1, 2]], [[3, 3]]]

broadcast_to
>>> tnp.broadcast_to([1, 2], (2, 2)).numpy().tolist()
[[1, 2], [1, 2]]

cbrt
>>> tnp.cbrt([8.0, -27.0]).numpy().tolist()
[2.0, -3.0]

clip
>>> tnp.clip([-1, 5], 0, 3).numpy().tolist()
[0, 3]

compress
>>> tnp.compress([True, False], [4, 5]).numpy().tolist()
[4]

concatenate
>>> tnp.concatenate([[1], [2.5]]).numpy().tolist()
[1.0, 2.5]

copy
>>> tnp.copy([1, 2]).numpy().tolist()
[1, 2]

count_nonzero
>>> tnp.count_nonzero([0, 1, 2]).numpy().tolist()
2

cross
>>> tnp.cross([1, 0, 0], [0, 1, 0]).numpy().tolist()
[0, 0, 1]

cumprod
>>> tnp.cumprod([1, 2, 3]).numpy().tolist()
[1, 2, 6]

cumsum
>>> tnp.cumsum([1, 2, 3]).numpy().tolist()
[1, 3, 6]

deg2rad
>>> tnp.deg2rad(180).numpy().round(4).tolist()
3.1416

diag
>>> tnp.diag([1, 2]).numpy().tolist()
[[1, 0], [0, 2]]

diag_indices
>>> [part.numpy().tolist() for part in tnp.diag_indices(2)]
[[0, 1], [0, 1]]

diagflat
>>> tnp.diagflat([1, 2]).numpy().tolist()
[[1, 0], [0, 2]]

diagonal
>>> tnp.diagonal([[1, 2], [3, 4]]).numpy().tolist()
[1, 4]

diff
>>> tnp.diff([1, 4, 9]).numpy().tolist()
[3, 5]

divmod
>>> [part.numpy().tolist() for part in tnp.divmod(7, 3)]
[2, 1]

dot
>>> tnp.dot([1, 2], [3, 4]).numpy().tolist()
11

dsplit
>>> [part.numpy().tolist() for part in tnp.dsplit([[[1, 2]]], 2)]
[[[[1]]], [[[2]]]]

hsplit
>>> [part.numpy().tolist() for part in tnp.hsplit([1, 2], 2)]
[[1], [2]]

vsplit
>>> [part.numpy().tolist() for part in tnp.vsplit([[1], [2]], 2)]
[[[1]], [[2]]]

dstack
>>> tnp.dstack([[1], [2]]).numpy().tolist()
[[[1, 2]]]

hstack
>>> tnp.hstack([[1], [2]]).numpy().tolist()
[1, 2]

vstack
>>> tnp.vstack([[1], [2]]).numpy().tolist()
[[1], [2]]

einsum
>>> tnp.einsum("i,i->", [1, 2], [3.0, 4.0]).numpy().tolist()
11.0

empty
>>> tnp.empty([0]).numpy().tolist()
[]

empty_like
>>> tnp.empty_like([1, 2]).shape
TensorShape([2])

exp2
>>> tnp.exp2([1, 3]).numpy().tolist()
[2.0, 8.0]

expand_dims
>>> tnp.expand_dims([1, 2], 0).numpy().tolist()
[[1, 2]]

eye
>>> tnp.eye(2).numpy().tolist()
[[1.0, 0.0], [0.0, 1.0]]

fix
>>> tnp.fix([1.8, -1.8]).numpy().tolist()
[1.0, -1.0]

flatten
>>> tnp.flatten([[1, 2], [3, 4]], "F").numpy().tolist()
[1, 3, 2, 4]

flip
>>> tnp.flip([1, 2, 3]).numpy().tolist()
[3, 2, 1]

fliplr
>>> tnp.fliplr([[1, 2]]).numpy().tolist()
[[2, 1]]

flipud
>>> tnp.flipud([[1], [2]]).numpy().tolist()
[[2], [1]]

full
>>> tnp.full([2], 7).numpy().tolist()
[7, 7]

full_like
>>> tnp.full_like([1, 2], 7).numpy().tolist()
[7, 7]

geomspace
>>> tnp.geomspace(1, 4, 3).numpy().tolist()
[1.0, 2.0, 4.0]

heaviside
>>> tnp.heaviside([-1.0, 0.0, 2.0], 0.5).numpy().tolist()
[0.0, 0.5, 1.0]

hypot
>>> tnp.hypot(3, 4).numpy().tolist()
5.0

identity
>>> tnp.identity(2).numpy().tolist()
[[1.0, 0.0], [0.0, 1.0]]

inner
>>> tnp.inner([1, 2], [3, 4]).numpy().tolist()
11

isclose
>>> tnp.isclose([1.0, 2.0], [1.0, 2.1]).numpy().tolist()
[True, False]

iscomplex
>>> tnp.iscomplex([1j, 1]).numpy().tolist()
[True, False]

iscomplexobj
>>> tnp.iscomplexobj([1j])
True

isinf
>>> tnp.isinf([1.0, float("inf")]).numpy().tolist()
[False, True]

isneginf
>>> tnp.isneginf([1.0, float("-inf")]).numpy().tolist()
[False, True]

isposinf
>>> tnp.isposinf([1.0, float("inf")]).numpy().tolist()
[False, True]

isreal
>>> tnp.isreal([1j, 1]).numpy().tolist()
[False, True]

isrealobj
>>> tnp.isrealobj([1.0])
True

isscalar
>>> tnp.isscalar(3.0)
True

ix_
>>> [part.numpy().tolist() for part in tnp.ix_([0, 1], [2])]
[[[0], [1]], [[2]]]

kron
>>> tnp.kron([1, 2], [1, 10]).numpy().tolist()
[1, 10, 2, 20]

linspace
>>> tnp.linspace(0, 1, 3).numpy().tolist()
[0.0, 0.5, 1.0]

log10
>>> tnp.log10([1.0, 100.0]).numpy().round(4).tolist()
[0.0, 2.0]

log2
>>> tnp.log2([1.0, 8.0]).numpy().round(4).tolist()
[0.0, 3.0]

logaddexp
>>> tnp.logaddexp(0.0, 0.0).numpy().round(4).tolist()
0.6931

logaddexp2
>>> tnp.logaddexp2(1.0, 1.0).numpy().tolist()
2.0

logical_and
>>> tnp.logical_and([True, False], True).numpy().tolist()
[True, False]

logical_or
>>> tnp.logical_or([True, False], False).numpy().tolist()
[True, False]

logical_not
>>> tnp.logical_not([1, 0]).numpy().tolist()
[False, True]

logical_xor
>>> tnp.logical_xor([True, False], True).numpy().tolist()
[False, True]

logspace
>>> tnp.logspace(0, 2, 3).numpy().tolist()
[1.0, 10.0, 100.0]

matmul
>>> tnp.matmul([[1, 2]], [[3], [4]]).numpy().tolist()
[[11]]

mean
>>> tnp.mean([1, 2]).numpy().tolist()
1.5

meshgrid
>>> [part.numpy().tolist() for part in tnp.meshgrid([1, 2], [3])]
[[[1, 2]], [[3, 3]]]

moveaxis
>>> tnp.moveaxis([[[1], [2]]], 0, -1).numpy().tolist()
[[[1]], [[2]]]

nanmean
>>> tnp.nanmean([1.0, float("nan")]).numpy().tolist()
1.0

nanprod
>>> tnp.nanprod([2.0, float("nan")]).numpy().tolist()
2.0

nansum
>>> tnp.nansum([2.0, float("nan")]).numpy().tolist()
2.0

ndim
>>> tnp.ndim([[1, 2]])
2

nonzero
>>> [part.numpy().tolist() for part in tnp.nonzero([0, 3, 4])]
[[1, 2]]

ones
>>> tnp.ones([2]).numpy().tolist()
[1.0, 1.0]

ones_like
>>> tnp.ones_like([3, 4]).numpy().tolist()
[1, 1]

outer
>>> tnp.outer([1, 2], [3, 4]).numpy().tolist()
[[3, 4], [6, 8]]

pad
>>> tnp.pad([1, 2], [[1, 0]], "constant").numpy().tolist()
[0, 1, 2]

polyval
>>> tnp.polyval([1, 0, 2], 3).numpy().tolist()
11

positive
>>> tnp.positive([1, -2]).numpy().tolist()
[1, -2]

prod
>>> tnp.prod([2, 3]).numpy().tolist()
6

promote_types
>>> tnp.promote_types("int32", "float32")
dtype('float64')

ptp
>>> tnp.ptp([1, 5, 3]).numpy().tolist()
4

rad2deg
>>> tnp.rad2deg([0.0]).numpy().tolist()
[0.0]

ravel
>>> tnp.ravel([[1, 2], [3, 4]]).numpy().tolist()
[1, 2, 3, 4]

repeat
>>> tnp.repeat([1, 2], 2).numpy().tolist()
[1, 1, 2, 2]

reshape
>>> tnp.reshape([1, 2, 3, 4], (2, 2)).numpy().tolist()
[[1, 2], [3, 4]]

roll
>>> tnp.roll([1, 2, 3], 1).numpy().tolist()
[3, 1, 2]

rot90
>>> tnp.rot90([[1, 2], [3, 4]]).numpy().tolist()
[[2, 4], [1, 3]]

select
>>> tnp.select([[True, False]], [[1, 2]], 9).numpy().tolist()
[1, 9]

shape
>>> tnp.shape([[1, 2]])
TensorShape([1, 2])

signbit
>>> tnp.signbit([-1.0, 2.0]).numpy().tolist()
[True, False]

sinc
>>> tnp.sinc([0.0]).numpy().tolist()
[1.0]

size
>>> tnp.size([[1, 2]])
np.int64(2)

sort
>>> tnp.sort([3, 1, 2]).numpy().tolist()
[1, 2, 3]

split
>>> [part.numpy().tolist() for part in tnp.split([1, 2, 3, 4], 2)]
[[1, 2], [3, 4]]

squeeze
>>> tnp.squeeze([[1, 2]]).numpy().tolist()
[1, 2]

stack
>>> tnp.stack([[1, 2], [3, 4]], 1).numpy().tolist()
[[1, 3], [2, 4]]

std
>>> tnp.std([1, 3]).numpy().tolist()
1.0

sum
>>> tnp.sum([1, 2]).numpy().tolist()
3

swapaxes
>>> tnp.swapaxes([[1, 2]], 0, 1).numpy().tolist()
[[1], [2]]

take
>>> tnp.take([4, 5, 6], [0, 2]).numpy().tolist()
[4, 6]

take_along_axis
>>> tnp.take_along_axis([[4, 5]], [[1, 0]], 1).numpy().tolist()
[[5, 4]]

tensordot
>>> tnp.tensordot([1, 2], [3, 4], 1).numpy().tolist()
11

tile
>>> tnp.tile([1, 2], 2).numpy().tolist()
[1, 2, 1, 2]

trace
>>> tnp.trace([[1, 2], [3, 4]]).numpy().tolist()
5

transpose
>>> tnp.transpose([[1, 2]]).numpy().tolist()
[[1], [2]]

tri
>>> tnp.tri(2).numpy().tolist()
[[1.0, 0.0], [1.0, 1.0]]

tril
>>> tnp.tril([[1, 2], [3, 4]]).numpy().tolist()
[[1, 0], [3, 4]]

triu
>>> tnp.triu([[1, 2], [3, 4]]).numpy().tolist()
[[1, 2], [0, 4]]

vander
>>> tnp.vander([2, 3]).numpy().tolist()
[[2, 1], [3, 1]]

var
>>> tnp.var([1, 3]).numpy().tolist()
1.0

vdot
>>> tnp.vdot([1, 2], [3, 4]).numpy().tolist()
11

where
>>> tnp.where([True, False], [1, 2], 7).numpy().tolist()
[1, 7]

zeros
>>> tnp.zeros([2]).numpy().tolist()
[0.0, 0.0]

zeros_like
>>> tnp.zeros_like([3, 4]).numpy().tolist()
[0, 0]

sin
>>> tnp.sin([0]).numpy().tolist()
[0.0]

cos
>>> tnp.cos([0]).numpy().tolist()
[1.0]

tan
>>> tnp.tan([0]).numpy().tolist()
[0.0]

sinh
>>> tnp.sinh([0]).numpy().tolist()
[0.0]

cosh
>>> tnp.cosh([0]).numpy().tolist()
[1.0]

tanh
>>> tnp.tanh([0]).numpy().tolist()
[0.0]

arcsin
>>> tnp.arcsin([0]).numpy().tolist()
[0.0]

arccos
>>> tnp.arccos([1]).numpy().tolist()
[0.0]

arctan
>>> tnp.arctan([0]).numpy().tolist()
[0.0]

arcsinh
>>> tnp.arcsinh([0]).numpy().tolist()
[0.0]

arccosh
>>> tnp.arccosh([1]).numpy().tolist()
[0.0]

arctanh
>>> tnp.arctanh([0]).numpy().tolist()
[0.0]

exp
>>> tnp.exp([0, 1]).numpy().round(4).tolist()
[1.0, 2.7183]

expm1
>>> tnp.expm1([0]).numpy().tolist()
[0.0]

log
>>> tnp.log([1]).numpy().tolist()
[0.0]

log1p
>>> tnp.log1p([0]).numpy().tolist()
[0.0]

sqrt
>>> tnp.sqrt([4, 9]).numpy().tolist()
[2.0, 3.0]

ceil
>>> tnp.ceil([1.5, 2]).numpy().tolist()
[2.0, 2.0]

floor
>>> tnp.floor([1.5, 2]).numpy().tolist()
[1.0, 2.0]

isnan
>>> tnp.isnan([1.0, float("nan")]).numpy().tolist()
[False, True]

isfinite
>>> tnp.isfinite([1.0, float("nan")]).numpy().tolist()
[True, False]

abs
>>> tnp.abs([-1, 2]).numpy().tolist()
[1, 2]

absolute
>>> tnp.absolute([-1, 2]).numpy().tolist()
[1, 2]

fabs
>>> tnp.fabs([-1.5, 2]).numpy().tolist()
[1.5, 2.0]

negative
>>> tnp.negative([1, -2]).numpy().tolist()
[-1, 2]

square
>>> tnp.square([2, -3]).numpy().tolist()
[4, 9]

reciprocal
>>> tnp.reciprocal([2.0, 4.0]).numpy().tolist()
[0.5, 0.25]

conj
>>> tnp.conj([1 + 2j]).numpy().tolist()
[(1-2j)]

conjugate
>>> tnp.conjugate([1 + 2j]).numpy().tolist()
[(1-2j)]

sign
>>> tnp.sign([-2, 0, 5]).numpy().tolist()
[-1, 0, 1]

real
>>> tnp.real([1 + 2j]).numpy().tolist()
[1.0]

imag
>>> tnp.imag([1 + 2j]).numpy().tolist()
[2.0]

add
>>> tnp.add([1, 2], 0.5).numpy().tolist()
[1.5, 2.5]

subtract
>>> tnp.subtract([1, 2], 0.5).numpy().tolist()
[0.5, 1.5]

multiply
>>> tnp.multiply([1, 2], 0.5).numpy().tolist()
[0.5, 1.0]

true_divide
>>> tnp.true_divide([1, 2], 2).numpy().tolist()
[0.5, 1.0]

floor_divide
>>> tnp.floor_divide([5, -5], 2).numpy().tolist()
[2, -3]

mod
>>> tnp.mod([5, -5], 3).numpy().tolist()
[2, 1]

maximum
>>> tnp.maximum([1, 5], 2).numpy().tolist()
[2, 5]

minimum
>>> tnp.minimum([1, 5], 2).numpy().tolist()
[1, 2]

power
>>> tnp.power([2, 3], 2).numpy().tolist()
[4, 9]

arctan2
>>> tnp.arctan2([0.0], [1.0]).numpy().tolist()
[0.0]

nextafter
>>> tnp.nextafter(1.0, 1.0).numpy().tolist()
1.0

bitwise_and
>>> tnp.bitwise_and([5, 6], 3).numpy().tolist()
[1, 2]

bitwise_or
>>> tnp.bitwise_or([5, 6], 3).numpy().tolist()
[7, 7]

bitwise_xor
>>> tnp.bitwise_xor([5, 6], 3).numpy().tolist()
[6, 5]

gcd
>>> tnp.gcd([12, 9], 6).numpy().tolist()
[6, 3]

lcm
>>> tnp.lcm([4, 3], 6).numpy().tolist()
[12, 6]

equal
>>> tnp.equal([1, 2], 2).numpy().tolist()
[False, True]

not_equal
>>> tnp.not_equal([1, 2], 2).numpy().tolist()
[True, False]

less
>>> tnp.less([1, 2], 2).numpy().tolist()
[True, False]

less_equal
>>> tnp.less_equal([1, 2], 2).numpy().tolist()
[True, True]

greater
>>> tnp.greater([1, 2], 1).numpy().tolist()
[False, True]

greater_equal
>>> tnp.greater_equal([1, 2], 2).numpy().tolist()
[False, True]
"""

EXAMPLES: dict[str, str] = {
    name: example
    for name, _, example in (entry.partition("\n") for entry in _TEXT.strip().split("\n\n"))
}
