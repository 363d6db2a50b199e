import copy
import io
import sys

import numpy as np
import PIL.Image
import pytest
import torch

from segaug.training import draw_curves, draw_tokens


def picture(data):
    with PIL.Image.open(io.BytesIO(data)) as image:
        assert image.format == "PNG"
        return np.asarray(image.convert("RGB")).astype(int)


def history(epochs):
    return [
        {"epoch": i + 1, "train_loss": 1 / (i + 1), "val_loss": 1.0, "train_accuracy": 0.5, "val_accuracy": i / epochs}
        for i in range(epochs)
    ]


@pytest.mark.parametrize("epochs", [1, 30])
def test_curves(epochs):
    pixels = picture(draw_curves(history(epochs)))
    assert pixels.shape[1] > pixels.shape[0] > 200
    assert len(np.unique(pixels.reshape(-1, 3), axis=0)) > 10


def test_curves_of_epochs_that_were_not_evaluated():
    lines = history(5)
    for line in lines[:3]:
        del line["val_loss"], line["val_accuracy"]
    assert picture(draw_curves(lines)).size
    assert picture(draw_curves(lines[:2])).size


def test_tokens_of_a_batch_with_segments_left_out(make_tokens):
    before = make_tokens(5, batch=(6,), padding=2)
    # Red before, green after; the third segment and padding are left out.
    before.patches[:], before.alpha[:] = 0, 255
    before.patches[:, :, 0] = 255
    after = copy.deepcopy(before[:, :5])
    after.patches[:, :, 0], after.patches[:, :, 1] = 0, 255
    after.labels[:, 2] = -1
    pixels = picture(draw_tokens(before, after, images=3, classes=["a", "b", "c"]))
    red = (pixels[..., 0] > 200) & (pixels[..., 2] < 60)
    green = (pixels[..., 1] > 200) & (pixels[..., 0] < 60)
    assert red.sum() > green.sum() > 0


def test_names_of_classes_are_no_formulas(make_tokens):
    tokens = make_tokens(3, batch=(1,))
    assert picture(draw_tokens(tokens, tokens, classes=["$10_$20"])).size


def test_float_tokens_and_too_few_images(make_tokens):
    tokens = make_tokens(3, batch=(1,), dtype=torch.float32)
    assert picture(draw_tokens(tokens, tokens, images=9, columns=2)).size


def test_no_state_of_pyplot_is_touched(make_tokens):
    draw_curves(history(2))
    assert "matplotlib.pyplot" not in sys.modules or not sys.modules["matplotlib.pyplot"].get_fignums()


def test_bad_arguments(make_tokens):
    tokens = make_tokens(2, batch=(1,))
    with pytest.raises(ValueError, match="images must be at least 1, got 0"):
        draw_tokens(tokens, tokens, images=0)
