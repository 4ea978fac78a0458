"""The command line turns image files into bytes and back."""

import subprocess
import sys

import numpy as np
import pytest
from PIL import Image
from stubs import photographs

import skae
from skae.bottlenecks import FSQ
from skae.coding import compress, decompress
from skae.coding.__main__ import main


def model(X, **params):
    """An estimator for photographs, with tables of its own."""
    est = skae.ConvAutoencoder(
        2,
        bottleneck=FSQ((8, 8)),
        module__dense=False,
        module__channels=(8,),
        crop_size=16,
        n_crops=16,
        max_epochs=1,
        random_state=0,
        **params,
    )
    return est.fit(X)


@pytest.fixture(scope="module")
def gray():
    return model(photographs(4, [(16, 16), (19, 24)]))


def pixels(path):
    with Image.open(path) as image:
        return np.asarray(image)


@pytest.fixture
def file(gray, tmp_path):
    skae.save(gray, tmp_path / "model.skae")
    return lambda name: str(tmp_path / name)


@pytest.mark.slow
def test_gray_photographs(file, gray):
    (x,) = photographs(1, [(30, 21)], seed=1)
    Image.fromarray(x).save(file("in.png"))
    main([file("model.skae"), file("in.png"), file("out.skc")])
    with open(file("out.skc"), "rb") as stream:
        assert stream.read() == compress(gray, x)
    main([file("model.skae"), file("out.skc"), file("out.png")])
    np.testing.assert_array_equal(pixels(file("out.png")), decompress(gray, compress(gray, x))[0])


@pytest.mark.parametrize("axis", [-1, 0])
def test_color_photographs(file, axis):
    X = photographs(4, [(16, 16), (19, 24)], channels=(3,))
    est = model([np.moveaxis(x, -1, axis) for x in X], channel_axis=axis)
    skae.save(est, file("color.skae"))
    Image.fromarray(X[1]).save(file("in.png"))
    main([file("color.skae"), file("in.png"), file("out.skc")])
    main([file("color.skae"), file("out.skc"), file("out.png")])
    wanted = np.moveaxis(est.reconstruct([np.moveaxis(X[1], -1, axis)])[0], axis, -1)
    np.testing.assert_allclose(pixels(file("out.png")), wanted.clip(0, 255), atol=0.51)


def test_color_is_converted_to_channels_of_model(file, gray):
    (x,) = photographs(1, [(20, 20)], channels=(3,))
    Image.fromarray(x).save(file("in.png"))
    main([file("model.skae"), file("in.png"), file("out.skc")])
    with open(file("out.skc"), "rb") as stream:
        assert decompress(gray, stream.read()).shape == (1, 20, 20)


def test_errors_are_one_line(file, gray, capsys):
    (x,) = photographs(1, [(20, 20)])
    Image.fromarray(x).save(file("in.png"))
    main([file("model.skae"), file("in.png"), file("out.skc")])
    with open(file("many.skc"), "wb") as stream:
        stream.write(compress(gray, [x, x]))
    with open(file("text.txt"), "w") as stream:
        stream.write("no image")
    skae.save(skae.AutoencoderTransformer(2, bottleneck="fsq", max_epochs=1).fit(x.astype(float)), file("rows.skae"))
    cases = [
        ("missing.skae", "in.png", "out.skc", [], "No such file"),
        ("model.skae", "missing.png", "out.skc", [], "No such file"),
        ("model.skae", "text.txt", "out.skc", [], "cannot identify image file"),
        ("model.skae", "many.skc", "out.png", [], "source must hold one image, got 2"),
        ("model.skae", "in.png", "out.skc", ["--quality", "3"], "quality must be 0"),
        ("model.skae", "out.skc", "out.png", ["--max-pixels", "399"], "data holds 400 pixels, more than max_pixels"),
        ("rows.skae", "in.png", "out.skc", [], "model must be fitted on images with 1, 3 or 4 channels"),
    ]
    for *names, options, message in cases:
        with pytest.raises(SystemExit, match=message) as error:
            main([*map(file, names), *options])
        assert str(error.value).startswith("python -m skae.coding: ")
        assert "\n" not in str(error.value)
    for names in (["in.png", "out.png"], ["out.skc", "other.skc"]):
        with pytest.raises(SystemExit):
            main([file("model.skae"), *map(file, names)])
        assert "one of source and target must be a .skc file" in capsys.readouterr().err


@pytest.mark.slow
def test_it_runs_as_a_module(file):
    (x,) = photographs(1, [(20, 20)])
    Image.fromarray(x).save(file("in.png"))
    for names in (["in.png", "out.skc"], ["out.skc", "out.png"]):
        command = [sys.executable, "-m", "skae.coding", *map(file, ["model.skae", *names])]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (0, "")
    assert pixels(file("out.png")).shape == (20, 20)
