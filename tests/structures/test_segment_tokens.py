import copy
import dataclasses
import pickle

import numpy as np
import pytest
import torch
from torch.utils import _pytree as pytree
from torchvision import tv_tensors
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional as F

from segaug import SegmentTokens

FIELDS = ("patches", "alpha", "boxes", "areas", "labels")


def plain(tensor):
    return tensor.as_subclass(torch.Tensor)


def assert_same(left, right, message=None):
    for name in FIELDS:
        a, b = getattr(left, name), getattr(right, name)
        assert type(a) is type(b), (name, type(a), message)
        assert a.dtype == b.dtype, (name, message)
        assert torch.equal(plain(a), plain(b)), (name, message)


@pytest.fixture
def tokens(make_tokens):
    return make_tokens(5)


@pytest.fixture
def batch(make_tokens):
    return make_tokens(5, batch=(3,), padding=2)


class TestConstruction:
    def test_types(self, tokens):
        assert isinstance(tokens.patches, tv_tensors.Image)
        assert isinstance(tokens.alpha, tv_tensors.Mask)
        assert type(tokens.areas) is type(tokens.labels) is torch.Tensor

    @pytest.mark.parametrize("dtype", [torch.uint8, torch.float16, torch.bfloat16, torch.float32, torch.float64])
    @pytest.mark.parametrize("channels", [1, 3])
    @pytest.mark.parametrize("shape", [(), (2,), (2, 3)])
    def test_shapes_and_dtypes(self, make_tokens, shape, channels, dtype):
        made = make_tokens(2, batch=shape, channels=channels, dtype=dtype, padding=1)
        assert made.patches.shape == (*shape, 4, channels, 6, 6)
        assert made.num_tokens == 4
        assert made.positions.shape == (*shape, 4, 5)
        assert type(made.positions) is torch.Tensor
        assert made.is_background.view(-1, 4)[0].tolist() == [False, False, True, False]
        assert made.is_padding.view(-1, 4)[-1].tolist() == [False, False, False, True]
        assert repr(made) == (
            f"SegmentTokens(num_tokens=4, batch={shape}, patch=({channels}, 6, 6), dtype={dtype}, device=cpu)"
        )

    def test_no_tokens(self, make_tokens):
        none = make_tokens(0, background=False)
        assert none.num_tokens == 0
        assert none.positions.shape == (0, 5)
        assert repr(none)

    def test_positions(self, batch):
        assert torch.equal(batch.positions[..., :4], plain(batch.boxes))
        assert torch.equal(batch.positions[..., 4], batch.areas)

    def test_frozen(self, tokens):
        with pytest.raises(dataclasses.FrozenInstanceError):
            tokens.labels = tokens.labels + 1

    @pytest.mark.parametrize("name", FIELDS)
    @pytest.mark.parametrize("value", [None, 5, np.zeros(3)])
    def test_no_tensor(self, tokens, name, value):
        with pytest.raises(TypeError, match=f"{name} must be a tensor, got"):
            dataclasses.replace(tokens, **{name: value})

    @pytest.mark.parametrize("name", FIELDS)
    def test_one_token_too_many(self, tokens, name):
        longer = torch.cat([plain(getattr(tokens, name))] * 2)
        # A wrong patches shows at the first field that does not fit it.
        with pytest.raises(ValueError, match=f"{'alpha' if name == 'patches' else name} must have shape"):
            dataclasses.replace(tokens, **{name: longer})

    @pytest.mark.parametrize("channels", [2, 4])
    def test_other_channels(self, tokens, channels):
        with pytest.raises(ValueError, match=r"patches must have shape .* with 1 or 3 channels, got"):
            dataclasses.replace(tokens, patches=torch.zeros(6, channels, 6, 6, dtype=torch.uint8))

    def test_too_few_dimensions(self):
        with pytest.raises(ValueError, match="patches must have shape"):
            SegmentTokens(torch.zeros(3, 4, 4), torch.zeros(4, 4), torch.zeros(4), torch.zeros(()), torch.tensor(1))

    @pytest.mark.parametrize(
        ("name", "dtype", "message"),
        [
            ("patches", torch.int64, "patches must be uint8 or float, got"),
            ("patches", torch.bool, "patches must be uint8 or float, got"),
            ("patches", torch.float32, r"alpha must have the dtype of patches \(torch.float32\), got"),
            ("alpha", torch.float32, r"alpha must have the dtype of patches \(torch.uint8\), got"),
            ("boxes", torch.int64, "boxes must be float32, got"),
            ("boxes", torch.float64, "boxes must be float32, got"),
            ("areas", torch.float16, "areas must be float32, got"),
            ("areas", torch.int64, "areas must be float32, got"),
            ("labels", torch.int32, "labels must be int64, got"),
            ("labels", torch.float32, "labels must be int64, got"),
        ],
    )
    def test_other_dtype(self, tokens, name, dtype, message):
        with pytest.raises(TypeError, match=message):
            dataclasses.replace(tokens, **{name: plain(getattr(tokens, name)).to(dtype)})


class TestIndexing:
    @pytest.mark.parametrize(
        "index",
        [
            slice(1, 4),
            slice(None, None, 2),
            slice(3, 3),
            [4, 0],
            [],
            torch.tensor([2, 2, 5]),
            np.array([1, 3]),
            torch.tensor([True, False, True, False, False, True]),
            np.array([True] * 3 + [False] * 3),
            [True] * 6,
            (Ellipsis, slice(1, 3)),
            (slice(None), Ellipsis),
            Ellipsis,
            None,
            (None, slice(0, 2)),
        ],
        ids=repr,
    )
    def test_one_image(self, tokens, index):
        part = tokens[index]
        rows = torch.arange(6)[index].flatten()
        for name in FIELDS:
            expected = plain(getattr(tokens, name))[rows]
            assert type(getattr(part, name)) is type(getattr(tokens, name))
            assert torch.equal(plain(getattr(part, name)).view(expected.shape), expected)
        SegmentTokens(*(getattr(part, name) for name in FIELDS))

    @pytest.mark.parametrize(
        ("index", "image_rows"),
        [
            (1, [1]),
            (-1, [2]),
            (slice(1, 3), [1, 2]),
            ([2, 0], [2, 0]),
            (torch.tensor([True, False, True]), [0, 2]),
            ((1, slice(None)), [1]),
            ((1, Ellipsis), [1]),
            (torch.tensor(1), [1]),
            (np.int64(2), [2]),
        ],
        ids=repr,
    )
    def test_images_of_a_batch(self, batch, index, image_rows):
        part = batch[index]
        assert part.labels.shape[-1] == 8
        for name in FIELDS:
            expected = plain(getattr(batch, name))[image_rows]
            assert torch.equal(plain(getattr(part, name)).view(expected.shape), expected)

    def test_tokens_of_a_batch(self, batch):
        for part in (batch[:, 1:3], batch[..., 1:3], batch[:, [1, 2]]):
            assert part.patches.shape == (3, 2, 3, 6, 6)
            assert torch.equal(plain(part.boxes), plain(batch.boxes)[:, 1:3])
        assert batch[2, 1:3].labels.tolist() == batch.labels[2, 1:3].tolist()
        assert batch[~batch.is_padding].labels.shape == (18,)

    def test_an_ellipsis_never_reaches_the_pixels(self, make_tokens):
        # As many tokens taken as a patch has columns: the shapes alone would not show it.
        many = make_tokens(20, size=6)
        part = many[..., :6]
        assert part.patches.shape == (6, 3, 6, 6)
        assert_same(part, many[:6])

    @pytest.mark.parametrize(
        ("shape", "index"),
        [
            ((), 0),
            ((), -1),
            ((), torch.tensor(0)),
            ((), np.int64(0)),
            ((), (Ellipsis, 0)),
            ((3,), (0, 0)),
            ((3,), (slice(None), 0)),
            ((3,), (Ellipsis, 0)),
            ((3,), (slice(None), torch.tensor(1))),
            ((2, 3), (0, slice(None), 1)),
        ],
        ids=repr,
    )
    def test_the_token_dimension_stays(self, make_tokens, shape, index):
        with pytest.raises(IndexError, match=r"must leave the token dimension: for one token use tokens\[i : i \+ 1\]"):
            make_tokens(5, batch=shape)[index]

    @pytest.mark.parametrize(
        ("shape", "index"),
        [((), (slice(0, 2), slice(0, 1))), ((3,), (0, slice(0, 2), slice(0, 1))), ((), (Ellipsis, slice(0, 2), 0))],
        ids=repr,
    )
    def test_no_index_reaches_further(self, make_tokens, shape, index):
        with pytest.raises(IndexError, match="may only reach the leading dimensions"):
            make_tokens(5, batch=shape)[index]

    @pytest.mark.parametrize("index", [3, -4, [5], (0, [9]), torch.tensor([True, False])])
    def test_out_of_range(self, batch, index):
        with pytest.raises(IndexError):
            batch[index]

    def test_iteration(self, make_tokens, batch):
        images = list(batch)
        assert len(images) == 3
        for i, image in enumerate(images):
            assert_same(image, batch[i])
        with pytest.raises(TypeError, match="no sequence of images"):
            list(make_tokens(5))


class TestCopies:
    def test_equal_and_typed(self, batch):
        for twin in (
            pickle.loads(pickle.dumps(batch)),
            copy.deepcopy(batch),
            copy.copy(batch),
            batch.to("cpu"),
            pytree.tree_map(torch.clone, batch),
            pytree.tree_map(lambda leaf: leaf + 0, batch),
            v2.ToPureTensor()(batch),
            v2.Identity()(batch),
        ):
            assert_same(twin, batch)

    def test_a_deep_copy_shares_nothing(self, batch):
        twin = copy.deepcopy(batch)
        for name in FIELDS:
            assert getattr(twin, name).data_ptr() != getattr(batch, name).data_ptr()

    def test_other_leaves_pass(self, batch):
        shapes = pytree.tree_map(lambda leaf: tuple(leaf.shape), batch)
        assert shapes.patches == (3, 8, 3, 6, 6)
        assert "SegmentTokens" in repr(shapes)

    def test_to_another_device(self, batch):
        moved = batch.to("meta")
        assert moved.device.type == "meta"
        assert [type(getattr(moved, name)) for name in FIELDS] == [type(getattr(batch, name)) for name in FIELDS]

    @pytest.mark.gpu
    @pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
    def test_pinned_and_on_the_gpu(self, batch):
        pinned = batch.pin_memory()
        assert all(getattr(pinned, name).is_pinned() for name in FIELDS)
        assert_same(pinned, batch)
        moved = pinned.to("cuda", non_blocking=True)
        assert moved.device.type == "cuda"
        assert_same(moved.to("cpu"), batch)


class TestFlips:
    @pytest.mark.parametrize("shape", [(), (3,), (2, 3)])
    @pytest.mark.parametrize(("kind", "axis"), [(v2.RandomHorizontalFlip, 0), (v2.RandomVerticalFlip, 1)])
    def test_mirror_patches_and_places(self, make_tokens, kind, axis, shape):
        tokens = make_tokens(4, batch=shape, padding=2)
        before = copy.deepcopy(tokens)
        flipped = kind(1.0)(tokens)
        assert_same(tokens, before)
        dim = -1 - axis
        assert torch.equal(plain(flipped.patches), plain(tokens.patches).flip(dim))
        assert torch.equal(plain(flipped.alpha), plain(tokens.alpha).flip(dim))
        assert torch.equal(flipped.areas, tokens.areas)
        assert torch.equal(flipped.labels, tokens.labels)
        place = tokens.labels > 0
        boxes, mirrored = plain(tokens.boxes), plain(flipped.boxes)
        assert torch.equal(mirrored[~place], boxes[~place])
        assert torch.equal(mirrored[place][:, axis], 1 - boxes[place][:, axis + 2])
        assert torch.equal(mirrored[place][:, axis + 2], 1 - boxes[place][:, axis])
        assert torch.equal(mirrored[..., [1 - axis, 3 - axis]], boxes[..., [1 - axis, 3 - axis]])
        torch.testing.assert_close(plain(kind(1.0)(flipped).boxes), boxes, rtol=0, atol=1e-6)
        assert [type(getattr(flipped, name)) for name in FIELDS] == [type(getattr(tokens, name)) for name in FIELDS]

    def test_as_flipping_the_picture(self, photo, make_map):
        from segaug import SegmentedImage, Tokenize

        sample = SegmentedImage(photo, make_map(72, 96, 9))
        for flip in (v2.RandomHorizontalFlip(1.0), v2.RandomVerticalFlip(1.0)):
            before, after = Tokenize()(flip(sample)), flip(Tokenize()(sample))
            assert torch.equal(before.labels, after.labels)
            torch.testing.assert_close(plain(before.boxes), plain(after.boxes), rtol=0, atol=1e-6)
            torch.testing.assert_close(before.areas, after.areas)
            difference = (plain(before.patches).int() - plain(after.patches).int()).abs()
            assert difference.max() <= 1

    def test_never(self, batch):
        assert_same(v2.RandomHorizontalFlip(0.0)(batch), batch)


class TestDtypeAndNormalize:
    @pytest.mark.parametrize("dtype", [torch.float16, torch.float32, torch.float64])
    def test_patches_and_alpha_go_together(self, batch, dtype):
        out = v2.ToDtype(dtype, scale=True)(batch)
        for name in ("patches", "alpha"):
            expected = F.to_dtype_image(plain(getattr(batch, name)), dtype, scale=True)
            assert torch.equal(plain(getattr(out, name)), expected)
            assert type(getattr(out, name)) is type(getattr(batch, name))
        for name in ("boxes", "areas", "labels"):
            assert torch.equal(plain(getattr(out, name)), plain(getattr(batch, name)))
            assert getattr(out, name).dtype == getattr(batch, name).dtype
        assert_same(v2.ToDtype(torch.uint8, scale=True)(v2.ToDtype(torch.float32, scale=True)(batch)), batch)

    @pytest.mark.filterwarnings("ignore:scale was set to True but no dtype was specified for images")
    @pytest.mark.parametrize(
        "dtype",
        [
            {"others": torch.float32},
            {tv_tensors.Mask: torch.float32, "others": torch.float32},
            {tv_tensors.Mask: torch.int64, "others": None},
        ],
    )
    def test_alpha_keeps_the_range_of_patches_whatever_is_asked_of_masks(self, batch, dtype):
        out = v2.ToDtype(dtype, scale=True)(batch)
        SegmentTokens(*(getattr(out, name) for name in FIELDS))
        full = 255 if out.patches.dtype == torch.uint8 else 1.0
        assert 0 < out.alpha.max() <= full
        assert out.alpha.dtype == out.patches.dtype
        assert out.boxes.dtype == torch.float32

    @pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
    def test_a_change_of_range_is_refused(self, batch, make_tokens, dtype):
        with pytest.raises(ValueError, match="scale must be True to convert SegmentTokens between uint8 and float"):
            v2.ToDtype(dtype)(batch)
        with pytest.raises(ValueError, match="scale must be True"):
            v2.ToDtype(torch.uint8)(make_tokens(2, dtype=dtype))

    def test_between_floats_no_scale_is_needed(self, make_tokens):
        out = v2.ToDtype(torch.float64)(make_tokens(2, dtype=torch.float32))
        assert out.patches.dtype == out.alpha.dtype == torch.float64

    def test_normalize(self, make_tokens):
        tokens = make_tokens(3, batch=(2,), dtype=torch.float32)
        mean, std = [0.1, 0.2, 0.3], [0.5, 0.6, 0.7]
        out = v2.Normalize(mean, std)(tokens)
        expected = (plain(tokens.patches) - torch.tensor(mean).view(3, 1, 1)) / torch.tensor(std).view(3, 1, 1)
        torch.testing.assert_close(plain(out.patches), expected)
        assert torch.equal(plain(out.alpha), plain(tokens.alpha))
        assert type(out.patches) is type(tokens.patches)

    def test_in_a_compose_with_a_target(self, tokens):
        transform = v2.Compose([v2.RandomHorizontalFlip(1.0), v2.ToDtype(torch.float32, scale=True)])
        out, target = transform(tokens, torch.tensor(3))
        assert (out.patches.dtype, target.item()) == (torch.float32, 3)


class TestRefused:
    @pytest.mark.parametrize(
        "transform",
        [
            v2.Resize(8),
            v2.RandomResize(4, 8),
            v2.RandomShortestSize([8]),
            v2.ScaleJitter((8, 8)),
            v2.CenterCrop(4),
            v2.RandomCrop(4),
            v2.RandomResizedCrop(4),
            v2.Pad(2),
            v2.RandomZoomOut(p=1.0),
            v2.RandomRotation(10),
            v2.RandomAffine(10),
            v2.RandomPerspective(p=1.0),
            v2.ElasticTransform(sigma=0.3),
            v2.ColorJitter(0.5),
            v2.ColorJitter(contrast=0.5),
            v2.ColorJitter(saturation=0.5),
            v2.ColorJitter(hue=0.2),
            v2.RandomPhotometricDistort(p=1.0),
            v2.RandomChannelPermutation(),
            v2.Grayscale(),
            v2.RandomGrayscale(1.0),
            v2.RGB(),
            v2.GaussianBlur(3),
            v2.GaussianNoise(),
            v2.JPEG(50),
            v2.RandomErasing(1.0),
            v2.RandomInvert(1.0),
            v2.RandomPosterize(3, p=1.0),
            v2.RandomSolarize(0.5, p=1.0),
            v2.RandomAutocontrast(1.0),
            v2.RandomEqualize(1.0),
            v2.RandomAdjustSharpness(2.0, p=1.0),
        ],
        ids=lambda transform: type(transform).__name__,
    )
    @pytest.mark.parametrize("dtype", [torch.uint8, torch.float32])
    @pytest.mark.parametrize("shape", [(), (2,)])
    def test_transforms_of_a_whole_image(self, make_tokens, transform, dtype, shape):
        torch.manual_seed(0)
        with pytest.raises(TypeError, match=r"on SegmentTokens .*: put it before Tokenize, or wrap .*PerSegment"):
            transform(make_tokens(3, batch=shape, dtype=dtype))

    @pytest.mark.parametrize(
        "transform",
        [v2.FiveCrop(2), v2.TenCrop(2), v2.RandAugment(), v2.TrivialAugmentWide(), v2.AutoAugment(), v2.AugMix()],
        ids=lambda transform: type(transform).__name__,
    )
    def test_what_torchvision_refuses_for_masks(self, tokens, transform):
        with pytest.raises(TypeError, match="not supported"):
            transform(tokens)

    @pytest.mark.parametrize("kind", [v2.MixUp, v2.CutMix])
    def test_mixing(self, batch, kind):
        with pytest.raises(ValueError, match="does not support"):
            kind(num_classes=3)(batch, torch.tensor([0, 1, 2]))


def test_unscaled_floats_are_refused(make_tokens):
    tokens = make_tokens()
    with pytest.raises(ValueError, match=r"scale=True"):
        v2.Lambda(lambda patches: patches.float() + 1, tv_tensors.Image)(tokens)
