import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torchvision import tv_tensors

from segaug import SegmentedImage, SegmentMap
from segaug.data import SceneImages, Scenes, TokenDataset, TokenStore
from segaug.evaluation import CORRUPTIONS, SEVERITIES, CorruptedImages, corrupt
from segaug.segmenters import Grid
from segaug.transforms import Tokenize

RANDOM = ("gaussian_noise", "shot_noise", "impulse_noise", "elastic")


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("name", CORRUPTIONS)
@given(st.data())
@settings(derandomize=True, deadline=None, max_examples=4)
def test_keeps_type_shape_and_input_and_repeats(name, data):
    channels, height, width = data.draw(st.tuples(st.sampled_from([1, 3]), st.integers(1, 40), st.integers(1, 40)))
    severity = data.draw(st.sampled_from(SEVERITIES))
    image = torch.randint(0, 256, (channels, height, width), dtype=torch.uint8, generator=seeded(1))
    before, state = image.clone(), torch.get_rng_state()
    results = [corrupt(image, name, severity, generator=seeded(2)) for _ in range(2)]
    assert torch.equal(*results)
    assert results[0].shape == image.shape
    assert results[0].dtype == torch.uint8
    assert type(corrupt(tv_tensors.Image(image), name, severity, generator=seeded())) is tv_tensors.Image
    assert torch.equal(image, before)
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_each_severity_harms_more(name, photo):
    harms = [
        (corrupt(photo, name, severity, generator=seeded()).float() - photo.float()).abs().mean()
        for severity in SEVERITIES
    ]
    # The paper's saturation takes colour away first, and then adds it.
    order = harms[2:] if name == "saturation" else harms
    assert all(low < high for low, high in itertools.pairwise(order))
    assert harms[0] > 0.1


@pytest.mark.parametrize("name", RANDOM)
def test_draws_from_the_generator_or_from_torchs(name, photo):
    assert not torch.equal(corrupt(photo, name, 3, generator=seeded(0)), corrupt(photo, name, 3, generator=seeded(1)))
    torch.manual_seed(3)
    first = corrupt(photo, name, 3)
    torch.manual_seed(3)
    assert torch.equal(first, corrupt(photo, name, 3))


def test_strengths():
    grey = torch.full((3, 200, 200), 128, dtype=torch.uint8)
    noise = corrupt(grey, "gaussian_noise", 2, generator=seeded()).float() / 255
    assert noise.std().item() == pytest.approx(0.12, rel=0.02)
    shot = corrupt(grey, "shot_noise", 1, generator=seeded()).float() / 255
    assert shot.mean().item() == pytest.approx(0.5, abs=0.01)
    assert shot.var().item() == pytest.approx(0.5 / 60, rel=0.05)
    impulse = corrupt(grey, "impulse_noise", 5, generator=seeded())
    assert (impulse == 0).float().mean().item() == pytest.approx(0.135, abs=0.01)
    assert (impulse == 255).float().mean().item() == pytest.approx(0.135, abs=0.01)
    assert corrupt(grey, "brightness", 1).unique().tolist() == [153]
    for name in ("gaussian_blur", "zoom_blur", "contrast", "pixelate", "elastic"):
        assert (corrupt(grey, name, 5).int() - 128).abs().max() <= 1, name


def test_a_map_moves_with_the_pixels():
    labels = torch.ones(48, 64, dtype=torch.int64)
    labels[12:36, 16:48] = 2
    image = tv_tensors.Image((labels == 2).to(torch.uint8).mul(255).expand(3, -1, -1).contiguous())
    sample = SegmentedImage(image, SegmentMap(labels))
    moved = corrupt(sample, "elastic", 5, generator=seeded())
    assert not torch.equal(moved.segments, labels)
    assert ((moved.image[0] > 127) == (moved.segments == 2)).float().mean() > 0.97
    # Nothing comes in from beyond the border.
    assert moved.segments.unique().tolist() == [1, 2]
    kept = corrupt(sample, "jpeg", 5)
    assert torch.equal(kept.segments, labels)


@pytest.mark.parametrize(
    ("image", "name", "severity", "error", "message"),
    [
        (torch.zeros(3, 4, 4), "jpeg", 1, TypeError, "image must be a uint8 tensor"),
        ("photo", "jpeg", 1, TypeError, "image must be a uint8 tensor, got 'photo'"),
        (torch.zeros(2, 4, 4, dtype=torch.uint8), "jpeg", 1, ValueError, "image must have the shape"),
        (torch.zeros(3, 4, 4, dtype=torch.uint8), "fog", 1, ValueError, "name must be one of 'gaussian_noise'"),
        (torch.zeros(3, 4, 4, dtype=torch.uint8), "jpeg", 6, ValueError, "severity must be from 1 to 5, got 6"),
        (torch.zeros(3, 4, 4, dtype=torch.uint8), "jpeg", 0, ValueError, "severity must be at least 1, got 0"),
    ],
)
def test_bad_input(image, name, severity, error, message):
    with pytest.raises(error, match=message):
        corrupt(image, name, severity)


class TestCorruptedImages:
    images = SceneImages(Scenes("count", n=4, size=64))

    def test_depends_on_seed_and_index_alone(self):
        some = CorruptedImages(self.images, "gaussian_noise", 3)
        last = some[3][0].image
        assert torch.equal(last, CorruptedImages(self.images, "gaussian_noise", 3)[3][0].image)
        assert not torch.equal(last, CorruptedImages(self.images, "gaussian_noise", 3, seed=1)[3][0].image)
        assert some.targets == self.images.targets
        assert some[3][1] == self.images.targets[3]

    def test_segmenter_sees_the_corruption_and_the_store_tells_them_apart(self, tmp_path):
        def tokens(images):
            dataset = TokenDataset(images, Grid(2, 2), Tokenize(size=8), TokenStore(tmp_path))
            return dataset[0][0].patches, dataset.store.take_counts()

        clean, _ = tokens(self.images)
        corrupted, counts = tokens(CorruptedImages(self.images, "brightness", 5))
        assert counts.found == 0
        assert corrupted.float().mean() > clean.float().mean()
        again, counts = tokens(CorruptedImages(self.images, "brightness", 5))
        assert counts.made == 0
        assert torch.equal(again, corrupted)
        assert tokens(CorruptedImages(self.images, "brightness", 4))[1].found == 0
