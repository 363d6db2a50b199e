"""albumentations inside PerSegment: every transform, streams per segment, coverage in step, errors."""

import pickle
import random
import time
import warnings

import albumentations as A
import cv2
import kornia.augmentation as K
import numpy as np
import pytest
import torch
from scipy import stats
from torch.utils.data import DataLoader
from torchvision.transforms import v2

from segaug import PerSegment, SegmentTokens, collate
from segaug.adapters import albumentations_support


def brighten(image, **_):
    return cv2.add(image, 20.0 if image.dtype == "uint8" else 0.1)


def keep(mask, **_):
    return mask


# RGB alone, by albumentations; for some it is but a warning.
RGB_ONLY = {
    "ChannelDropout",
    "ChromaticAberration",
    "HEStain",
    "HueSaturationValue",
    "ISONoise",
    "PlanckianJitter",
    "RandomFog",
    "RandomGravel",
    "RandomRain",
    "RandomSnow",
    "RandomSunFlare",
    "SelectiveChannelTransform",
    "Spatter",
    "ToGray",
    "ToSepia",
}
GRAY_ONLY = {"ToRGB"}
FLOAT_ONLY = {"FromFloat"}
# They draw nothing, or nothing but whether to run.
FIXED = {
    "AutoContrast",
    "CenterCrop",
    "Crop",
    "Equalize",
    "FromFloat",
    "HorizontalFlip",
    "InvertImg",
    "Lambda",
    "LongestMaxSize",
    "Morphological",
    "NoOp",
    "Normalize",
    "Pad",
    "PadIfNeeded",
    # Finds no room for gravel on so few pixels.
    "RandomGravel",
    "Resize",
    "SmallestMaxSize",
    "TimeReverse",
    "ToFloat",
    "ToGray",
    "ToRGB",
    "ToSepia",
    "Transpose",
    "VerticalFlip",
}
# Arguments of those whose defaults do not fit small tokens, or draw nothing.
ARGUMENTS = {
    "Affine": {"rotate": (-40, 40), "scale": (0.7, 1.3)},
    "CLAHE": {"clip_limit": (1, 40), "tile_grid_size": (2, 2)},
    "CenterCrop": {"height": 10, "width": 10},
    "Crop": {"x_min": 2, "y_min": 2, "x_max": 12, "y_max": 12},
    "CropAndPad": {"percent": (-0.2, 0.2)},
    "CropNonEmptyMaskIfExists": {"height": 9, "width": 9},
    "Downscale": {"scale_range": (0.2, 0.8)},
    "FancyPCA": {"alpha": 2.0},
    "FromFloat": {"dtype": "uint8"},
    "FrequencyMasking": {"freq_mask_param": 6},
    "GridElasticDeform": {"num_grid_xy": (3, 3), "magnitude": 4},
    "Lambda": {"image": brighten, "mask": keep, "name": "brighten"},
    "LongestMaxSize": {"max_size": 12},
    "Morphological": {"scale": (3, 3)},
    "Pad": {"padding": 3, "fill": 255, "fill_mask": 255},
    "PadIfNeeded": {"min_height": 20, "min_width": 20},
    "RandomCrop": {"height": 9, "width": 9},
    "Posterize": {"num_bits": (1, 5)},
    "RandomResizedCrop": {"size": (11, 11)},
    "RandomSizedCrop": {"min_max_height": (6, 12), "size": (11, 11)},
    "Resize": {"height": 9, "width": 9},
    "Solarize": {"threshold_range": (0.1, 0.9)},
    "Superpixels": {"n_segments": (4, 8), "p_replace": (0.5, 1.0), "max_size": 16},
    "TimeMasking": {"time_mask_param": 6},
    "XYMasking": {"num_masks_x": 1, "mask_x_length": (2, 6)},
    "SmallestMaxSize": {"max_size": 7},
}


def sample(name, p=1.0):
    """A sample of the class of that name."""
    if name in CONTAINERS:
        return CONTAINERS[name](p)
    with warnings.catch_warnings():
        # That there is a newer class.
        warnings.simplefilter("ignore", UserWarning)
        return getattr(A, name)(**ARGUMENTS.get(name, {}), p=p)


def inside(p):
    return [A.Rotate(40, p=p), A.RandomBrightnessContrast(p=p)]


def resized(kind):
    return lambda p: A.Compose([getattr(A, kind)(p=p), A.Resize(16, 16)])


CONTAINERS = {
    "RandomCropFromBorders": resized("RandomCropFromBorders"),
    "RandomScale": resized("RandomScale"),
    "Compose": lambda p: A.Compose(inside(p), seed=3),
    "OneOf": lambda p: A.OneOf(inside(p), p=p),
    "OneOrOther": lambda p: A.OneOrOther(*inside(p), p=p),
    "RandomOrder": lambda p: A.RandomOrder(inside(p), n=2, p=p),
    "SelectiveChannelTransform": lambda p: A.SelectiveChannelTransform([A.RandomGamma(p=p)], channels=(0, 2), p=p),
    "Sequential": lambda p: A.Sequential(inside(p), p=p),
    "SomeOf": lambda p: A.SomeOf(inside(p), n=1, p=p),
}


SUPPORTED = [row.name for row in albumentations_support() if row.how == "looped"]
SIZES = {
    "CenterCrop": (10, 10),
    "Crop": (10, 10),
    "CropNonEmptyMaskIfExists": (9, 9),
    "LongestMaxSize": (12, 12),
    "Pad": (22, 22),
    "PadIfNeeded": (20, 20),
    "RandomCrop": (9, 9),
    "RandomResizedCrop": (11, 11),
    "RandomSizedCrop": (11, 11),
    "Resize": (9, 9),
    "SmallestMaxSize": (7, 7),
}


def alike(count, channels=3, dtype=torch.uint8):
    """The same token over and over: colours that change smoothly in a disc with a soft edge."""
    generator = torch.Generator().manual_seed(0)
    coarse = torch.rand((1, channels, 4, 4), generator=generator)
    patch = torch.nn.functional.interpolate(coarse, (16, 16), mode="bilinear")[0]
    rows, columns = torch.meshgrid(torch.arange(16), torch.arange(16), indexing="ij")
    alpha = (7.0 - ((rows - 6.5) ** 2 + (columns - 6.0) ** 2).sqrt()).clamp(0, 1)
    patches, alpha = (patch * alpha).expand(count, -1, -1, -1), alpha.expand(count, -1, -1)
    if dtype == torch.uint8:
        patches, alpha = (patches * 255).round(), (alpha * 255).round()
    boxes = torch.tensor([0.1, 0.2, 0.5, 0.7]).repeat(count, 1)
    patches, alpha = patches.to(dtype, copy=True), alpha.to(dtype, copy=True)
    return SegmentTokens(patches, alpha, boxes, torch.full((count,), 0.1), torch.arange(1, count + 1))


def plain(tensor):
    return tensor.as_subclass(torch.Tensor)


def draw(transform, tokens, seed=0, **options):
    per_segment = PerSegment(transform, generator=torch.Generator().manual_seed(seed), **options)
    return per_segment, per_segment.make_params([tokens])


def different(out):
    return len(torch.unique(plain(out.patches).flatten(1), dim=0))


def is_flipped(out, tokens, *dims):
    return (plain(out.patches) == plain(tokens.patches).flip(dims)).flatten(1).all(1)


class TestSupport:
    def test_names_every_class(self):
        kinds = [kind for kind in vars(A).values() if isinstance(kind, type)]
        public = {kind.__name__ for kind in kinds if issubclass(kind, A.BasicTransform | A.BaseCompose)}
        named = {row.name: row for row in albumentations_support()}
        assert set(named) == public
        assert all(row.how == "looped" or (row.how == "refused" and row.reason) for row in named.values())

    def test_at_least_80_transforms_are_run(self):
        transforms = [name for name in SUPPORTED if issubclass(getattr(A, name), A.BasicTransform)]
        assert len(transforms) >= 80

    @pytest.mark.parametrize(
        "row", [row for row in albumentations_support() if row.how == "refused"], ids=lambda row: row.name
    )
    def test_refused_classes_are_refused(self, row):
        kind = getattr(A, row.name)
        # Some need arguments; what counts is the class.
        transform = kind.__new__(kind)
        transform.transforms = []
        with pytest.raises(TypeError, match="transform must need one picture and no more") as caught:
            PerSegment(transform)
        assert row.reason in str(caught.value)


def cases():
    for name in SUPPORTED:
        for channels, dtype in ((1, torch.float32), (3, torch.uint8), (3, torch.float32)):
            fits = dtype == torch.float32 or name not in FLOAT_ONLY
            if fits and name not in (RGB_ONLY if channels == 1 else GRAY_ONLY):
                yield pytest.param(name, dtype, channels, id=f"{name}-{channels}-{str(dtype)[6:]}")


@pytest.mark.parametrize(("name", "dtype", "channels"), list(cases()))
def test_every_class_runs_and_draws_for_each_segment(name, dtype, channels):
    tokens = alike(8, channels, dtype)
    before = tokens.patches.clone(), tokens.alpha.clone()
    state = torch.get_rng_state(), random.getstate(), str(np.random.get_state())  # noqa: NPY002
    per_segment, params = draw(sample(name), tokens)
    out = per_segment.transform(tokens, params)
    assert torch.equal(state[0], torch.get_rng_state())
    assert state[1:] == (random.getstate(), str(np.random.get_state()))  # noqa: NPY002
    assert torch.equal(before[0], tokens.patches)
    assert torch.equal(before[1], tokens.alpha)
    kept = {"FromFloat": torch.uint8, "Normalize": torch.float32, "ToFloat": torch.float32}.get(name, dtype)
    assert out.patches.dtype == out.alpha.dtype == kept
    assert out.patches.shape == (8, 3 if name == "ToRGB" else channels, *SIZES.get(name, (16, 16)))
    assert not plain(out.patches).masked_select((plain(out.alpha) == 0)[:, None]).any()
    if name != "Normalize" and kept != torch.uint8:
        assert float(out.patches.min()) >= 0.0
        assert float(out.patches.max()) <= 1.0
    if name in FIXED or (name, channels) == ("ChannelShuffle", 1):
        assert different(out) == 1
    else:
        assert different(out) >= 2
    again = per_segment.transform(tokens, pickle.loads(pickle.dumps(params)))
    assert torch.equal(out.patches, again.patches)
    assert torch.equal(out.alpha, again.alpha)


class TestStreams:
    def test_two_flips_in_a_compose_are_independent(self):
        tokens = alike(1000, 1)
        # With its own seed, albumentations would draw the same for both.
        flips = A.Compose([A.HorizontalFlip(p=0.5), A.VerticalFlip(p=0.5)], seed=7)
        per_segment, params = draw(flips, tokens)
        out = per_segment.transform(tokens, params)
        counts = [int(is_flipped(out, tokens, *dims).sum()) for dims in ((), (-1,), (-2,), (-2, -1))]
        assert sum(counts) == 1000
        assert stats.chisquare(counts).pvalue > 0.001

    def test_two_of_one_class_differ(self):
        tokens = alike(400, 1)
        per_segment, params = draw(A.Compose([A.HorizontalFlip(p=0.5), A.HorizontalFlip(p=0.5)]), tokens)
        unchanged = int(is_flipped(per_segment.transform(tokens, params), tokens).sum())
        assert stats.binomtest(unchanged, 400, 0.5).pvalue > 0.001

    def test_the_seed_decides_and_a_calls_draws_differ(self):
        tokens = alike(30)
        jitter = A.ColorJitter(p=1.0)
        first, second, other = (PerSegment(jitter, generator=torch.Generator().manual_seed(seed)) for seed in (1, 1, 2))
        out = first(tokens)
        assert different(out) == 30
        assert torch.equal(out.patches, second(tokens).patches)
        assert not torch.equal(out.patches, other(tokens).patches)
        assert not torch.equal(out.patches, first(tokens).patches)

    def test_a_segment_keeps_its_draw_among_others(self):
        tokens = alike(20)
        per_segment, params = draw(A.Compose([A.Rotate(60, p=0.7), A.GaussNoise(p=0.7)]), tokens)
        everything = per_segment.transform(tokens, params)
        labels = tokens.labels.clone()
        labels[::3] = -1
        some = SegmentTokens(tokens.patches, tokens.alpha, tokens.boxes, tokens.areas, labels)
        kept = labels > 0
        assert torch.equal(plain(per_segment.transform(some, params).patches)[kept], plain(everything.patches)[kept])

    @pytest.mark.parametrize("transform", [A.HorizontalFlip(p=0.5), A.Compose([A.HorizontalFlip(p=0.5)], seed=1)])
    def test_workers_and_epochs_draw_differently(self, transform):
        loader = DataLoader(Repeated(PerSegment(transform)), batch_size=1, num_workers=2, collate_fn=collate)
        epochs = [[plain(batch.patches) for batch in loader] for _ in range(2)]
        patterns = {str((batch == batch[:, :1]).flatten(2).all(2).tolist()) for epoch in epochs for batch in epoch}
        assert len(patterns) == 8

    def test_seeding_is_quick(self):
        node = PerSegment(A.Compose([A.HorizontalFlip(), A.ColorJitter(), A.Rotate()]))._plan.child
        numbers = node._streams(5, np.arange(500))
        spent = []
        for _ in range(5):
            start = time.perf_counter()
            for row in numbers:
                node._start(row)
            spent.append((time.perf_counter() - start) / 500 / 4)
        # About 10 microseconds; ample room for a busy machine.
        assert min(spent) < 100e-6


class Repeated(torch.utils.data.Dataset):
    """Four samples of equal tokens."""

    def __init__(self, transform):
        self.transform = transform

    def __len__(self):
        return 4

    def __getitem__(self, index):
        if index >= 4:
            raise IndexError
        return self.transform(alike(40, 1))


class TestCoverage:
    @pytest.mark.parametrize("name", ["Affine", "ElasticTransform", "Perspective", "RandomResizedCrop", "Rotate", "D4"])
    def test_moves_as_colour_does_and_stays_soft(self, name):
        tokens = alike(10, 1, torch.float32)
        even = SegmentTokens(tokens.alpha[:, None] * 0.5, tokens.alpha, tokens.boxes, tokens.areas, tokens.labels)
        per_segment, params = draw(sample(name), even)
        out = per_segment.transform(even, params)
        # Even colour stays even, whatever became of its outline, at the frame too.
        assert (plain(out.patches)[:, 0] - 0.5 * plain(out.alpha)).abs().max() < 1e-4
        if name != "D4":
            soft = (plain(out.alpha) > 0.02) & (plain(out.alpha) < 0.98)
            assert bool(soft.flatten(1).any(1).all())
        assert not torch.equal(plain(out.alpha)[:, :9, :9], plain(tokens.alpha)[:, :9, :9])

    def test_flips_are_exact(self):
        tokens = alike(3)
        out = PerSegment(A.HorizontalFlip(p=1.0))(tokens)
        assert torch.equal(plain(out.patches), plain(tokens.patches).flip(-1))
        assert torch.equal(plain(out.alpha), plain(tokens.alpha).flip(-1))

    def test_what_is_filled_in_has_none(self):
        out = PerSegment(A.Pad(padding=4, fill=255, fill_mask=255, p=1.0))(alike(2))
        assert not plain(out.alpha)[:, :4].any()

    def test_shrinking_by_area_takes_coverage_along(self):
        tokens = alike(3, 1, torch.float32)
        even = SegmentTokens(tokens.alpha[:, None] * 0.5, tokens.alpha, tokens.boxes, tokens.areas, tokens.labels)
        for chosen in ("image", "image_mask"):
            out = PerSegment(A.Resize(5, 5, area_for_downscale=chosen))(even)
            expected = cv2.resize(plain(tokens.alpha)[0].numpy(), (5, 5), interpolation=cv2.INTER_AREA)
            assert np.abs(plain(out.alpha)[0].numpy() - expected).max() < 1e-6
            assert (plain(out.patches)[:, 0] - 0.5 * plain(out.alpha)).abs().max() < 1e-4

    def test_holes_are_coloured_unless_the_mask_is_filled(self):
        tokens = alike(4)
        holes = {"num_holes_range": (4, 4), "hole_height_range": (4, 5), "hole_width_range": (4, 5), "p": 1.0}
        kept = PerSegment(A.CoarseDropout(**holes))(tokens)
        assert torch.equal(kept.alpha, tokens.alpha)
        cut = PerSegment(A.CoarseDropout(**holes, fill_mask=0))(tokens)
        assert plain(cut.alpha).sum() < plain(tokens.alpha).sum()

    def test_nothing_black_leaks_in(self):
        tokens = alike(2, 3, torch.float32)
        even = SegmentTokens(
            tokens.alpha[:, None].repeat(1, 3, 1, 1) * 0.5, tokens.alpha, tokens.boxes, tokens.areas, tokens.labels
        )
        out = PerSegment(A.GaussianBlur(blur_limit=(5, 7), p=1.0))(even)
        assert (plain(out.patches) - plain(even.patches)).abs().max() < 1e-4

    def test_a_full_mask_gives_what_albumentations_gives(self, make_tokens):
        tokens = make_tokens(5, size=16, full=True, background=False)
        sepia = A.ToSepia(p=1.0)
        out = PerSegment(sepia)(tokens)
        for before, after in zip(plain(tokens.patches), plain(out.patches), strict=True):
            assert np.array_equal(sepia(image=before.movedim(0, -1).numpy())["image"], after.movedim(0, -1).numpy())


class TestTokens:
    def test_padding_and_background(self, make_tokens):
        tokens = make_tokens(3, batch=(2,), size=8, padding=2)
        out = PerSegment(A.InvertImg(p=1.0), background=False)(tokens)
        same = (plain(out.patches) == plain(tokens.patches)).flatten(2).all(2)
        assert same.tolist() == [[False, False, False, True, True, True]] * 2
        assert not plain(PerSegment(A.Resize(5, 5))(tokens).patches)[:, 4:].any()

    def test_p(self):
        tokens = alike(400, 1)
        per_segment, params = draw(A.HorizontalFlip(p=1.0), tokens, p=0.25)
        flipped = int(is_flipped(per_segment.transform(tokens, params), tokens, -1).sum())
        assert stats.binomtest(flipped, 400, 0.25).pvalue > 0.001

    def test_mixes_with_torchvision_and_kornia(self):
        chain = v2.Compose([A.RandomCrop(12, 12), v2.RandomCrop(10), K.RandomGamma((0.5, 2.0)), A.Rotate(30, p=1.0)])
        per_segment = PerSegment(chain, generator=torch.Generator().manual_seed(0))
        assert [name for name, _ in per_segment.lowered] == ["RandomCrop", "RandomCrop", "RandomGamma", "Rotate"]
        out = per_segment(alike(6))
        assert out.patches.shape == (6, 3, 10, 10)
        assert different(out) == 6

    def test_the_loop_runs_one_segment_at_a_time(self):
        tokens = alike(40)
        chain = v2.Compose([v2.RandomVerticalFlip(), A.HorizontalFlip(p=0.5), A.ColorJitter(p=1.0)])
        out = PerSegment(chain, vectorized=False, generator=torch.Generator().manual_seed(0))(tokens)
        assert different(out) == 40
        assert len(torch.unique(plain(out.alpha).flatten(1), dim=0)) == 4

    @pytest.mark.parametrize("dtype", [torch.float16, torch.float64])
    def test_other_floats(self, dtype):
        assert PerSegment(A.ColorJitter(p=1.0))(alike(2, 3, dtype)).patches.dtype == dtype

    def test_none_at_all(self, make_tokens):
        tokens = make_tokens(0, size=8, background=False)
        assert PerSegment(A.Resize(5, 5))(tokens).patches.shape == (0, 3, 5, 5)

    @pytest.mark.parametrize("vectorized", [True, False])
    def test_can_be_sent_to_a_worker(self, vectorized):
        tokens = alike(5)
        chain = A.Compose([A.Rotate(40, p=0.5), A.ColorJitter(p=0.5)])
        per_segment, params = draw(chain, tokens, vectorized=vectorized)
        sent = pickle.loads(pickle.dumps(PerSegment(chain, vectorized=vectorized)))
        assert torch.equal(per_segment.transform(tokens, params).patches, sent.transform(tokens, params).patches)

    def test_lowered_names_what_is_inside(self):
        how = "looped: albumentations works on one picture at a time"
        nested = A.Compose([A.HorizontalFlip(), A.OneOf([A.Blur(), A.RandomGamma()])])
        assert PerSegment(nested).lowered == [(name, how) for name in ("HorizontalFlip", "Blur", "RandomGamma")]

    def test_the_users_transform_stays_as_it_is(self):
        rotate = A.Rotate(30, fill=7, fill_mask=9, p=1.0)
        compose = A.Compose([rotate], seed=1)
        state = str(rotate.random_generator.bit_generator.state), rotate.py_random.getstate()
        PerSegment(compose)(alike(3))
        assert (rotate.fill, rotate.fill_mask, rotate.mask_interpolation) == (7, 9, cv2.INTER_NEAREST)
        assert (str(rotate.random_generator.bit_generator.state), rotate.py_random.getstate()) == state


class Broken(A.ImageOnlyTransform):
    def apply(self, img, **params):
        img[:] = 0
        if self.py_random.random() < 0.3:
            raise RuntimeError("broken")
        return img


class NeedsBoxes(A.DualTransform):
    @property
    def targets_as_params(self):
        return ["bboxes"]


class TestErrors:
    @pytest.mark.parametrize("vectorized", [True, False])
    def test_names_the_segment_and_leaves_the_input(self, vectorized):
        tokens = alike(30)
        before = tokens.patches.clone()
        with pytest.raises(RuntimeError, match="broken") as caught:
            PerSegment(Broken(p=1.0), vectorized=vectorized)(tokens)
        assert "Broken" in caught.value.__notes__[-1]
        assert "the segment with label" in caught.value.__notes__[-1]
        assert torch.equal(tokens.patches, before)

    def test_gray_where_rgb_is_needed(self):
        with pytest.raises(ValueError, match="expects 3-channel images") as caught:
            PerSegment(A.RandomSnow(p=1.0))(alike(2, 1))
        assert caught.value.__notes__ == [
            "raised by RandomSnow of albumentations on the segment with label 1 (token 0 of image 0)"
        ]

    def test_boxes(self):
        with pytest.raises(ValueError, match="Compose must have no bbox_params or keypoint_params, got bboxes"):
            PerSegment(A.Compose([A.HorizontalFlip()], bbox_params=A.BboxParams("coco")))
        with pytest.raises(TypeError, match="got NeedsBoxes: it needs bboxes beside the picture"):
            PerSegment(A.OneOf([NeedsBoxes(p=1.0)]))

    def test_several_sizes(self):
        with pytest.raises(ValueError, match="same size, channels and dtype, RandomScale of albumentations gave"):
            PerSegment(A.RandomScale(p=1.0))(alike(20))
        with pytest.raises(ValueError, match="same size and channels"):
            PerSegment(A.Resize(8, 8), p=0.5)(alike(2))

    def test_geometry_on_some_channels(self):
        with pytest.raises(ValueError, match="must hold image-only transforms, got HorizontalFlip"):
            PerSegment(A.SelectiveChannelTransform([A.HorizontalFlip()]))

    def test_no_outcomes(self):
        with pytest.raises(ValueError, match="InvertImg of albumentations is called once per segment"):
            PerSegment(A.InvertImg())._plan.outcomes((3, 4, 4))
