"""Types of `keraslike.tf.io`. Written by tests/types/stubs.py, see there."""

import builtins as _builtins
from collections.abc import Callable as _Callable
from collections.abc import Sequence as _Sequence
from typing import Any as _Any

from keraslike.tf import gfile as gfile
from keraslike.tf.parsing import FixedLenFeature as FixedLenFeature
from keraslike.tf.parsing import FixedLenSequenceFeature as FixedLenSequenceFeature
from keraslike.tf.parsing import RaggedFeature as RaggedFeature
from keraslike.tf.parsing import SparseFeature as SparseFeature
from keraslike.tf.parsing import VarLenFeature as VarLenFeature

class TFRecordOptions(_Any): ...
class TFRecordWriter(_Any): ...

def decode_and_crop_jpeg(
    contents: _Any,
    crop_window: _Any,
    channels: _builtins.int = ...,
    ratio: _builtins.int = ...,
    fancy_upscaling: _builtins.bool = ...,
    try_recover_truncated: _builtins.bool = ...,
    acceptable_fraction: _builtins.float = ...,
    dct_method: _builtins.str = ...,
    name: _builtins.str | None = ...,
) -> _Any: ...
def decode_base64(input: _Any, name: _Any = ...) -> _Any: ...
def decode_bmp(
    contents: _Any, channels: _builtins.int = ..., name: _builtins.str | None = ...
) -> _Any: ...
def decode_compressed(
    bytes: _Any, compression_type: _builtins.str = ..., name: _Any = ...
) -> _Any: ...
def decode_csv(
    records: _Any,
    record_defaults: _Any,
    field_delim: _builtins.str = ...,
    use_quote_delim: _builtins.bool = ...,
    na_value: _builtins.str = ...,
    select_cols: _Any = ...,
    name: _builtins.str | None = ...,
) -> _Any: ...
def decode_gif(contents: _Any, name: _builtins.str | None = ...) -> _Any: ...
def decode_image(
    contents: _Any,
    channels: _builtins.int | None = ...,
    dtype: _Any = ...,
    name: _builtins.str | None = ...,
    expand_animations: _builtins.bool = ...,
) -> _Any: ...
def decode_jpeg(
    contents: _Any,
    channels: _builtins.int = ...,
    ratio: _builtins.int = ...,
    fancy_upscaling: _builtins.bool = ...,
    try_recover_truncated: _builtins.bool = ...,
    acceptable_fraction: _builtins.float = ...,
    dct_method: _builtins.str = ...,
    name: _builtins.str | None = ...,
) -> _Any: ...
def decode_json_example(json_examples: _Any, name: _Any = ...) -> _Any: ...
def decode_png(
    contents: _Any,
    channels: _builtins.int = ...,
    dtype: _Any = ...,
    name: _builtins.str | None = ...,
) -> _Any: ...
def decode_proto(
    bytes: _Any,
    message_type: _builtins.str,
    field_names: _Any,
    output_types: _Any,
    descriptor_source: _Any = ...,
    message_format: _builtins.str = ...,
    sanitize: _builtins.bool = ...,
    name: _Any = ...,
) -> _Any: ...
def decode_raw(
    input_bytes: _Any,
    out_type: _Any,
    little_endian: _builtins.bool = ...,
    fixed_length: _Any = ...,
    name: _builtins.str | None = ...,
) -> _Any: ...
def decode_webp(
    contents: _Any,
    channels: _builtins.int = ...,
    dtype: _Any = ...,
    name: _builtins.str | None = ...,
) -> _Any: ...
def deserialize_many_sparse(
    serialized_sparse: _Any, dtype: _Any, rank: _Any = ..., name: _Any = ...
) -> _Any: ...
def encode_base64(input: _Any, pad: _builtins.bool = ..., name: _Any = ...) -> _Any: ...
def encode_jpeg(
    image: _Any,
    format: _builtins.str = ...,
    quality: _builtins.int = ...,
    progressive: _builtins.bool = ...,
    optimize_size: _builtins.bool = ...,
    chroma_downsampling: _builtins.bool = ...,
    density_unit: _builtins.str = ...,
    x_density: _builtins.int = ...,
    y_density: _builtins.int = ...,
    xmp_metadata: _builtins.str = ...,
    name: _builtins.str | None = ...,
) -> _Any: ...
def encode_png(
    image: _Any, compression: _builtins.int = ..., name: _builtins.str | None = ...
) -> _Any: ...
def extract_jpeg_shape(contents: _Any, output_type: _Any = ..., name: _Any = ...) -> _Any: ...
def is_jpeg(contents: _Any, name: _builtins.str | None = ...) -> _Any: ...
def matching_files(pattern: _Any, name: _builtins.str | None = ...) -> _Any: ...
def parse_example(
    serialized: _Any,
    features: _builtins.dict[_builtins.str, _Any],
    example_names: _Any = ...,
    name: _Any = ...,
) -> _Any: ...
def parse_sequence_example(
    serialized: _Any,
    context_features: _builtins.dict[_builtins.str, _Any] | None = ...,
    sequence_features: _builtins.dict[_builtins.str, _Any] | None = ...,
    example_names: _Any = ...,
    name: _Any = ...,
) -> _Any: ...
def parse_single_example(
    serialized: _Any,
    features: _builtins.dict[_builtins.str, _Any],
    example_names: _Any = ...,
    name: _Any = ...,
) -> _Any: ...
def parse_single_sequence_example(
    serialized: _Any,
    context_features: _builtins.dict[_builtins.str, _Any] | None = ...,
    sequence_features: _builtins.dict[_builtins.str, _Any] | None = ...,
    example_name: _Any = ...,
    name: _Any = ...,
) -> _Any: ...
def parse_tensor(serialized: _Any, out_type: _Any, name: _builtins.str | None = ...) -> _Any: ...
def read_file(filename: _Any, name: _builtins.str | None = ...) -> _Any: ...
def serialize_many_sparse(sp_input: _Any, out_type: _Any = ..., name: _Any = ...) -> _Any: ...
def serialize_sparse(sp_input: _Any, out_type: _Any = ..., name: _Any = ...) -> _Any: ...
def serialize_tensor(tensor: _Any, name: _builtins.str | None = ...) -> _Any: ...
def write_file(filename: _Any, contents: _Any, name: _builtins.str | None = ...) -> _Any: ...
