"""Photos are read as a person sees them."""

import io

import numpy as np
import PIL.Image
import pytest

from segaug._photos import open_photo


def test_turns_as_the_camera_says(tmp_path):
    pixels = np.zeros((20, 40, 3), np.uint8)
    pixels[:10, :, 0] = 255
    exif = PIL.Image.Exif()
    exif[0x0112] = 6
    PIL.Image.fromarray(pixels).save(tmp_path / "turned.png", exif=exif)
    photo = np.asarray(open_photo(str(tmp_path / "turned.png")))
    assert photo.shape == (40, 20, 3)
    assert photo[:, 10:, 0].min() == 255
    assert photo[:, :10].max() == 0


def test_grey_becomes_rgb_and_sixteen_bits_are_refused():
    for array, ok in ((np.full((4, 4), 99, np.uint8), True), (np.full((4, 4), 30000, np.uint16), False)):
        file = io.BytesIO()
        PIL.Image.fromarray(array).save(file, format="png")
        file.seek(0)
        if ok:
            assert np.asarray(open_photo(file)).mean() == 99
        else:
            with pytest.raises(ValueError, match="more than 8 bits per channel"):
                open_photo(file)
