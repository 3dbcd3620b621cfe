"""What `tf.signal` refuses, as TensorFlow does, and what it computes of few values."""

from __future__ import annotations

import numpy as np
import pytest

from keraslike import tf

X = tf.constant([7.0, 6.0, 5.0, 3.0, 3.0, 1.0, 1.0, 1.0])
WHOLE, COMPLEX, HALF = (tf.cast(X, dtype) for dtype in (tf.int32, tf.complex64, tf.float16))
S = tf.signal


@pytest.mark.parametrize(
    "call",
    [
        *(lambda f=f, x=x: f(x) for f in (S.fft, S.ifft, S.fftnd, S.irfft) for x in (X, WHOLE)),
        *(lambda f=f, x=x: f(x) for f in (S.dct, S.idct, S.rfft) for x in (WHOLE, COMPLEX, HALF)),
        *(lambda f=f, x=x: f(x, 4) for f in (S.mdct,) for x in (WHOLE, COMPLEX, HALF)),
        lambda: S.fft2d(COMPLEX),
        lambda: S.rfft2d(X),
        lambda: S.irfft2d(COMPLEX),
        lambda: S.rfft(X, [4, 4]),
        lambda: S.rfftnd(COMPLEX),
        lambda: S.stft(WHOLE, 4, 2),
        lambda: S.inverse_stft(X[None], 4, 2),
        lambda: S.inverse_mdct(WHOLE[None]),
        lambda: S.mfccs_from_log_mel_spectrograms(WHOLE),
        lambda: S.mfccs_from_log_mel_spectrograms(X[:0]),
        lambda: S.overlap_and_add(X[None], 0),
        lambda: S.frame(X, 3, 0),
        lambda: S.dct(X, n=0),
        *(
            lambda f=f, d=d: f(8, dtype=d)
            for f in (S.hann_window, S.kaiser_window, S.vorbis_window)
            for d in (tf.int32, tf.complex64, tf.bool)
        ),
        lambda: S.kaiser_bessel_derived_window(8, dtype=tf.int32),
        lambda: S.inverse_stft_window_fn(2)(8, tf.int32),
        lambda: S.hann_window(8.0),
        lambda: S.kaiser_window(8.0),
        lambda: S.hann_window(-1),
        lambda: S.vorbis_window(X),
        lambda: S.linear_to_mel_weight_matrix(4, 5, dtype=tf.int32),
        lambda: S.linear_to_mel_weight_matrix(0, 5),
    ],
)
def test_what_tensorflow_refuses(call):
    with pytest.raises((ValueError, TypeError)):  # of which InvalidArgumentError is one
        call()


def test_a_cosine_transform_of_another_length():
    wanted = [31.8836612701416, 0.4028114378452301, 3.0, -2.2913544178009033, 2.004882574081421]
    np.testing.assert_allclose(S.idct(X, n=5).numpy(), wanted, rtol=1e-5)
    np.testing.assert_allclose(S.idct(X[:1], n=5).numpy(), [7.0] * 5, rtol=1e-6)


def test_no_values():
    for kind in (2, 3, 4):
        assert S.dct(tf.zeros([2, 0]), type=kind).shape == [2, 0]
        assert S.idct(tf.zeros([0]), type=kind, norm="ortho").shape == [0]
    assert S.vorbis_window(0).shape == S.hann_window(0).shape == [0]


def test_text_is_shifted():
    words = tf.constant(["a", "b", "c"])
    assert S.fftshift(words).numpy().tolist() == [b"c", b"a", b"b"]
    assert S.ifftshift(words).numpy().tolist() == [b"b", b"c", b"a"]
