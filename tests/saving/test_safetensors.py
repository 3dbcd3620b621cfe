"""Weights in `.safetensors` files: by name, by a map, by order, and what does not match."""

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

import keraslike
from keraslike import layers


def made(units=3):
    return keraslike.Sequential(
        [
            layers.Input((4,)),
            layers.Dense(units, name="first", dtype="bfloat16"),
            layers.Dense(2, name="second"),
        ]
    )


def test_weights_go_by_paths_both_ways(tmp_path):
    path = str(tmp_path / "x.safetensors")
    model, other = made(), made()
    model.save_weights(path)
    found = load_file(path)
    assert sorted(found) == ["first/bias", "first/kernel", "second/bias", "second/kernel"]
    assert found["first/kernel"].dtype == "bfloat16"
    other.load_weights(path)
    for mine, its in zip(model.get_weights(), other.get_weights()):
        np.testing.assert_array_equal(mine, its)


NAMES = {"first": "encoder.layer.0", "second": "encoder.layer.1"}


@pytest.fixture
def theirs(tmp_path, rng):
    """A file as PyTorch would have it, and the kernels and biases in it."""
    weights = [rng.normal(size=s).astype("float32") for s in ((4, 3), (3,), (3, 2), (2,))]
    kernel, bias, last, last_bias = weights
    arrays = {"encoder.layer.0.weight": kernel.T.copy(), "encoder.layer.0.bias": bias}
    arrays |= {"encoder.layer.1.weight": last.T.copy(), "encoder.layer.1.bias": last_bias}
    arrays["pooler.weight"] = bias
    path = str(tmp_path / "theirs.safetensors")
    save_file(arrays, path)
    return path, weights


def path_of(name):
    for ours, its in NAMES.items():
        if name == f"{its}.weight":
            return f"{ours}/kernel", np.transpose
        if name == f"{its}.bias":
            return f"{ours}/bias"
    return None


def test_names_of_others_are_mapped(theirs):
    path, weights = theirs
    by_dict = {f"{its}.bias": f"{ours}/bias" for ours, its in NAMES.items()}
    by_dict |= {f"{its}.weight": (f"{ours}/kernel", np.transpose) for ours, its in NAMES.items()}
    model = made()
    with pytest.raises(ValueError, match=r"'pooler.weight' of the file is not in name_map"):
        model.load_weights(path, name_map=by_dict)
    for name_map in (path_of, by_dict | {"pooler.weight": None}):
        model = made()
        keraslike.saving.load_weights(model, path, name_map=name_map)
        for mine, its in zip(model.get_weights(), weights):
            np.testing.assert_allclose(np.asarray(mine, "float32"), its, rtol=1e-2)


def test_arrays_in_order(tmp_path, rng):
    path = str(tmp_path / "x.safetensors")
    arrays = {f"w{i}": rng.normal(size=v.shape) for i, v in enumerate(made().weights)}
    save_file(arrays, path)
    model = made()
    model.load_weights(path, name_map="order")
    for mine, its in zip(model.get_weights(), arrays.values()):
        np.testing.assert_allclose(np.asarray(mine, "float64"), its, rtol=1e-2)


def test_the_order_of_weights_is_recorded(tmp_path, rng):
    """The format sorts names: beta would be gamma, and the mean the variance."""
    path = str(tmp_path / "x.safetensors")
    model, other = (
        keraslike.Sequential([layers.Input((3,)), layers.BatchNormalization()]) for _ in range(2)
    )
    model.set_weights([rng.normal(size=3) for _ in model.weights])
    model.save_weights(path)
    with pytest.raises(ValueError, match="(?s)given automatically differ"):
        other.load_weights(path)
    other.load_weights(path, name_map="order")
    for mine, its in zip(model.get_weights(), other.get_weights()):
        np.testing.assert_array_equal(mine, its)
    save_file(load_file(path), path)  # the record is lost
    with pytest.raises(ValueError, match="does not tell which weight"):
        model.load_weights(path, name_map="order")


def test_what_does_not_match_is_listed_and_nothing_changes(tmp_path, theirs):
    path = str(tmp_path / "x.safetensors")
    made(units=5).save_weights(path)
    model = made()
    before = model.get_weights()
    more = str(tmp_path / "more.safetensors")
    arrays = {f"w{i}": np.asarray(w, "float64") for i, w in enumerate(before)}
    save_file({**arrays, "x": np.ones(7)}, more)
    cases = [
        (path, None, "'first/kernel' has shape .4, 5., .*first/kernel' has shape .4, 3."),
        (path, {"no": "first/bias"}, "(?s)the file has no 'no'.*nothing for 'first/kernel'"),
        (theirs[0], None, "(?s)pooler.weight', which the model does not.*for 'second/kernel'"),
        (theirs[0], lambda name: "first/bias", "is a second one for 'first/bias'"),
        (theirs[0], "order", "does not tell which weight"),
        (more, "order", "'x' of the file is one too many"),
        (theirs[0], "alphabet", "name_map must be"),
    ]
    for file, name_map, message in cases:
        with pytest.raises(ValueError, match=message):
            model.load_weights(file, name_map=name_map)
    with pytest.raises(ValueError, match="name_map only supports"):
        model.save_weights(str(tmp_path / "x.weights.h5"))
        model.load_weights(str(tmp_path / "x.weights.h5"), name_map="order")
    for mine, its in zip(model.get_weights(), before):
        np.testing.assert_array_equal(mine, its)
    with pytest.warns(UserWarning, match="first/bias"):
        model.load_weights(path, skip_mismatch=True)


@pytest.mark.parametrize("keep", [lambda b: b[:20], lambda b: b[:-3], lambda b: b"\xff" * 64])
def test_a_damaged_file_is_refused(tmp_path, keep):
    path = tmp_path / "x.safetensors"
    model = made()
    model.save_weights(path)
    path.write_bytes(keep(path.read_bytes()))
    with pytest.raises(ValueError, match="x.safetensors' are damaged or no safetensors"):
        model.load_weights(path)
