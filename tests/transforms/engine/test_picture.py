"""PerSegment in the picture: geometry about each segment's box, against loops over segments in numpy."""

import pickle

import albumentations
import kornia.augmentation
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from torchvision import tv_tensors
from torchvision.transforms import v2

from segaug import PerSegment, SegmentedImage, SegmentMap
from segaug.transforms import ColorLowering, register_lowering
from segaug.transforms._engine._lowerings._operations import NAMES

FLIPS = {"horizontal": v2.RandomHorizontalFlip(0.5), "vertical": v2.RandomVerticalFlip(0.5)}
MIXED = v2.Compose(
    [
        v2.RandomHorizontalFlip(),
        v2.ColorJitter(0.4, 0.4, 0.4, 0.1),
        v2.RandomApply([v2.RandomResizedCrop((9, 14))], p=0.4),
        v2.RandomRotation(30),
        v2.RandomGrayscale(0.3),
    ]
)


def plain(tensor):
    return tensor.as_subclass(torch.Tensor)


@pytest.fixture
def make_sample(photo, make_map):
    """``make_sample(segments, dtype=...)``: a real photo with connected segments, labels 3, 6, 9, ..., and background."""

    def make(segments=12, *, dtype=torch.uint8, channels=3, seed=0):
        labels = make_map(photo.shape[1], photo.shape[2], segments, seed=seed) * 3
        image = photo[:channels] if dtype == torch.uint8 else photo[:channels].to(dtype) / 255
        return SegmentedImage(image.clone(), SegmentMap(labels))

    return make


def painted_in_order(sample, results, fill):
    """Painter's algorithm over all segments in numpy: results {label: None (unchanged) or (pixels, mask, top, left)}."""
    image, labels = plain(sample.image).numpy(), plain(sample.segments).numpy()
    old = {label: labels == label for label in np.unique(labels) if label > 0}
    out, new = image.copy(), np.where(np.isin(labels, [k for k, v in results.items() if v is not None]), 0, labels)
    moved = (labels > 0) & (new == 0)
    if fill == "mean" and moved.any():
        mean = (image[:, ~moved] if (~moved).any() else image.reshape(3, -1)).astype(np.float64).mean(1)
        out[:, moved] = (np.round(mean) if image.dtype == np.uint8 else mean)[:, None]
    for label in sorted(old, key=lambda one: (-old[one].sum(), -one)):
        if results[label] is None:
            out[:, old[label]], new[old[label]] = image[:, old[label]], label
            continue
        pixels, mask, top, left = results[label]
        for y, x in zip(*np.nonzero(mask), strict=True):
            if 0 <= y + top < labels.shape[0] and 0 <= x + left < labels.shape[1]:
                out[:, y + top, x + left], new[y + top, x + left] = pixels[:, y, x], label
    return out, new


def box(mask):
    rows, columns = np.nonzero(mask)
    return rows.min(), columns.min(), rows.max() + 1, columns.max() + 1


def mirrored(sample, label, axis):
    """What a flip makes of a segment; None if its mask stays, in which case painting it in place is all."""
    own = plain(sample.segments).numpy() == label
    y1, x1, y2, x2 = box(own)
    patch, mask = plain(sample.image).numpy()[:, y1:y2, x1:x2], own[y1:y2, x1:x2]
    return np.flip(patch, axis), np.flip(mask, axis), y1, x1


@pytest.mark.parametrize("fill", ["mean", "keep"])
@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32], ids=["uint8", "float32"])
@pytest.mark.parametrize("name", FLIPS)
def test_flips_equal_painting_in_numpy(make_sample, name, dtype, fill):
    for seed in range(4):
        sample = make_sample(15, dtype=dtype, seed=seed)
        per_segment = PerSegment(FLIPS[name], fill=fill)
        torch.manual_seed(seed)
        params = per_segment.make_params([sample])
        out = per_segment.transform(sample, params)
        results = {}
        for row, label in enumerate(torch.unique(plain(sample.segments)).tolist()[1:], start=1):
            is_flipped = bool(params["runs"][0][row]["gate"][0])
            results[label] = mirrored(sample, label, -1 if name == "horizontal" else -2) if is_flipped else None
        image, labels = painted_in_order(sample, results, fill)
        assert np.array_equal(plain(out.segments).numpy(), labels)
        assert np.abs(plain(out.image).numpy().astype(float) - image).max() <= (0 if dtype == torch.uint8 else 1e-6)


@settings(max_examples=25, deadline=None, derandomize=True)
@given(
    segments=st.integers(1, 10),
    seed=st.integers(0, 1000),
    transform=st.sampled_from(
        [*FLIPS.values(), MIXED, v2.RandomRotation(45), v2.RandomAffine(20, (0.3, 0.3), (0.5, 1.5))]
    ),
    fill=st.sampled_from(["mean", "inpaint", "keep"]),
    p=st.sampled_from([0.3, 1.0]),
    dtype=st.sampled_from([torch.uint8, torch.float32]),
)
def test_what_holds_for_any_geometry(photo, make_map, segments, seed, transform, fill, p, dtype):
    image = photo if dtype == torch.uint8 else photo.to(dtype) / 255
    sample = SegmentedImage(image.clone(), SegmentMap(make_map(72, 96, segments, seed=seed) * 2))
    before = plain(sample.image).clone(), plain(sample.segments).clone()
    per_segment = PerSegment(transform, p=p, fill=fill, background=False)
    torch.manual_seed(seed)
    params = per_segment.make_params([sample])
    out = per_segment.transform(sample, pickle.loads(pickle.dumps(params)))
    again = per_segment.transform(sample, params)
    assert torch.equal(plain(out.image), plain(again.image))
    assert torch.equal(plain(out.segments), plain(again.segments))
    # The input is as it was.
    assert torch.equal(plain(sample.image), before[0])
    assert torch.equal(plain(sample.segments), before[1])
    # No label comes out of nowhere, and the type stays.
    assert set(out.segments.unique().tolist()) <= {0, *before[1].unique().tolist()}
    assert out.image.dtype == dtype
    assert isinstance(out.image, tv_tensors.Image)
    assert isinstance(out.segments, SegmentMap)
    if params["gate"] is not None:
        # What is in the background before and behind no segment that was let through is left alone.
        closed = torch.cat([torch.zeros(1, dtype=torch.bool), params["gate"][1:]])[
            before[1].unique(return_inverse=True)[1]
        ]
        still = ~closed & (plain(out.segments) == before[1]) & (before[1] > 0)
        assert torch.equal(plain(out.image)[:, still], before[0][:, still])


@pytest.mark.parametrize("vectorized", [True, False])
@pytest.mark.parametrize("fill", ["mean", "inpaint", "keep"])
def test_pixels_outside_changed_segments_are_bit_equal(make_sample, fill, vectorized):
    sample = make_sample(20)
    labels = plain(sample.segments)
    transform = v2.RandomApply([v2.RandomHorizontalFlip(1.0)], p=0.4)
    torch.manual_seed(1)
    out = PerSegment(transform, fill=fill, vectorized=vectorized)(sample)
    places = torch.zeros(labels.shape, dtype=torch.bool)
    changed = 0
    for label in labels.unique().tolist()[1:]:
        own = labels == label
        if torch.equal(plain(out.segments)[own], labels[own]) and torch.equal(
            plain(out.image)[:, own], plain(sample.image)[:, own]
        ):
            continue
        # Changed, or hidden by one that is: then its pixels are in that one's box anyway.
        y1, x1, y2, x2 = box(own.numpy())
        places[y1:y2, x1:x2] |= own[y1:y2, x1:x2] | own[y1:y2, x1:x2].flip(-1)
        changed += 1
    assert 0 < changed < 20
    assert torch.equal(plain(out.image)[:, ~places], plain(sample.image)[:, ~places])
    assert torch.equal(plain(out.segments)[~places], labels[~places])


@pytest.mark.parametrize("fill", ["mean", "keep"])
def test_a_flip_twice_brings_a_segment_back(photo, fill):
    labels = torch.zeros(72, 96, dtype=torch.int64)
    labels[20:40, 30:50] = 5
    labels[40:50, 30:35] = 5
    sample = SegmentedImage(photo, SegmentMap(labels))
    flip = PerSegment(v2.RandomHorizontalFlip(1.0), fill=fill)
    once = flip(sample)
    twice = flip(once)
    own = labels == 5
    assert torch.equal(plain(twice.segments), labels)
    assert torch.equal(plain(twice.image)[:, own], photo[:, own])
    assert not torch.equal(plain(once.segments), labels)


def two_squares():
    """A large segment on the left, 7, and a small one on the right, 3, whose gap a shift of 4 closes."""
    image = torch.zeros(1, 8, 16, dtype=torch.uint8)
    labels = torch.zeros(8, 16, dtype=torch.int64)
    labels[1:7, 1:7], labels[3:5, 10:12] = 7, 3
    image[:, labels == 7], image[:, labels == 3] = 70, 30
    return SegmentedImage(image, SegmentMap(labels))


def shift(pixels, by):
    """Move a segment to the right, in a wider patch."""
    return torch.nn.functional.pad(pixels, [2 * by, 0]) if by > 0 else torch.nn.functional.pad(pixels, [0, -2 * by])


@pytest.mark.parametrize("moving", [7, 3])
def test_the_smaller_segment_lies_on_top_whichever_moves(moving):
    sample = two_squares()
    by = {7: 4, 3: -6}[moving]

    def move(pixels):
        return shift(pixels, by) if pixels.shape[-1] == {7: 6, 3: 2}[moving] else pixels

    out = PerSegment(move, geometry=True)(sample)
    large = sample.segments == 7
    small = sample.segments == 3
    expected = torch.zeros(8, 16, dtype=torch.int64)
    expected[plain(large).roll(4, -1) if moving == 7 else large] = 7
    expected[plain(small).roll(-6, -1) if moving == 3 else small] = 3
    assert torch.equal(plain(out.segments), expected)
    inside = expected > 0
    assert torch.equal(plain(out.image)[0, inside], expected[inside].to(torch.uint8) * 10)


def test_a_segment_that_leaves_the_picture_is_gone():
    out = PerSegment(lambda pixels: shift(pixels, 20), geometry=True)(two_squares())
    assert out.segments.unique().tolist() == [0]
    assert out.image.unique().tolist() == [0]


def test_a_result_of_another_size_is_centred_on_the_box():
    sample = two_squares()
    out = PerSegment(v2.Resize((3, 2)), background=False, fill="keep")(sample)
    # The box of 7 is rows 1 to 6 and columns 1 to 6: 3 x 2 centred, rounded down, are rows 2 to 4 and columns 3 to 4.
    assert (out.segments == 7).nonzero().tolist() == [[y, x] for y in (2, 3, 4) for x in (3, 4)]
    # That of 3 is rows 3 and 4, columns 10 and 11: it grows upwards.
    assert (out.segments == 3).nonzero().tolist() == [[y, x] for y in (2, 3, 4) for x in (10, 11)]


def test_soft_edges_are_mixed_and_belong_to_who_covers_half():
    image = torch.full((1, 1, 4), 100, dtype=torch.uint8)
    image[..., 1] = 200
    sample = SegmentedImage(image, SegmentMap([[0, 1, 0, 0]]))

    def soften(pixels):
        """Coverage 255, 128, 127 side by side."""
        coverage = torch.tensor([[[127, 255, 128]]], dtype=torch.uint8)
        return torch.cat([(200 * (coverage / 255)).round().to(torch.uint8), coverage])

    out = PerSegment(soften, geometry=True)(sample)
    assert out.segments.tolist() == [[0, 1, 1, 0]]
    assert out.image.flatten().tolist() == [150, 200, 150, 100]


class TestFill:
    def test_mean_is_that_of_the_picture_outside_what_moved(self, photo):
        labels = torch.zeros(72, 96, dtype=torch.int64)
        labels[10:30, 10:30], labels[30:33, 10:15] = 1, 1
        labels[50:60, 50:60] = 2
        sample = SegmentedImage(photo, SegmentMap(labels))
        out = PerSegment(v2.RandomHorizontalFlip(1.0))(sample)
        hole = (labels == 1) & (plain(out.segments) == 0)
        # The flip of the square 2 covers what it left, so it has not moved.
        mean = photo[:, labels != 1].double().mean(1).round()
        assert int(hole.sum()) == 15
        assert bool((plain(out.image)[:, hole].double() == mean[:, None]).all())

    def test_with_everything_moving_it_is_the_mean_of_all(self, photo):
        sample = SegmentedImage(photo, SegmentMap(torch.ones(72, 96, dtype=torch.int64)))
        for fill in ("mean", "inpaint"):
            out = PerSegment(v2.Resize(10), fill=fill)(sample)
            assert torch.equal(plain(out.image)[:, 0, 0], photo.flatten(1).double().mean(1).round().to(torch.uint8))

    def test_inpainting_comes_closer_than_the_mean(self, make_sample):
        sample = make_sample(1)
        labels = torch.zeros(72, 96, dtype=torch.int64)
        labels[5:15, 5:15] = 1
        sample = SegmentedImage(sample.image, SegmentMap(labels))
        error = {}
        for fill in ("mean", "inpaint", "keep"):
            out = PerSegment(v2.Resize(2), fill=fill)(sample)
            hole = (labels == 1) & (plain(out.segments) == 0)
            error[fill] = (plain(out.image)[:, hole].float() - plain(sample.image)[:, hole].float()).abs().mean()
        assert error["keep"] == 0 < error["inpaint"] < error["mean"]


class TestColours:
    """Colours in the picture go on as ever beside geometry, and nothing else moves."""

    def test_the_background_is_recoloured_but_never_moved(self, make_sample):
        sample = make_sample(5)
        background = plain(sample.segments) == 0
        transform = v2.Compose([v2.RandomHorizontalFlip(1.0), v2.RandomInvert(1.0)])
        out = PerSegment(transform, fill="keep")(sample)
        still = background & (plain(out.segments) == 0)
        assert torch.equal(plain(out.image)[:, still], 255 - plain(sample.image)[:, still])
        out = PerSegment(transform, fill="keep", background=False)(sample)
        assert torch.equal(plain(out.image)[:, still], plain(sample.image)[:, still])

    @pytest.mark.parametrize(
        ("transform", "moves"),
        [
            (v2.RandomInvert(1.0), False),
            (v2.Lambda(lambda image: 255 - image), False),
            (lambda image: 255 - image, False),
            (v2.Compose([v2.RandomInvert(1.0), v2.RandomHorizontalFlip(0.0)]), True),
        ],
    )
    @pytest.mark.parametrize("vectorized", [True, False])
    def test_the_background_takes_part_where_pixels_surely_stay(self, make_sample, transform, moves, vectorized):
        sample = make_sample(3)
        out = PerSegment(transform, vectorized=vectorized)(sample)
        background = plain(sample.segments) == 0
        inverted = 255 - plain(sample.image)
        assert torch.equal(plain(out.image)[:, ~background], inverted[:, ~background])
        stays = moves and not vectorized
        assert torch.equal(plain(out.image)[:, background], (sample.image if stays else inverted)[:, background])
        assert torch.equal(plain(out.segments), plain(sample.segments))

    def test_a_blur_keeps_the_map_and_stays_inside_each_segment(self, make_sample):
        sample = make_sample(6)
        labels = plain(sample.segments)
        image = (labels * 13).to(torch.uint8).expand(3, -1, -1)
        out = PerSegment(v2.GaussianBlur(7, 3.0))(SegmentedImage(image, labels))
        # Each segment is of one colour, so a blur that sees nothing else changes nothing.
        assert (plain(out.image).int() - image.int()).abs().max() <= 1
        assert torch.equal(plain(out.segments), labels)

    def test_params_are_those_of_the_first_map_when_segments_vanish(self):
        class Number(v2.Transform):
            def transform(self, inpt, params):
                return inpt

        @register_lowering(Number)
        class _Number(ColorLowering):
            def make_params(self, transform, draw):
                return {"level": torch.arange(draw.count) * 10.0}

            def recolor(self, transform, colors, params):
                colors.values = colors.per_pixel(params["level"])[None].expand_as(colors.values)

        def vanish(pixels):
            return pixels if pixels.shape[-1] == 2 else pixels * 0

        sample = two_squares()
        looped = PerSegment(vanish, geometry=True)
        steps = v2.Compose([v2.Lambda(lambda image: image), Number()])
        assert PerSegment(steps)(sample).image[0, 3, 10] == 10
        gone = PerSegment(v2.Compose([v2.RandomResizedCrop(2, (1.0, 1.0), (1.0, 1.0)), Number()]))(sample)
        assert gone.image[0, 4, 4] == 20
        out = looped(sample)
        assert out.segments.unique().tolist() == [0, 3]
        assert PerSegment(Number())(out).image[0, 3, 10] == 10

    def test_p_is_one_draw_per_segment_for_the_whole_transform(self, make_sample):
        sample = make_sample(1)
        steps = v2.Compose([v2.RandomHorizontalFlip(1.0), v2.RandomInvert(1.0), v2.RandomVerticalFlip(1.0)])
        per_segment = PerSegment(steps, p=0.3, background=False)
        torch.manual_seed(0)
        opened = 0
        for _ in range(300):
            params = per_segment.make_params([sample])
            opened += int(params["gate"][1])
        assert stats.binomtest(opened, 300, 0.3).pvalue > 0.01
        for gate in (True, False):
            params["gate"] = torch.tensor([True, gate])
            out = per_segment.transform(sample, params)
            own = plain(sample.segments) > 0
            assert torch.equal(plain(out.image)[:, own], plain(sample.image)[:, own]) != gate

    @pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
    @pytest.mark.parametrize(
        "transform",
        [
            v2.ColorJitter(0.5, 0.5, 0.5, 0.2),
            v2.RandomEqualize(1.0),
            v2.RandomAutocontrast(1.0),
            v2.RandomPosterize(3, p=1.0),
            v2.RandomApply([v2.RandomGrayscale(1.0), v2.RandomInvert(0.5)], p=0.6),
        ],
        ids=lambda transform: type(transform).__name__,
    )
    def test_half_precision_is_computed_in_single(self, make_sample, transform, dtype):
        sample = make_sample(8, dtype=dtype)
        sample.image[:, :4, :4] = 1.0
        per_segment = PerSegment(transform)
        params = per_segment.make_params([sample])
        out = per_segment.transform(sample, params)
        single = SegmentedImage(tv_tensors.Image(plain(sample.image).float()), sample.segments)
        assert out.image.dtype == dtype
        assert torch.equal(plain(out.image), plain(per_segment.transform(single, params).image).to(dtype))
        assert not torch.equal(plain(out.image), plain(sample.image))


BLURS = [
    v2.GaussianBlur((5, 3), (1.7, 1.7)),
    v2.GaussianBlur(9, (4.0, 4.0)),
    v2.RandomAdjustSharpness(0.2, p=1.0),
    v2.RandomAdjustSharpness(4.0, p=1.0),
]


class TestNeighbours:
    """Blur and sharpness mix a segment's own pixels and nothing else."""

    @pytest.mark.parametrize("dtype", [torch.uint8, torch.float32], ids=["uint8", "float32"])
    @pytest.mark.parametrize("transform", BLURS, ids=str)
    def test_the_loop_gives_what_the_batched_path_gives(self, make_sample, transform, dtype):
        sample = make_sample(12, dtype=dtype)
        # A pixel, a line, and a box that is full.
        sample.segments[3, 5], sample.segments[9, 5:9], sample.segments[20:30, 20:30] = 100, 101, 102
        # In a chain the loop gets the whole chain for each segment.
        for steps in (transform, v2.Compose([transform, v2.RandomHorizontalFlip(1.0)])):
            batched, looped = (PerSegment(steps, vectorized=flag, background=False)(sample) for flag in (True, False))
            assert torch.equal(plain(batched.segments), plain(looped.segments))
            difference = (plain(batched.image).double() - plain(looped.image).double()).abs()
            # What a flip leaves is filled with the mean of the picture that it finds: blurred already, or not yet.
            difference = difference[:, plain(batched.segments) > 0]
            assert difference.max() <= (1 if dtype == torch.uint8 else 1e-5)
            assert not torch.equal(plain(batched.image), plain(sample.image))

    @pytest.mark.parametrize("vectorized", [True, False])
    @pytest.mark.parametrize(("transform", "reach"), [(BLURS[1], 4), (BLURS[2], 1)])
    def test_a_segment_as_large_as_the_picture_differs_from_torchvision_at_the_border_only(
        self, photo, transform, reach, vectorized
    ):
        sample = SegmentedImage(photo, SegmentMap(torch.ones(photo.shape[1:], dtype=torch.int64)))
        out = plain(PerSegment(transform, vectorized=vectorized)(sample).image).int()
        expected = plain(transform(tv_tensors.Image(photo))).int()
        inner = (..., slice(reach, -reach), slice(reach, -reach))
        assert (out - expected)[inner].abs().max() <= 1
        assert (out - expected).abs().max() > 1

    @pytest.mark.parametrize("vectorized", [True, False])
    def test_a_pixel_alone_stays_as_it_is(self, photo, vectorized):
        labels = torch.zeros(72, 96, dtype=torch.int64)
        labels[0, 0] = labels[30, 40] = 1
        labels[50, 60] = 2
        for transform in (BLURS[0], BLURS[3]):
            out = PerSegment(transform, vectorized=vectorized, background=False)(
                SegmentedImage(photo, SegmentMap(labels))
            )
            assert torch.equal(plain(out.image), photo)

    def test_sharpness_of_automatic_augmentation_is_that_of_its_own_transform(self, photo):
        labels = torch.zeros(72, 96, dtype=torch.int64)
        labels[10:30, 10:30], labels[50, 60] = 1, 2
        sample = SegmentedImage(photo, SegmentMap(labels))
        trivial = PerSegment(v2.TrivialAugmentWide(), background=False)
        params = trivial.make_params([sample])
        for one in params["runs"][0][1:]:
            one["operation"].fill_(NAMES.index("Sharpness"))
            one["magnitude"].fill_(0.9)
        expected = PerSegment(v2.RandomAdjustSharpness(1.9, p=1.0), background=False)(sample)
        assert torch.equal(plain(trivial.transform(sample, params).image), plain(expected.image))


def dot(height, width, label=3):
    """A picture of noise in which one small box is a segment."""
    generator = torch.Generator().manual_seed(0)
    labels = torch.zeros(40, 50, dtype=torch.int64)
    labels[10 : 10 + height, 20 : 20 + width] = label
    image = torch.randint(256, (3, 40, 50), dtype=torch.uint8, generator=generator)
    return SegmentedImage(tv_tensors.Image(image), SegmentMap(labels))


SMALL = [(1, 1), (1, 3), (3, 1), (2, 2), (5, 5)]


class TestTinySegments:
    @pytest.mark.parametrize("vectorized", [True, False])
    @pytest.mark.parametrize("size", SMALL)
    @pytest.mark.parametrize(
        "transform",
        [
            kornia.augmentation.RandomBoxBlur((7, 7), p=1.0),
            kornia.augmentation.RandomClahe(grid_size=(4, 4), p=1.0),
            kornia.augmentation.RandomGaussianBlur((21, 21), (0.3, 3.0), p=1.0),
            kornia.augmentation.RandomGaussianNoise(p=1.0),
            kornia.augmentation.RandomJigsaw((4, 3), p=1.0),
            kornia.augmentation.RandomMedianBlur((5, 5), p=1.0),
            kornia.augmentation.RandomRain((5, 30), (3, 6), (-3, 3), p=1.0),
            kornia.augmentation.RandomSharpness(p=1.0),
            albumentations.Compose([albumentations.ToGray(p=1.0), albumentations.GlassBlur(p=1.0)]),
            albumentations.Downscale((0.2, 0.2), p=1.0),
            albumentations.FancyPCA(p=1.0),
            albumentations.PlasmaShadow(p=1.0),
        ],
        ids=lambda transform: type(transform).__name__,
    )
    def test_room_for_what_changes_colours(self, transform, size, vectorized):
        sample = dot(*size)
        per_segment = PerSegment(transform, vectorized=vectorized, background=False)
        params = per_segment.make_params([sample])
        out = per_segment.transform(sample, params)
        outside = plain(sample.segments) == 0
        if not isinstance(transform, kornia.augmentation.RandomJigsaw):
            assert torch.equal(plain(out.segments), plain(sample.segments))
            assert torch.equal(plain(out.image)[:, outside], plain(sample.image)[:, outside])
        assert torch.equal(plain(out.image), plain(per_segment.transform(sample, params).image))

    def test_what_fits_gets_no_room(self):
        sample = dot(9, 9)
        seen = []

        class Watch(albumentations.ImageOnlyTransform):
            def apply(self, img, **params):
                seen.append(img.shape)
                return img

        PerSegment(Watch(p=1.0), background=False)(sample)
        assert seen == [(9, 9, 3)]

    @pytest.mark.parametrize(
        ("transform", "size"),
        [
            (v2.ScaleJitter((4, 4), (0.1, 0.1)), (1, 1)),
            (v2.RandomShortestSize([1], max_size=2), (1, 9)),
            (v2.Resize(1, max_size=2), (1, 9)),
            (v2.RandomCrop(16), (5, 5)),
            (kornia.augmentation.LongestMaxSize(2), (1, 9)),
            (kornia.augmentation.CenterCrop(10), (5, 5)),
            (albumentations.GridDistortion(p=1.0), (1, 1)),
            (albumentations.RandomCrop(9, 9), (5, 5)),
        ],
        ids=lambda value: type(value).__name__,
    )
    def test_an_error_names_the_segment(self, transform, size):
        with pytest.raises(Exception, match=r"[a-z]") as caught:
            PerSegment(transform)(dot(*size))
        assert any("the segment with label 3 in the picture" in note for note in caught.value.__notes__)


class TestKinds:
    @pytest.mark.parametrize("channels", [1, 3])
    @pytest.mark.parametrize("dtype", [torch.uint8, torch.float32, torch.float64])
    @pytest.mark.parametrize("vectorized", [True, False])
    def test_grey_and_float(self, make_sample, channels, dtype, vectorized):
        sample = make_sample(6, channels=channels, dtype=dtype)
        torch.manual_seed(0)
        out = PerSegment(MIXED, vectorized=vectorized)(sample)
        assert out.image.shape == sample.image.shape
        assert out.image.dtype == dtype
        assert not torch.equal(plain(out.image), plain(sample.image))

    @pytest.mark.parametrize("kind", ["tensor", "pil", "numpy"])
    def test_callables_that_move(self, make_sample, kind):
        flips = {
            "tensor": lambda pixels: pixels.flip(-1),
            "pil": lambda picture: picture.transpose(0),
            "numpy": lambda array: array[:, ::-1],
        }
        sample = make_sample(9)
        ours = PerSegment(flips[kind], input=kind, geometry=True)(sample)
        expected = PerSegment(v2.RandomHorizontalFlip(1.0))(sample)
        assert torch.equal(plain(ours.image), plain(expected.image))
        assert torch.equal(plain(ours.segments), plain(expected.segments))

    def test_other_libraries(self, make_sample):
        sample = make_sample(9)
        expected = PerSegment(v2.RandomHorizontalFlip(1.0))(sample)
        for flip in (kornia.augmentation.RandomHorizontalFlip(p=1.0), albumentations.HorizontalFlip(p=1.0)):
            out = PerSegment(flip)(sample)
            assert torch.equal(plain(out.image), plain(expected.image))
            assert torch.equal(plain(out.segments), plain(expected.segments))
        # kornia's are known to leave pixels in place, so the background takes part.
        inverted = PerSegment(kornia.augmentation.RandomInvert(p=1.0))(sample)
        assert torch.equal(plain(inverted.image), 255 - plain(sample.image))
        assert torch.equal(plain(inverted.segments), plain(sample.segments))

    @pytest.mark.parametrize("vectorized", [True, False])
    def test_albumentations_that_change_colours_alone_take_the_background(self, make_sample, vectorized):
        sample = make_sample(5)
        background = plain(sample.segments) == 0
        invert = albumentations.InvertImg(p=1.0)
        inside = [invert, albumentations.OneOf([albumentations.Solarize((0.0, 0.0), p=1.0)], p=0.0)]
        for transform in (invert, albumentations.Compose(inside), albumentations.Sequential([invert], p=1.0)):
            out = PerSegment(transform, vectorized=vectorized)(sample)
            assert torch.equal(plain(out.image), 255 - plain(sample.image))
            assert torch.equal(plain(out.segments), plain(sample.segments))
        moving = albumentations.Compose([invert, albumentations.HorizontalFlip(p=0.0)])
        out = PerSegment(moving, vectorized=vectorized)(sample)
        assert torch.equal(plain(out.image)[:, background], plain(sample.image)[:, background])
        assert torch.equal(plain(out.image)[:, ~background], 255 - plain(sample.image)[:, ~background])

    def test_the_loop_gives_what_the_batched_path_gives(self, make_sample):
        sample = make_sample(9)
        for transform in (v2.RandomHorizontalFlip(1.0), v2.Compose([v2.RandomVerticalFlip(1.0), v2.RandomInvert(1.0)])):
            looped = PerSegment(transform, vectorized=False, background=False)(sample)
            batched = PerSegment(transform, background=False)(sample)
            assert torch.equal(plain(looped.image), plain(batched.image))
            assert torch.equal(plain(looped.segments), plain(batched.segments))

    def test_a_rotation_reaches_beyond_the_box(self):
        labels = torch.zeros(30, 60, dtype=torch.int64)
        labels[12:18, 10:50] = 1
        sample = SegmentedImage(torch.full((3, 30, 60), 9, dtype=torch.uint8), SegmentMap(labels))
        out = PerSegment(v2.RandomRotation((45, 45)))(sample)
        rows = (out.segments == 1).any(1).nonzero()
        assert int(rows.min()) < 4
        assert int(rows.max()) > 25
        assert abs(int((out.segments == 1).sum()) - 240) < 20

    def test_sizes_that_some_segments_take_reach_the_next_draw(self, make_sample):
        """A crop drawn for a segment that an earlier step left large fits that."""
        steps = [v2.RandomApply([v2.RandomResizedCrop(40)], 0.5), v2.RandomChoice([v2.RandomResizedCrop(9), v2.Pad(2)])]
        for seed in range(5):
            torch.manual_seed(seed)
            sample = make_sample(10, seed=seed)
            PerSegment(v2.Compose([*steps, v2.RandomInvert(), v2.RandomResizedCrop(20)]))(sample)

    def test_no_segments_and_no_background(self, photo):
        for label in (0, 4):
            sample = SegmentedImage(photo, SegmentMap(torch.full((72, 96), label)))
            out = PerSegment(v2.RandomHorizontalFlip(1.0))(sample)
            assert torch.equal(plain(out.image), photo.flip(-1) if label else photo)
            assert torch.equal(plain(out.segments), plain(sample.segments))

    def test_a_generator_is_the_only_source(self, make_sample):
        sample = make_sample(8)
        outs = []
        for noise in (1, 2):
            torch.manual_seed(noise)
            state = torch.get_rng_state()
            outs.append(PerSegment(MIXED, generator=torch.Generator().manual_seed(3))(sample))
            assert torch.equal(torch.get_rng_state(), state)
        assert torch.equal(plain(outs[0].image), plain(outs[1].image))
        assert torch.equal(plain(outs[0].segments), plain(outs[1].segments))


class TestBadInput:
    @pytest.mark.parametrize(
        ("transform", "error", "message"),
        [
            (v2.ToDtype(torch.float32, scale=True), TypeError, "keep dtype, range and channels .* whole image"),
            (v2.Grayscale(1), TypeError, "keep dtype, range and channels"),
            (v2.Compose([v2.RandomApply([v2.Normalize([0.5], [0.5])])]), TypeError, "keep dtype, range and channels"),
            (v2.RandomRotation(10, center=[3, 3]), ValueError, "center must be None in a picture"),
            (v2.Compose([v2.RandomAffine(10, center=[0, 0])]), ValueError, "center must be None in a picture"),
        ],
    )
    @pytest.mark.parametrize("vectorized", [True, False])
    def test_what_does_not_fit_a_picture(self, make_sample, transform, error, message, vectorized):
        sample = make_sample(3)
        for inputs in ((sample,), (sample.image, sample.segments)):
            with pytest.raises(error, match=message):
                PerSegment(transform, vectorized=vectorized)(*inputs)

    def test_what_keeps_dtype_and_channels_is_taken(self, make_sample):
        sample = make_sample(3)
        for transform in (v2.Grayscale(3), v2.ToDtype(torch.uint8)):
            assert PerSegment(transform)(sample).image.dtype == torch.uint8

    def test_a_callable_that_changes_the_dtype(self, make_sample):
        with pytest.raises(TypeError, match="keep the dtype"):
            PerSegment(lambda image: image.float())(make_sample(3))

    def test_an_error_inside_names_the_segment_and_leaves_the_input(self, make_sample):
        sample = make_sample(4)
        before = plain(sample.image).clone()

        def fail(pixels):
            pixels.zero_()
            raise RuntimeError("broken")

        with pytest.raises(RuntimeError, match="broken") as caught:
            PerSegment(fail, geometry=True)(sample)
        assert "label 3 in the picture" in caught.value.__notes__[0]
        assert torch.equal(plain(sample.image), before)

    @pytest.mark.parametrize("transform", [v2.RandomInvert(), v2.RandomHorizontalFlip(), MIXED])
    def test_params_for_something_else(self, make_sample, make_tokens, transform):
        per_segment = PerSegment(transform, p=0.5)
        params = per_segment.make_params([make_sample(5)])
        for segments in (4, 6):
            message = f"must be drawn for this picture, which has {segments} segments, got params for 5 segments"
            with pytest.raises(ValueError, match=message):
                per_segment.transform(make_sample(segments), params)
        tokens = make_tokens(3, size=16)
        with pytest.raises(ValueError, match="must be drawn for these tokens, got params for a picture"):
            per_segment.transform(tokens, params)

    def test_params_of_tokens_in_a_picture(self, make_sample, make_tokens):
        per_segment = PerSegment(v2.RandomInvert(), p=0.5)
        params = per_segment.make_params([make_tokens(5, size=16)])
        with pytest.raises(ValueError, match="which has 5 segments, got params for tokens"):
            per_segment.transform(make_sample(5), params)

    def test_params_of_the_parts_of_a_sample(self, make_sample):
        sample = make_sample(3)
        with pytest.raises(TypeError, match=r"make_params takes \[SegmentTokens\] or \[SegmentedImage\], got Image"):
            PerSegment(v2.RandomInvert()).make_params([sample.image, sample.segments])

    def test_options(self):
        with pytest.raises(ValueError, match="fill must be one of 'mean', 'inpaint', 'keep', got 'blur'"):
            PerSegment(v2.RandomHorizontalFlip(), fill="blur")

    @pytest.mark.parametrize("value", [float("nan"), -0.5, 1.5])
    def test_floats_outside_the_range(self, make_sample, value):
        sample = make_sample(2, dtype=torch.float32)
        sample.image[0, 0, 0] = value
        with pytest.raises(ValueError, match=r"image must hold floats in \[0, 1\]"):
            PerSegment(v2.RandomHorizontalFlip())(sample)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_the_gpu_gives_what_the_cpu_gives(make_sample):
    sample = make_sample(10)
    for transform in (MIXED, v2.RandomHorizontalFlip()):
        per_segment = PerSegment(transform)
        params = per_segment.make_params([sample])
        there = per_segment.transform(sample.to("cuda"), params)
        assert there.image.device.type == there.segments.device.type == "cuda"
        here = per_segment.transform(sample, params)
        assert (plain(there.segments).cpu() != plain(here.segments)).float().mean() < 0.01
        same = plain(there.segments).cpu() == plain(here.segments)
        assert (plain(there.image).cpu().int() - plain(here.image).int()).abs()[:, same].float().mean() < 0.5
