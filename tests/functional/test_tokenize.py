import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torchvision.transforms import v2

from segaug import SLIC, Felzenszwalb, Grid, SegmentMap, Voronoi
from segaug.functional import cut_segments, segment_table, tokenize, tokenize_masks

NAMES = ("patches", "alpha", "boxes", "areas", "labels")


def crop_and_resize(image, mask, box, size):
    """What a token must be, by torchvision: (C + 1, size, size)."""
    x1, y1, x2, y2 = box
    if image.dtype == torch.uint8:
        layers = torch.cat([image, torch.full_like(image[:1], 255)])
    else:
        layers = torch.cat([image, torch.ones_like(image[:1])])
    cut = (layers * mask)[:, y1:y2, x1:x2]
    return v2.functional.resize(cut, [size, size], antialias=True)


def check_tokens(image, masks, tokens, size, *, has_background):
    """``masks``: (N, H, W) of every token in order, the background's last."""
    patches, alpha, boxes, areas, labels = tokens
    height, width = image.shape[-2:]
    assert patches.shape == (len(masks), len(image), size, size)
    assert patches.dtype == alpha.dtype == image.dtype
    assert (boxes.dtype, areas.dtype, labels.dtype) == (torch.float32, torch.float32, torch.int64)
    bound = 1 if image.dtype == torch.uint8 else 1e-5
    for i, mask in enumerate(masks):
        assert areas[i].item() == pytest.approx(mask.sum().item() / (height * width), abs=1e-7)
        if has_background and i == len(masks) - 1:
            assert labels[i] == 0
            assert boxes[i].tolist() == [-1.0] * 4
            box = (0, 0, width, height)
        else:
            rows, columns = mask.nonzero(as_tuple=True)
            box = (int(columns.min()), int(rows.min()), int(columns.max()) + 1, int(rows.max()) + 1)
            scaled = [box[0] / width, box[1] / height, box[2] / width, box[3] / height]
            assert boxes[i].tolist() == pytest.approx(scaled, abs=1e-6)
        expected = crop_and_resize(image, mask, box, size)
        got = torch.cat([patches[i], alpha[i][None]])
        assert (got.double() - expected.double()).abs().max() <= bound, i


def masks_of(labels, *, background=True):
    values = [value for value in labels.unique().tolist() if value]
    masks = [labels == value for value in values]
    return values, torch.stack(masks + [labels == 0] * background) if masks or background else labels[None][:0].bool()


@pytest.fixture(scope="module", params=["astronaut", "coffee", "rocket"])
def picture(request, load_photo):
    return load_photo(request.param, 88, 132)


class TestAgainstTorchvision:
    @pytest.mark.parametrize("dtype", [torch.uint8, torch.float32])
    @pytest.mark.parametrize(
        ("segmenter", "size"),
        [
            (SLIC(60), 16),
            (Felzenszwalb(scale=60, min_size=15), 16),
            (Felzenszwalb(scale=30, min_size=1), 7),
            (Grid(7, 9), 16),
            (Grid(2, 1), 5),
            (Voronoi(50, seed=1), 32),
        ],
        ids=["slic", "felzenszwalb", "felzenszwalb-fine", "grid", "grid-coarse", "voronoi"],
    )
    def test_real_photos(self, picture, segmenter, size, dtype):
        labels = segmenter(picture).as_subclass(torch.Tensor)
        image = picture if dtype == torch.uint8 else picture / 255
        values, masks = masks_of(labels)
        tokens = tokenize(image, labels, size, max_segments=10_000)
        assert tokens[4].tolist() == [*values, 0]
        assert tokens[3].sum().item() == pytest.approx(1.0, abs=1e-5)
        check_tokens(image, masks, tokens, size, has_background=True)

    @settings(max_examples=40, deadline=None, derandomize=True)
    @given(
        height=st.integers(1, 40),
        width=st.integers(1, 40),
        segments=st.integers(0, 12),
        size=st.integers(1, 20),
        channels=st.sampled_from([1, 3]),
        dtype=st.sampled_from([torch.uint8, torch.float32, torch.float64]),
        background=st.booleans(),
        seed=st.integers(0, 1000),
    )
    def test_random_pictures(self, make_map, height, width, segments, size, channels, dtype, background, seed):
        labels = make_map(height, width, segments, seed=seed) if segments else torch.zeros(height, width).long()
        generator = torch.Generator().manual_seed(seed)
        image = torch.randint(0, 256, (channels, height, width), generator=generator)
        image = image.to(torch.uint8) if dtype == torch.uint8 else image.to(dtype) / 255
        # Scattered pixels too, and labels with gaps.
        scattered = torch.rand(labels.shape, generator=generator) < 0.1
        labels = torch.where(scattered, 77, labels * 5)
        _, masks = masks_of(labels, background=background)
        tokens = tokenize(image, labels, size, background=background)
        check_tokens(image, masks, tokens, size, has_background=background)

    @pytest.mark.parametrize("shape", [(1, 300), (300, 1), (7, 400), (513, 2)])
    def test_long_segments(self, shape):
        image = torch.randint(0, 256, (3, *shape), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
        labels = torch.ones(shape, dtype=torch.int64)
        check_tokens(image, labels[None] == 1, tokenize(image, labels, 16, background=False), 16, has_background=False)

    def test_half_precision(self, photo, make_map):
        labels = make_map(72, 96, 20)
        expected = tokenize(photo / 255, labels, 8)
        for dtype, bound in ((torch.float16, 1e-3), (torch.bfloat16, 8e-3)):
            tokens = tokenize((photo / 255).to(dtype), labels, 8)
            assert tokens[0].dtype == tokens[1].dtype == dtype
            assert (tokens[0].float() - expected[0]).abs().max() < bound
            assert (tokens[1].float() - expected[1]).abs().max() < bound

    def test_a_grid_of_cells_as_large_as_a_patch_is_cut_unchanged(self, load_photo):
        picture = load_photo("coffee", 48, 64)
        patches, alpha, *_ = tokenize(picture, Grid(3, 4)(picture).as_subclass(torch.Tensor), 16, background=False)
        cells = picture.unfold(1, 16, 16).unfold(2, 16, 16).permute(1, 2, 0, 3, 4).flatten(0, 1)
        assert torch.equal(patches, cells)
        assert (alpha == 255).all()


class TestProperties:
    @settings(max_examples=20, deadline=None, derandomize=True)
    @given(
        leading=st.sampled_from([(1,), (2,), (2, 3), (1, 1, 2), (0,), (3, 0)]),
        dtype=st.sampled_from([torch.uint8, torch.float32]),
        budget=st.sampled_from([1, 3, 196]),
        background=st.booleans(),
        seed=st.integers(0, 100),
    )
    def test_a_batch_equals_its_images(self, make_map, leading, dtype, budget, background, seed):
        count = torch.Size(leading).numel()
        # From no segment at all to several, with labels of their own.
        labels = [make_map(14, 18, 1 + 2 * i, seed=seed + i) * (i % 3) ** 20 for i in range(count)]
        labels = torch.stack(labels) if labels else torch.zeros(0, 14, 18, dtype=torch.int64)
        generator = torch.Generator().manual_seed(seed)
        images = torch.randint(0, 256, (count, 3, 14, 18), dtype=torch.uint8, generator=generator)
        images = images if dtype == torch.uint8 else images / 255
        options = {"max_segments": budget, "background": background}
        batch = tokenize(images.view(*leading, 3, 14, 18), labels.view(*leading, 14, 18), 6, **options)
        assert all(field.shape[: len(leading)] == leading for field in batch)
        fields = [field.flatten(0, len(leading) - 1) for field in batch]
        longest = 0
        for i in range(count):
            alone = tokenize(images[i], labels[i], 6, **options)
            tokens = len(alone[4])
            longest = max(longest, tokens)
            for name, field, expected in zip(NAMES, fields, alone, strict=True):
                torch.testing.assert_close(field[i, :tokens], expected, rtol=0, atol=1e-6, msg=name)
                # Behind an image's own tokens there is padding.
                assert (field[i, tokens:] == (-1 if name == "labels" else 0)).all(), name
        if count:
            assert batch[4].shape[-1] == longest

    def test_inputs_may_be_strided_and_are_left_alone(self, photo, make_map):
        labels = make_map(96, 72, 30)
        image = photo.transpose(1, 2)
        before = image.clone(), labels.clone()
        for size in (5, 16):
            left, right = tokenize(image, labels, size), tokenize(image.contiguous(), labels, size)
            assert all(torch.equal(a, b) for a, b in zip(left, right, strict=True))
        turned = tokenize(photo, labels.T, 16)
        assert all(torch.equal(a, b) for a, b in zip(turned, tokenize(photo, labels.T.contiguous(), 16), strict=True))
        masks = torch.arange(1, 5)[:, None, None] == labels.T
        kept = masks.clone()
        tokenize_masks(photo, masks, 8)
        assert torch.equal(masks, kept)
        assert torch.equal(image, before[0])
        assert torch.equal(labels, before[1])

    def test_outputs_share_no_memory(self, photo, make_map):
        patches, alpha, *_ = tokenize(photo, make_map(72, 96, 5), 8)
        expected = alpha.clone()
        patches.zero_()
        assert torch.equal(alpha, expected)
        assert patches.is_contiguous()
        assert alpha.is_contiguous()

    def test_the_second_call_equals_the_first(self, photo, make_map):
        labels = make_map(72, 96, 40)
        first = tokenize(photo, labels, 16)
        tokenize(photo / 255, labels, 16)
        tokenize(photo, labels, 9)
        assert all(torch.equal(a, b) for a, b in zip(first, tokenize(photo, labels, 16), strict=True))

    @pytest.mark.parametrize("dtype", [torch.uint8, torch.int16, torch.int32, torch.uint16])
    def test_integer_dtypes_of_labels(self, photo, make_map, dtype):
        labels = make_map(72, 96, 12)
        for left, right in zip(tokenize(photo, labels.to(dtype), 8), tokenize(photo, labels, 8), strict=True):
            assert torch.equal(left, right)

    def test_labels_as_large_as_they_get(self, photo, make_map):
        labels = make_map(72, 96, 12)
        values = torch.tensor([0, *(2**31 - 6 + i for i in range(10)), 2**40, 2**62])
        expected = tokenize(photo, labels, 8)
        got = tokenize(photo, values[labels], 8)
        assert got[4].tolist() == [*values[1:].tolist(), 0]
        assert all(torch.equal(a, b) for a, b in zip(got[:4], expected[:4], strict=True))

    def test_patches_are_premultiplied(self, photo, make_map):
        patches, alpha, *_ = tokenize(photo, make_map(72, 96, 30), 16)
        assert (patches <= alpha[:, None]).all()
        patches, alpha, *_ = tokenize(photo / 255, make_map(72, 96, 30), 16)
        assert (patches <= alpha[:, None] + 1e-6).all()
        assert alpha.max() == 1.0
        assert alpha.min() == 0.0


class TestBudget:
    @pytest.mark.parametrize("budget", [1, 2, 5, 11, 12, 13])
    def test_the_largest_stay_and_the_rest_joins_the_background(self, photo, make_map, budget):
        labels = make_map(72, 96, 12) * 10
        values, counts, _ = segment_table(labels)
        ranked = sorted(zip((-counts[1:]).tolist(), values.tolist(), strict=True))
        kept = sorted(value for _, value in ranked[:budget])
        tokens = tokenize(photo, labels, 8, max_segments=budget)
        assert tokens[4].tolist() == [*kept, 0]
        assert tokens[3].sum().item() == pytest.approx(1.0, abs=1e-6)
        merged = torch.where(torch.isin(labels, torch.tensor(kept)), labels, 0)
        check_tokens(photo, masks_of(merged)[1], tokens, 8, has_background=True)
        without = tokenize(photo, labels, 8, max_segments=budget, background=False)
        assert without[4].tolist() == kept
        for left, right in zip(without, tokens, strict=True):
            assert torch.equal(left, right[:-1])

    def test_equal_areas_the_earlier_label_stays(self):
        labels = torch.arange(1, 17).view(4, 4)
        tokens = tokenize(torch.rand(3, 4, 4), labels, 2, max_segments=5)
        assert tokens[4].tolist() == [1, 2, 3, 4, 5, 0]
        assert tokens[3][-1].item() == pytest.approx(11 / 16)

    def test_every_pixel_its_own_segment(self, load_photo):
        picture = load_photo("rocket", 20, 25)
        labels = torch.arange(1, 501).view(20, 25)
        patches, alpha, _, areas, values = tokenize(picture, labels, 4, max_segments=500)
        assert values.tolist() == [*range(1, 501), 0]
        assert torch.equal(patches[:-1, :, 2, 3], picture.flatten(1).T)
        assert (alpha[:-1] == 255).all()
        torch.testing.assert_close(areas[:-1], torch.full((500,), 1 / 500))
        assert areas[-1] == 0
        assert not patches[-1].any()
        assert not alpha[-1].any()
        default = tokenize(picture, labels, 4)
        assert default[4].tolist() == [*range(1, 197), 0]
        assert default[3].sum().item() == pytest.approx(1.0, abs=1e-5)


class TestFewSegments:
    def test_none(self, photo):
        labels = torch.zeros(72, 96, dtype=torch.int64)
        tokens = tokenize(photo, labels, 16)
        assert (tokens[4].tolist(), tokens[3].tolist(), tokens[2].tolist()) == ([0], [1.0], [[-1.0] * 4])
        check_tokens(photo, labels[None] == 0, tokens, 16, has_background=True)
        empty = tokenize(photo, labels, 16, background=False)
        assert [tuple(field.shape) for field in empty] == [(0, 3, 16, 16), (0, 16, 16), (0, 4), (0,), (0,)]

    @pytest.mark.parametrize("place", [(0, 0), (71, 95), (30, 40)])
    def test_one_pixel(self, photo, place):
        labels = torch.zeros(72, 96, dtype=torch.int64)
        labels[place] = 3
        patches, alpha, boxes, areas, values = tokenize(photo, labels, 16)
        assert values.tolist() == [3, 0]
        assert torch.equal(patches[0], photo[:, place[0], place[1], None, None].expand(3, 16, 16))
        assert (alpha[0] == 255).all()
        assert areas[0].item() == pytest.approx(1 / (72 * 96))
        assert (boxes[0] * torch.tensor([96, 72, 96, 72])).round().tolist() == [
            place[1], place[0], place[1] + 1, place[0] + 1,
        ]  # fmt: skip

    def test_a_row_and_a_column(self, photo):
        labels = torch.zeros(72, 96, dtype=torch.int64)
        labels[10], labels[20:, 95] = 1, 2
        check_tokens(photo, masks_of(labels)[1], tokenize(photo, labels, 16), 16, has_background=True)

    def test_the_whole_picture(self, photo):
        labels = torch.ones(72, 96, dtype=torch.int64)
        patches, alpha, boxes, areas, values = tokenize(photo, labels, 16)
        assert values.tolist() == [1, 0]
        assert boxes.tolist() == [[0.0, 0.0, 1.0, 1.0], [-1.0] * 4]
        assert areas.tolist() == [1.0, 0.0]
        # The background token is there, black.
        assert not patches[1].any()
        assert not alpha[1].any()

    def test_a_picture_of_one_pixel(self):
        tokens = tokenize(torch.tensor([[[9]]], dtype=torch.uint8), torch.tensor([[5]]), 3)
        assert tokens[0].tolist() == [[[[9] * 3] * 3], [[[0] * 3] * 3]]


class TestMasks:
    @settings(max_examples=30, deadline=None, derandomize=True)
    @given(
        count=st.integers(0, 6),
        height=st.integers(1, 20),
        width=st.integers(1, 20),
        share=st.sampled_from([0.0, 0.02, 0.5, 1.0]),
        dtype=st.sampled_from([torch.uint8, torch.float32]),
        background=st.booleans(),
        seed=st.integers(0, 100),
    )
    def test_overlaps_are_in_the_token_of_each(self, count, height, width, share, dtype, background, seed):
        generator = torch.Generator().manual_seed(seed)
        masks = torch.rand((count, height, width), generator=generator) < share
        image = torch.randint(0, 256, (3, height, width), dtype=torch.uint8, generator=generator)
        image = image if dtype == torch.uint8 else image / 255
        tokens = tokenize_masks(image, masks, 8, background=background)
        filled = masks.flatten(1).any(1)
        assert tokens[4].tolist() == [*(filled.nonzero().squeeze(1) + 1).tolist(), *[0] * background]
        shown = torch.cat([masks[filled], ~masks.any(0)[None]]) if background else masks[filled]
        check_tokens(image, shown, tokens, 8, has_background=background)

    def test_disjoint_masks_equal_the_map(self, photo, make_map):
        labels = make_map(72, 96, 15)
        masks = torch.stack([labels == i for i in range(1, 16)])
        assert torch.equal(SegmentMap.from_masks(masks).as_subclass(torch.Tensor), labels)
        for budget in (4, 196):
            left = tokenize_masks(photo, masks, 16, max_segments=budget)
            right = tokenize(photo, labels, 16, max_segments=budget)
            for name, a, b in zip(NAMES, left, right, strict=True):
                assert (a.double() - b.double()).abs().max() <= (1 if name in ("patches", "alpha") else 0), name

    def test_over_the_budget(self, photo):
        masks = torch.zeros(4, 72, 96, dtype=torch.bool)
        masks[0, :10], masks[1, :2], masks[2, 5:40], masks[3, 70:] = True, True, True, True
        tokens = tokenize_masks(photo, masks, 8, max_segments=2)
        assert tokens[4].tolist() == [1, 3, 0]
        shown = torch.stack([masks[0], masks[2], ~(masks[0] | masks[2])])
        check_tokens(photo, shown, tokens, 8, has_background=True)


def reference(image, masks, boxes, size, *, aspect, edges):
    """What tokens must be, in double precision, one by one by torchvision: (N, C + 1, size, size)."""
    tokens = []
    for i, (mask, (x1, y1, x2, y2)) in enumerate(zip(masks, boxes, strict=True)):
        shown = torch.ones_like(mask) if edges == "box" and i < len(masks) - 1 else mask
        cut = (torch.cat([image.double(), torch.ones_like(image[:1]).double()]) * shown)[:, y1:y2, x1:x2]
        if aspect == "keep":
            longer = max(x2 - x1, y2 - y1)
            left, top = (longer - (x2 - x1)) // 2, (longer - (y2 - y1)) // 2
            cut = v2.functional.pad(cut, [left, top, longer - (x2 - x1) - left, longer - (y2 - y1) - top])
        token = v2.functional.resize(cut, [size, size], antialias=True)
        if edges == "hard":
            coverage = token[-1:]
            bound = min(0.5, coverage.max().item())
            token = torch.where(coverage >= bound - 1e-9, token / coverage, 0.0) if bound > 0 else token
        tokens.append(token)
    return torch.stack(tokens)


OPTIONS = [(aspect, edges) for aspect in ("stretch", "keep") for edges in ("soft", "hard", "box")]


class TestOptions:
    @pytest.mark.parametrize(("aspect", "edges"), OPTIONS[1:])
    @settings(max_examples=25, deadline=None, derandomize=True)
    @given(
        height=st.integers(1, 40),
        width=st.integers(1, 40),
        segments=st.integers(1, 10),
        size=st.integers(1, 20),
        channels=st.sampled_from([1, 3]),
        from_masks=st.booleans(),
        seed=st.integers(0, 1000),
    )
    def test_against_torchvision(
        self, make_map, aspect, edges, height, width, segments, size, channels, from_masks, seed
    ):
        generator = torch.Generator().manual_seed(seed)
        labels = make_map(height, width, segments, seed=seed)
        labels = torch.where(torch.rand(labels.shape, generator=generator) < 0.1, segments + 1, labels)
        image = torch.rand(channels, height, width, generator=generator, dtype=torch.float64)
        _, masks = masks_of(labels)
        boxes = [*segment_table(labels)[2].tolist(), [0, 0, width, height]]
        options = {"aspect": aspect, "edges": edges}
        make, segments = (tokenize_masks, masks[:-1]) if from_masks else (tokenize, labels)
        patches, alpha, *rest = make(image, segments, size, **options)
        expected = reference(image, masks, boxes, size, **options)
        got = torch.cat([patches, alpha[:, None]], 1)
        # Where coverage is a half but for the last bits, hard edges may fall to either side.
        coverage = reference(image, masks, boxes, size, aspect=aspect, edges="soft")[:, -1:]
        is_unclear = ((coverage - 0.5).abs() < 1e-4) & (edges == "hard")
        assert (torch.where(is_unclear, 0.0, got - expected).abs() < 1e-4).all()
        # The place and the size of a segment do not depend on how it is shown.
        assert all(torch.equal(a, b) for a, b in zip(rest, make(image, segments, size)[2:], strict=True))
        as_bytes = tokenize((image * 255).round().to(torch.uint8), labels, size, **options)
        as_floats = tokenize((image * 255).round() / 255, labels, size, **options)
        differ = (as_bytes[0].double() - as_floats[0] * 255).abs().amax(1)
        assert (differ[(as_bytes[1].double() - as_floats[1] * 255).abs() <= 1] <= 1).all()

    @pytest.mark.parametrize("dtype", [torch.uint8, torch.float32])
    def test_real_photos_with_kept_proportions(self, picture, dtype):
        image = picture if dtype == torch.uint8 else picture / 255
        labels = Felzenszwalb(scale=60, min_size=15)(picture).as_subclass(torch.Tensor)
        _, masks = masks_of(labels)
        boxes = [*segment_table(labels)[2].tolist(), [0, 0, 132, 88]]
        patches, alpha, *_ = tokenize(image, labels, 16, max_segments=1000, aspect="keep")
        got = torch.cat([patches, alpha[:, None]], 1).double()
        for i, (mask, (x1, y1, x2, y2)) in enumerate(zip(masks, boxes, strict=True)):
            longer = max(x2 - x1, y2 - y1)
            left, top = (longer - (x2 - x1)) // 2, (longer - (y2 - y1)) // 2
            full = torch.full_like(image[:1], 255 if dtype == torch.uint8 else 1)
            cut = (torch.cat([image, full]) * mask)[:, y1:y2, x1:x2]
            cut = v2.functional.pad(cut, [left, top, longer - (x2 - x1) - left, longer - (y2 - y1) - top])
            expected = v2.functional.resize(cut, [16, 16], antialias=True).double()
            assert (got[i] - expected).abs().max() <= (1 if dtype == torch.uint8 else 1e-5), i

    @pytest.mark.parametrize("edges", ["soft", "hard", "box"])
    def test_a_square_box_is_cut_as_ever(self, load_photo, edges):
        picture = load_photo("coffee", 60, 60)
        # Discs in cells of 5 x 5, 10 x 10, ..., beside stripes, which must not change them.
        labels = torch.zeros(60, 60, dtype=torch.int64)
        start = 0
        for label, side in enumerate((5, 10, 15, 20), start=1):
            span = torch.linspace(-1, 1, side)
            disc = (span[:, None].square() + span.square() <= 1.02).long()
            labels[:side, start : start + side] = disc * label
            start += side
        labels[30:32], labels[40:, 7:9] = 8, 9
        stretched = tokenize(picture, labels, 12, edges=edges)
        kept = tokenize(picture, labels, 12, edges=edges, aspect="keep")
        for left, right in zip(kept[:2], stretched[:2], strict=True):
            # The canvas is a square too, so the background is among them.
            assert (left[[0, 1, 2, 3, 6]].int() - right[[0, 1, 2, 3, 6]].int()).abs().max() <= 1
        assert not torch.equal(kept[1][4:6], stretched[1][4:6])

    @pytest.mark.parametrize(("shape", "content"), [((4, 40), (2, 20)), ((40, 4), (20, 2)), ((8, 600), (0, 0))])
    def test_kept_proportions(self, shape, content):
        labels = torch.ones(shape, dtype=torch.int64)
        _, alpha, boxes, *_ = tokenize(torch.rand(3, *shape), labels, 20, background=False, aspect="keep")
        assert boxes.tolist() == [[0.0, 0.0, 1.0, 1.0]]
        assert tuple((alpha[0] > 0.5).any(1 - axis).sum().item() for axis in (0, 1)) == content
        # What is there is as much as of the padded picture, and in the middle.
        assert alpha.sum().item() == pytest.approx(400 * min(shape) / max(shape), rel=0.05)
        y, x = (alpha[0].sum(1 - axis) @ torch.arange(20.0) / alpha.sum() for axis in (0, 1))
        assert max(abs(y.item() - 9.5), abs(x.item() - 9.5)) < 0.5

    def test_hard_edges_are_full_or_nothing(self, photo, make_map):
        labels = make_map(72, 96, 30)
        patches, alpha, *_ = tokenize(photo, labels, 16, edges="hard")
        assert set(alpha.unique().tolist()) == {0, 255}
        assert not patches[(alpha == 0)[:, None].expand_as(patches)].any()
        soft = tokenize(photo, labels, 16)[1]
        assert torch.equal(alpha == 255, soft >= 128)
        # A segment of one colour has it everywhere.
        flat = tokenize(torch.full((3, 72, 96), 201, dtype=torch.uint8), labels, 16, edges="hard")
        assert set(flat[0].unique().tolist()) == {0, 201}
        half = tokenize((photo / 255).half(), labels, 16, edges="hard")
        assert set(half[1].unique().tolist()) == {0.0, 1.0}

    def test_a_segment_too_thin_for_half_coverage_does_not_vanish(self, photo):
        labels = torch.zeros(72, 96, dtype=torch.int64)
        index = torch.arange(72)
        labels[index, index], labels[5, 20:] = 1, 2
        for aspect in ("stretch", "keep"):
            soft = tokenize(photo, labels, 8, aspect=aspect)[1][:2]
            _, alpha, *_ = tokenize(photo, labels, 8, aspect=aspect, edges="hard")
            assert alpha[:2].flatten(1).any(1).all()
            assert soft[0].max() < 128
            # Where it has most.
            assert soft[0][alpha[0] > 0].min() >= soft[0].max() - 1

    def test_boxes_show_what_is_around_but_the_background_does_not(self, photo, make_map):
        labels = make_map(72, 96, 12)
        patches, alpha, *_ = tokenize(photo, labels, 8, edges="box")
        assert (alpha[:-1] == 255).all()
        soft = tokenize(photo, labels, 8)
        assert torch.equal(alpha[-1], soft[1][-1])
        assert torch.equal(patches[-1], soft[0][-1])
        # Nothing behind the last pixel of the picture comes in.
        white = tokenize(torch.full((3, 72, 96), 255, dtype=torch.uint8), labels, 8, edges="box")
        assert (white[0][:-1] == 255).all()

    @pytest.mark.parametrize(("aspect", "edges"), OPTIONS)
    def test_a_batch_equals_its_images(self, photo, make_map, aspect, edges):
        labels = torch.stack([make_map(72, 96, count) for count in (3, 12, 7)])
        images = torch.stack([photo, photo.flip(1), photo.flip(2)])
        options = {"max_segments": 8, "aspect": aspect, "edges": edges}
        batch = tokenize(images, labels, 8, **options)
        for i in range(3):
            alone = tokenize(images[i], labels[i], 8, **options)
            for name, field, expected in zip(NAMES, batch, alone, strict=True):
                difference = (field[i, : len(alone[4])].double() - expected.double()).abs().max()
                assert difference <= (1 if name == "patches" else 1e-6), name
                assert (field[i, len(alone[4]) :] == (-1 if name == "labels" else 0)).all(), name

    def test_defaults(self, photo, make_map):
        labels = make_map(72, 96, 12)
        for left, right in zip(
            tokenize(photo, labels, 8), tokenize(photo, labels, 8, aspect="stretch", edges="soft"), strict=True
        ):
            assert torch.equal(left, right)

    @pytest.mark.parametrize("make", [tokenize, tokenize_masks])
    def test_unknown(self, photo, make):
        segments = torch.ones(72, 96, dtype=torch.int64) if make is tokenize else torch.ones(1, 72, 96) > 0
        with pytest.raises(ValueError, match="aspect must be one of 'stretch', 'keep', got 'pad'"):
            make(photo, segments, 8, aspect="pad")
        with pytest.raises(ValueError, match="edges must be one of 'soft', 'hard', 'box', got None"):
            make(photo, segments, 8, edges=None)


class TestBadInput:
    image, labels = torch.zeros(3, 4, 5), torch.ones(4, 5, dtype=torch.int64)

    @pytest.mark.parametrize(
        ("image_shape", "labels_shape"),
        [
            ((3, 4, 5), (5, 4)),
            ((2, 3, 4, 5), (4, 5)),
            ((3, 4, 5), (1, 4, 5)),
            ((4, 5), (4, 5)),
            ((2, 3, 4, 5), (3, 4, 5)),
        ],
    )
    def test_shapes(self, image_shape, labels_shape):
        with pytest.raises(
            ValueError, match=r"image \(\.\.\., C, H, W\) and labels \(\.\.\., H, W\) must fit together"
        ):
            tokenize(torch.zeros(image_shape), torch.ones(labels_shape, dtype=torch.int64), 4)

    @pytest.mark.parametrize("shape", [(4, 5), (2, 5, 4), (1, 2, 4, 5)])
    def test_shapes_of_masks(self, shape):
        with pytest.raises(ValueError, match=r"image \(C, H, W\) and masks \(M, H, W\) must fit together"):
            tokenize_masks(self.image, torch.ones(shape, dtype=torch.bool), 4)

    @pytest.mark.parametrize("dtype", [torch.uint8, torch.float32])
    @pytest.mark.parametrize("channels", [0, 2, 4])
    def test_channels(self, channels, dtype):
        image = torch.zeros(channels, 4, 5, dtype=dtype)
        with pytest.raises(ValueError, match=r"image must .*1 or 3 channels, got"):
            tokenize(image, self.labels, 4)
        with pytest.raises(ValueError, match=r"image must .*1 or 3 channels, got"):
            tokenize_masks(image, self.labels[None] == 1, 4)

    @pytest.mark.parametrize("dtype", [torch.int16, torch.int64, torch.bool])
    def test_image_dtype(self, dtype):
        with pytest.raises(TypeError, match="image must be uint8 or float"):
            tokenize(self.image.to(dtype), self.labels, 4)
        with pytest.raises(TypeError, match="image must be uint8 or float"):
            tokenize_masks(self.image.to(dtype), self.labels[None] == 1, 4)

    @pytest.mark.parametrize("dtype", [torch.float32, torch.bool])
    def test_labels_dtype(self, dtype):
        with pytest.raises(TypeError, match="labels must be integers"):
            tokenize(self.image, self.labels.to(dtype), 4)

    def test_masks_dtype(self):
        with pytest.raises(TypeError, match="masks must be bool, got"):
            tokenize_masks(self.image, self.labels[None], 4)

    def test_negative_labels(self):
        with pytest.raises(ValueError, match="labels must be at least 0, got -1"):
            tokenize(self.image, -self.labels, 4)

    @pytest.mark.parametrize("value", [0, -1])
    def test_numbers(self, value):
        with pytest.raises(ValueError, match=f"size must be at least 1, got {value}"):
            tokenize(self.image, self.labels, value)
        with pytest.raises(ValueError, match=f"max_segments must be at least 1, got {value}"):
            tokenize(self.image, self.labels, 4, max_segments=value)


class TestCutSegments:
    def test_slots_in_any_order_twice_or_empty(self, photo, make_map):
        labels = make_map(72, 96, 6)
        values, _, boxes = segment_table(labels)
        slots = torch.tensor([5, -1, 2, 5])
        patches, alpha = cut_segments(photo, labels, slots, boxes[[4, 0, 1, 4]], 8)
        expected, coverage, *_ = tokenize(photo, labels, 8, background=False)
        assert torch.equal(patches[[0, 2, 3]], expected[[4, 1, 4]])
        assert torch.equal(alpha[[0, 2, 3]], coverage[[4, 1, 4]])
        assert not patches[1].any()
        assert not alpha[1].any()
        assert values.tolist() == [1, 2, 3, 4, 5, 6]

    def test_a_label_that_no_pixel_has(self, photo):
        labels = torch.ones(72, 96, dtype=torch.int64)
        box = torch.tensor([[0, 0, 96, 72]])
        for label in (0, 2, 2**31 + 1, 2**32 + 1):
            patches, alpha = cut_segments(photo, labels, torch.tensor([label]), box, 8)
            assert not patches.any(), label
            assert not alpha.any(), label
