"""Examples of those functions of `tf.experimental.numpy` that `keraslike.ops` does not have, or has
with another result; the outputs are TensorFlow's."""

_TEXT = """
allclose
>>> tnp.allclose([1.0, 2.0], [1.0, 2.0]).numpy().tolist()
True

append
>>> tnp.append([1, 2], [3.5]).numpy().tolist()
[1.0, 2.0, 3.5]

arange
>>> tnp.arange(1, 4).numpy().tolist()
[1, 2, 3]

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

broadcast_arrays
>>> [part.numpy().tolist() for part in tnp.broadcast_arrays([1, 2], [[3]])]
[[[1, 2]], [[3, 3]]]

broadcast_to
>>> tnp.broadcast_to([1, 2], (2, 2)).numpy().tolist()
[[1, 2], [1, 2]]

clip
>>> tnp.clip([-1, 5], 0, 3).numpy().tolist()
[0, 3]

compress
>>> tnp.compress([True, False], [4, 5]).numpy().tolist()
[4]

concatenate
>>> tnp.concatenate([[1], [2.5]]).numpy().tolist()
[1.0, 2.5]

count_nonzero
>>> tnp.count_nonzero([0, 1, 2]).numpy().tolist()
2

cross
>>> tnp.cross([1, 0, 0], [0, 1, 0]).numpy().tolist()
[0, 0, 1]

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

full
>>> tnp.full([2], 7).numpy().tolist()
[7, 7]

full_like
>>> tnp.full_like([1, 2], 7).numpy().tolist()
[7, 7]

geomspace
>>> tnp.geomspace(1, 4, 3).numpy().tolist()
[1.0, 2.0, 4.0]

identity
>>> tnp.identity(2).numpy().tolist()
[[1.0, 0.0], [0.0, 1.0]]

isclose
>>> tnp.isclose([1.0, 2.0], [1.0, 2.1]).numpy().tolist()
[True, False]

iscomplex
>>> tnp.iscomplex([1j, 1]).numpy().tolist()
[True, False]

iscomplexobj
>>> tnp.iscomplexobj([1j])
True

isrealobj
>>> tnp.isrealobj([1.0])
True

isscalar
>>> tnp.isscalar(3.0)
True

ix_
>>> [part.numpy().tolist() for part in tnp.ix_([0, 1], [2])]
[[[0], [1]], [[2]]]

linspace
>>> tnp.linspace(0, 1, 3).numpy().tolist()
[0.0, 0.5, 1.0]

logspace
>>> tnp.logspace(0, 2, 3).numpy().tolist()
[1.0, 10.0, 100.0]

meshgrid
>>> [part.numpy().tolist() for part in tnp.meshgrid([1, 2], [3])]
[[[1, 2]], [[3, 3]]]

moveaxis
>>> tnp.moveaxis([[[1], [2]]], 0, -1).numpy().tolist()
[[[1]], [[2]]]

ndim
>>> tnp.ndim([[1, 2]])
2

nonzero
>>> [part.numpy().tolist() for part in tnp.nonzero([0, 3, 4])]
[[1, 2]]

ones
>>> tnp.ones([2]).numpy().tolist()
[1.0, 1.0]

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

where
>>> tnp.where([True, False], [1, 2], 7).numpy().tolist()
[1, 7]

zeros
>>> tnp.zeros([2]).numpy().tolist()
[0.0, 0.0]

fabs
>>> tnp.fabs([-1.5, 2]).numpy().tolist()
[1.5, 2.0]

nextafter
>>> tnp.nextafter(1.0, 1.0).numpy().tolist()
1.0
"""

EXAMPLES: dict[str, str] = {
    name: example
    for name, _, example in (entry.partition("\n") for entry in _TEXT.strip().split("\n\n"))
}
