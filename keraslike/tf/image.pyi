"""Types of `keraslike.tf.image`. Written by tests/types/stubs.py, see there."""

import builtins as _builtins
from collections.abc import Callable as _Callable
from collections.abc import Sequence as _Sequence
from typing import Any as _Any

class ResizeMethod(_Any): ...

def adjust_brightness(image: _Any, delta: _Any) -> _Any: ...
def adjust_contrast(images: _Any, contrast_factor: _Any) -> _Any: ...
def adjust_gamma(
    image: _Any, gamma: _builtins.float = ..., gain: _builtins.float = ...
) -> _Any: ...
def adjust_hue(image: _Any, delta: _Any, name: _Any = ...) -> _Any: ...
def adjust_jpeg_quality(
    image: _Any, jpeg_quality: _Any, dct_method: _builtins.str = ..., name: _Any = ...
) -> _Any: ...
def adjust_saturation(image: _Any, saturation_factor: _Any, name: _Any = ...) -> _Any: ...
def central_crop(image: _Any, central_fraction: _builtins.float) -> _Any: ...
def combined_non_max_suppression(
    boxes: _Any,
    scores: _Any,
    max_output_size_per_class: _Any,
    max_total_size: _Any,
    iou_threshold: _Any = ...,
    score_threshold: _Any = ...,
    pad_per_class: _builtins.bool = ...,
    clip_boxes: _builtins.bool = ...,
    name: _Any = ...,
) -> _Any: ...
def convert_image_dtype(
    image: _Any, dtype: _Any, saturate: _builtins.bool = ..., name: _Any = ...
) -> _Any: ...
def crop_and_resize(
    image: _Any,
    boxes: _Any,
    box_indices: _Any,
    crop_size: _Any,
    method: _builtins.str = ...,
    extrapolation_value: _builtins.float = ...,
    name: _Any = ...,
) -> _Any: ...
def crop_to_bounding_box(
    image: _Any,
    offset_height: _builtins.int,
    offset_width: _builtins.int,
    target_height: _builtins.int,
    target_width: _builtins.int,
) -> _Any: ...
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
def decode_bmp(
    contents: _Any, channels: _builtins.int = ..., name: _builtins.str | None = ...
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
def decode_png(
    contents: _Any,
    channels: _builtins.int = ...,
    dtype: _Any = ...,
    name: _builtins.str | None = ...,
) -> _Any: ...
def decode_webp(
    contents: _Any,
    channels: _builtins.int = ...,
    dtype: _Any = ...,
    name: _builtins.str | None = ...,
) -> _Any: ...
def draw_bounding_boxes(images: _Any, boxes: _Any, colors: _Any, name: _Any = ...) -> _Any: ...
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
def extract_glimpse(
    input: _Any,
    size: _Any,
    offsets: _Any,
    centered: _builtins.bool = ...,
    normalized: _builtins.bool = ...,
    noise: _builtins.str = ...,
    name: _Any = ...,
) -> _Any: ...
def extract_jpeg_shape(contents: _Any, output_type: _Any = ..., name: _Any = ...) -> _Any: ...
def extract_patches(
    images: _Any, sizes: _Any, strides: _Any, rates: _Any, padding: _builtins.str, name: _Any = ...
) -> _Any: ...
def flip_left_right(image: _Any) -> _Any: ...
def flip_up_down(image: _Any) -> _Any: ...
def grayscale_to_rgb(images: _Any, name: _Any = ...) -> _Any: ...
def hsv_to_rgb(images: _Any, name: _builtins.str | None = ...) -> _Any: ...
def image_gradients(image: _Any) -> _Any: ...
def is_jpeg(contents: _Any, name: _builtins.str | None = ...) -> _Any: ...
def non_max_suppression(
    boxes: _Any,
    scores: _Any,
    max_output_size: _Any,
    iou_threshold: _Any = ...,
    score_threshold: _Any = ...,
    name: _Any = ...,
) -> _Any: ...
def non_max_suppression_overlaps(
    overlaps: _Any,
    scores: _Any,
    max_output_size: _Any,
    overlap_threshold: _Any = ...,
    score_threshold: _Any = ...,
    name: _Any = ...,
) -> _Any: ...
def non_max_suppression_padded(
    boxes: _Any,
    scores: _Any,
    max_output_size: _Any,
    iou_threshold: _Any = ...,
    score_threshold: _Any = ...,
    pad_to_max_output_size: _builtins.bool = ...,
    name: _Any = ...,
    sorted_input: _builtins.bool = ...,
    canonicalized_coordinates: _builtins.bool = ...,
    tile_size: _builtins.int = ...,
) -> _Any: ...
def non_max_suppression_with_scores(
    boxes: _Any,
    scores: _Any,
    max_output_size: _Any,
    iou_threshold: _Any = ...,
    score_threshold: _Any = ...,
    soft_nms_sigma: _builtins.float = ...,
    name: _Any = ...,
) -> _Any: ...
def pad_to_bounding_box(
    image: _Any, offset_height: _Any, offset_width: _Any, target_height: _Any, target_width: _Any
) -> _Any: ...
def per_image_standardization(image: _Any) -> _Any: ...
def psnr(a: _Any, b: _Any, max_val: _builtins.float, name: _Any = ...) -> _Any: ...
def random_brightness(image: _Any, max_delta: _builtins.float, seed: _Any = ...) -> _Any: ...
def random_contrast(
    image: _Any, lower: _builtins.float, upper: _builtins.float, seed: _Any = ...
) -> _Any: ...
def random_crop(value: _Any, size: _Any, seed: _Any = ..., name: _Any = ...) -> _Any: ...
def random_flip_left_right(image: _Any, seed: _Any = ...) -> _Any: ...
def random_flip_up_down(image: _Any, seed: _Any = ...) -> _Any: ...
def random_hue(image: _Any, max_delta: _builtins.float, seed: _Any = ...) -> _Any: ...
def random_jpeg_quality(
    image: _Any, min_jpeg_quality: _builtins.int, max_jpeg_quality: _builtins.int, seed: _Any = ...
) -> _Any: ...
def random_saturation(
    image: _Any, lower: _builtins.float, upper: _builtins.float, seed: _Any = ...
) -> _Any: ...
def resize(
    images: _Any,
    size: _Any,
    method: _builtins.str = ...,
    preserve_aspect_ratio: _builtins.bool = ...,
    antialias: _builtins.bool = ...,
    name: _Any = ...,
) -> _Any: ...
def resize_with_crop_or_pad(
    image: _Any, target_height: _builtins.int, target_width: _builtins.int
) -> _Any: ...
def resize_with_pad(
    image: _Any,
    target_height: _builtins.int,
    target_width: _builtins.int,
    method: _builtins.str = ...,
    antialias: _builtins.bool = ...,
) -> _Any: ...
def rgb_to_grayscale(images: _Any, name: _Any = ...) -> _Any: ...
def rgb_to_hsv(images: _Any, name: _builtins.str | None = ...) -> _Any: ...
def rgb_to_yiq(images: _Any) -> _Any: ...
def rgb_to_yuv(images: _Any) -> _Any: ...
def rot90(image: _Any, k: _builtins.int = ..., name: _builtins.str | None = ...) -> _Any: ...
def sample_distorted_bounding_box(
    image_size: _Any,
    bounding_boxes: _Any,
    seed: _builtins.int = ...,
    min_object_covered: _Any = ...,
    aspect_ratio_range: _Any = ...,
    area_range: _Any = ...,
    max_attempts: _builtins.int | None = ...,
    use_image_if_no_bounding_boxes: _builtins.bool | None = ...,
    name: _builtins.str | None = ...,
) -> _Any: ...
def sobel_edges(image: _Any) -> _Any: ...
def ssim(
    img1: _Any,
    img2: _Any,
    max_val: _builtins.float,
    filter_size: _builtins.int = ...,
    filter_sigma: _builtins.float = ...,
    k1: _builtins.float = ...,
    k2: _builtins.float = ...,
    return_index_map: _builtins.bool = ...,
) -> _Any: ...
def ssim_multiscale(
    img1: _Any,
    img2: _Any,
    max_val: _builtins.float,
    power_factors: _Any = ...,
    filter_size: _builtins.int = ...,
    filter_sigma: _builtins.float = ...,
    k1: _builtins.float = ...,
    k2: _builtins.float = ...,
) -> _Any: ...
def stateless_random_brightness(image: _Any, max_delta: _builtins.float, seed: _Any) -> _Any: ...
def stateless_random_contrast(
    image: _Any, lower: _builtins.float, upper: _builtins.float, seed: _Any
) -> _Any: ...
def stateless_random_crop(value: _Any, size: _Any, seed: _Any, name: _Any = ...) -> _Any: ...
def stateless_random_flip_left_right(image: _Any, seed: _Any) -> _Any: ...
def stateless_random_flip_up_down(image: _Any, seed: _Any) -> _Any: ...
def stateless_random_hue(image: _Any, max_delta: _builtins.float, seed: _Any) -> _Any: ...
def stateless_random_jpeg_quality(
    image: _Any, min_jpeg_quality: _builtins.int, max_jpeg_quality: _builtins.int, seed: _Any
) -> _Any: ...
def stateless_random_saturation(
    image: _Any, lower: _builtins.float, upper: _builtins.float, seed: _Any = ...
) -> _Any: ...
def stateless_sample_distorted_bounding_box(
    image_size: _Any,
    bounding_boxes: _Any,
    seed: _Any,
    min_object_covered: _Any = ...,
    aspect_ratio_range: _Any = ...,
    area_range: _Any = ...,
    max_attempts: _builtins.int | None = ...,
    use_image_if_no_bounding_boxes: _builtins.bool | None = ...,
    name: _builtins.str | None = ...,
) -> _Any: ...
def total_variation(images: _Any, name: _Any = ...) -> _Any: ...
def transpose(image: _Any, name: _builtins.str | None = ...) -> _Any: ...
def yiq_to_rgb(images: _Any) -> _Any: ...
def yuv_to_rgb(images: _Any) -> _Any: ...
