"""What all segmenters promise, for those that need no weights."""

import inspect
import json
import pickle
import subprocess
import sys

import numpy as np
import PIL.Image
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torchvision.transforms.v2 import functional as F

import segaug.segmenters
from segaug.segmenters import SLIC, Felzenszwalb, Grid, SegmentAnything, Segmenter, Voronoi, Watershed
from segaug.structures import SegmentMap

FACTORIES = {
    "grid": lambda: Grid(3, 4),
    "voronoi": lambda: Voronoi(12, seed=3),
    "slic": lambda: SLIC(20),
    "slic-loose": lambda: SLIC(20, 1.0, sigma=1.0, enforce_connectivity=False, slic_zero=True),
    "felzenszwalb": Felzenszwalb,
    "felzenszwalb-fine": lambda: Felzenszwalb(scale=0, sigma=0, min_size=0),
    "watershed": lambda: Watershed(20),
    "watershed-classic": lambda: Watershed(20, compactness=0),
}
LOOK_AT_THE_IMAGE = [name for name in FACTORIES if name not in ("grid", "voronoi")]


@pytest.fixture(params=FACTORIES)
def segmenter(request):
    return FACTORIES[request.param]()


def check_map(labels, height, width):
    assert type(labels) is SegmentMap
    assert labels.dtype == torch.int64
    assert labels.shape == (height, width)
    values = labels.unique().tolist()
    assert values == list(range(1, len(values) + 1))


class TestEverySegmenter:
    def test_labels_are_one_to_s(self, segmenter, photo, grey):
        for image in (photo, grey):
            labels = segmenter(image)
            check_map(labels, 48, 64)
            assert labels.num_segments > 1

    def test_deterministic_and_without_global_random_state(self, segmenter, photo):
        torch.manual_seed(1)
        np.random.seed(1)  # noqa: NPY002
        before = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
        first = segmenter(photo)
        assert torch.equal(torch.get_rng_state(), before[0])
        assert np.array_equal(np.random.get_state()[1], before[1])  # noqa: NPY002
        torch.manual_seed(2)
        assert torch.equal(segmenter(photo), first)
        assert torch.equal(type(segmenter)(**segmenter.options)(photo), first)
        assert torch.equal(pickle.loads(pickle.dumps(segmenter))(photo), first)

    def test_the_input_stays_as_it_is(self, segmenter, photo):
        before = photo.clone()
        segmenter(photo)
        assert torch.equal(photo, before)
        half = (photo.float() / 255)[:, ::2]
        kept = half.clone()
        segmenter(half)
        assert torch.equal(half, kept)

    def test_views_and_read_only_memory(self, segmenter, photo):
        view = photo.repeat_interleave(2, 2)[:, :, ::2]
        channels_last = photo.permute(1, 2, 0).contiguous().permute(2, 0, 1)
        # A PIL image over a read-only buffer.
        frozen = PIL.Image.frombuffer("RGB", (64, 48), bytes(photo.permute(1, 2, 0).numpy()), "raw", "RGB", 0, 1)
        expected = segmenter(photo)
        for image in (view, channels_last, frozen, photo.float() / 255, F.to_pil_image(photo)):
            assert torch.equal(segmenter(image), expected)

    def test_grey_and_equal_channels_agree(self, segmenter, grey):
        expected = segmenter(grey)
        assert torch.equal(segmenter(grey.expand(3, -1, -1)), expected)
        assert torch.equal(segmenter(F.to_pil_image(grey)), expected)

    def test_options_are_complete_and_json(self, segmenter):
        parameters = inspect.signature(type(segmenter)).parameters
        assert list(segmenter.options) == list(parameters)
        assert json.loads(json.dumps(segmenter.options, allow_nan=False)) == segmenter.options
        again = type(segmenter)(**segmenter.options)
        assert again.options == segmenter.options
        assert again.fingerprint == segmenter.fingerprint
        assert repr(again) == repr(segmenter)
        assert eval(repr(segmenter)).options == segmenter.options

    def test_fingerprint_names_the_releases(self, segmenter):
        fingerprint = json.loads(json.dumps(segmenter.fingerprint, allow_nan=False))
        assert fingerprint["segmenter"] == type(segmenter).__name__
        if isinstance(segmenter, SLIC | Felzenszwalb | Watershed):
            import skimage

            assert fingerprint["versions"] == {"scikit-image": skimage.__version__}


@pytest.mark.parametrize("name", LOOK_AT_THE_IMAGE)
class TestThoseThatLookAtTheImage:
    @settings(max_examples=40, deadline=None, derandomize=True)
    @given(
        height=st.integers(1, 24),
        width=st.integers(1, 24),
        channels=st.sampled_from([1, 3]),
        levels=st.integers(1, 256),
        seed=st.integers(0, 1000),
    )
    def test_any_image(self, name, height, width, channels, levels, seed):
        generator = torch.Generator().manual_seed(seed)
        image = torch.randint(levels, (channels, height, width), generator=generator).to(torch.uint8)
        check_map(FACTORIES[name]()(image), height, width)

    @pytest.mark.parametrize("shape", [(1, 1), (1, 2), (1, 300), (300, 1), (2, 2), (2, 300)])
    def test_thin_images(self, name, shape):
        ramp = torch.arange(shape[0] * shape[1]).reshape(1, *shape) % 256
        check_map(FACTORIES[name]()(ramp.to(torch.uint8)), *shape)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: Grid(0, 3), ValueError, "rows must be at least 1, got 0"),
        (lambda: Grid(3, -1), ValueError, "cols must be at least 1, got -1"),
        (lambda: Grid(3, 2.0), TypeError, "cols must be an int"),
        (lambda: Voronoi(0), ValueError, "n must be at least 1, got 0"),
        (lambda: Voronoi(3, seed=-1), ValueError, "seed must be at least 0, got -1"),
        (lambda: Voronoi(True), TypeError, "n must be an int"),
        (lambda: Voronoi(3, seed=None), TypeError, "seed must be an int"),
        (lambda: SLIC(0), ValueError, "n_segments must be at least 1, got 0"),
        (lambda: SLIC(compactness=0), ValueError, "compactness must be above 0, got 0"),
        (lambda: SLIC(compactness=-1.0), ValueError, "compactness must be at least 0.0, got -1.0"),
        (lambda: SLIC(sigma=-0.1), ValueError, "sigma must be at least"),
        (lambda: SLIC(max_num_iter=0), ValueError, "max_num_iter must be at least 1"),
        (lambda: SLIC(enforce_connectivity=1), TypeError, "enforce_connectivity must be True or False"),
        (lambda: SLIC(slic_zero=None), TypeError, "slic_zero must be True or False"),
        (lambda: Felzenszwalb(scale=-1), ValueError, "scale must be at least"),
        (lambda: Felzenszwalb(sigma=float("nan")), ValueError, "sigma must be at least"),
        (lambda: Felzenszwalb(scale=float("inf")), ValueError, "scale must be at least"),
        (lambda: Felzenszwalb(min_size=-1), ValueError, "min_size must be at least 0"),
        (lambda: Felzenszwalb(min_size=2.5), TypeError, "min_size must be an int"),
        (lambda: Felzenszwalb(scale="60"), TypeError, "scale must be a number"),
        (lambda: Watershed(0), ValueError, "n_segments must be at least 1"),
        (lambda: Watershed(compactness=-1), ValueError, "compactness must be at least"),
    ],
)
def test_bad_options(make, error, message):
    with pytest.raises(error, match=message):
        make()


@pytest.mark.parametrize(
    ("make", "module", "extra"),
    [
        (SLIC, "skimage", "segmenters"),
        (Felzenszwalb, "skimage", "segmenters"),
        (Watershed, "skimage", "segmenters"),
        (lambda: SegmentAnything("x.pth"), "segment_anything", "sam"),
    ],
)
def test_a_missing_extra_is_found_at_construction(make, module, extra, monkeypatch):
    for name in [name for name in sys.modules if name.split(".")[0] == module]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ImportError, match=rf"pip install 'segaug\[{extra}\]'"):
        make()


def test_importing_the_segmenters_loads_no_extra():
    code = (
        "import sys, segaug.segmenters as s; s.Grid(2, 2); s.Voronoi(3); "
        "print(sorted({'skimage', 'scipy', 'segment_anything', 'pycocotools', 'cv2'} & set(sys.modules)))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


def test_public_names():
    assert segaug.segmenters.__all__ == sorted(segaug.segmenters.__all__)
    assert all(issubclass(getattr(segaug.segmenters, name), Segmenter) for name in segaug.segmenters.__all__)
