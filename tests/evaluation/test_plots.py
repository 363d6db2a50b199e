import io
import sys

import numpy as np
import PIL.Image
import pytest
import torch

from segaug.evaluation import CalibrationBin, classification_scores, draw_confusion, draw_reliability


def picture(data):
    with PIL.Image.open(io.BytesIO(data)) as image:
        assert image.format == "PNG"
        return np.asarray(image.convert("RGB")).astype(int)


@pytest.mark.parametrize("classes", [1, 3, 20, 80])
def test_confusion(classes):
    counts = np.eye(classes, dtype=int) * 5
    pixels = picture(draw_confusion(counts.tolist(), [f"a long name of class {i}" for i in range(classes)]))
    dark = (pixels[..., 2] > pixels[..., 0] + 40) & (pixels[..., 0] < 30)
    # A dark square for each class, on the diagonal.
    assert dark.any()
    assert len(np.unique(pixels.reshape(-1, 3), axis=0)) > 10


def test_names_are_no_formulas():
    # As a formula, this one could not be read.
    names = ["$10_$20", "b"]
    assert picture(draw_confusion([[1, 0], [0, 1]], names)).size


def test_reliability():
    logits = torch.randn(200, 3, generator=torch.Generator().manual_seed(0)) * 3
    scores = classification_scores(logits, torch.zeros(200, dtype=torch.int64), ["a", "b", "c"])
    pixels = picture(draw_reliability(scores.bins, scores.calibration_error))
    blue = (pixels[..., 2] > pixels[..., 0] + 60).sum()
    red = (pixels[..., 0] > pixels[..., 2] + 100).sum()
    assert blue > red > 0
    assert "matplotlib.pyplot" not in sys.modules or not sys.modules["matplotlib.pyplot"].get_fignums()


def test_bad_input():
    with pytest.raises(ValueError, match="confusion must have one row and column for each of 2 classes"):
        draw_confusion([[1]], ["a", "b"])
    with pytest.raises(ValueError, match="bins must hold at least one image, got none"):
        draw_reliability([CalibrationBin(0, 1, 0, None, None)], 0.0)
