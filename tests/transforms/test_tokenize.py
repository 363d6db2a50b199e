import json
import pickle

import PIL.Image
import pytest
import torch
from torchvision import tv_tensors
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional as F

from segaug import Grid, Segment, SegmentedImage, SegmentMap, SegmentTokens, Tokenize
from segaug.functional import paint_tokens, tokenize, tokenize_masks

FIELDS = ("patches", "alpha", "boxes", "areas", "labels")


def plain(tensor):
    return tensor.as_subclass(torch.Tensor)


def assert_fields(tokens, expected):
    assert type(tokens) is SegmentTokens
    for name, value in zip(FIELDS, expected, strict=True):
        assert torch.equal(plain(getattr(tokens, name)), value), name


@pytest.fixture
def labels(make_map):
    return make_map(72, 96, 12)


class TestSamples:
    def test_a_segmented_image(self, photo, labels):
        sample = SegmentedImage(photo, labels)
        assert_fields(Tokenize(8)(sample), tokenize(photo, labels, 8))
        assert_fields(Tokenize(8, max_segments=3)(sample), tokenize(photo, labels, 8, max_segments=3))
        assert_fields(Tokenize(8, background=False)(sample), tokenize(photo, labels, 8, background=False))
        assert torch.equal(plain(sample.image), photo)
        assert torch.equal(plain(sample.segments), labels)

    @pytest.mark.parametrize("options", [{"aspect": "keep"}, {"edges": "hard"}, {"aspect": "keep", "edges": "box"}])
    def test_options(self, photo, labels, options):
        tokens = Tokenize(8, **options)(SegmentedImage(photo, labels))
        assert_fields(tokens, tokenize(photo, labels, 8, **options))
        masks = torch.stack([labels == 3, labels > 3])
        tokens, _ = Tokenize(8, **options)(tv_tensors.Image(photo), tv_tensors.Mask(masks))
        assert_fields(tokens, tokenize_masks(photo, masks, 8, **options))
        assert not torch.equal(tokens.alpha, Tokenize(8)(tv_tensors.Image(photo), tv_tensors.Mask(masks))[0].alpha)

    @pytest.mark.parametrize("kind", [tv_tensors.Image, F.to_pil_image], ids=["image", "pil"])
    @pytest.mark.parametrize("map_kind", [SegmentMap, tv_tensors.Mask])
    def test_an_image_beside_its_map(self, photo, labels, kind, map_kind):
        segments = map_kind(labels)
        tokens, target = Tokenize(8)(kind(photo), {"masks": segments, "label": 4})
        assert_fields(tokens, tokenize(photo, labels, 8))
        assert target["masks"] is segments
        assert target["label"] == 4

    @pytest.mark.parametrize("dtype", [torch.bool, torch.uint8])
    @pytest.mark.parametrize("kind", [tv_tensors.Image, F.to_pil_image], ids=["image", "pil"])
    def test_an_image_beside_masks_that_overlap(self, photo, kind, dtype):
        masks = torch.zeros(4, 72, 96, dtype=torch.bool)
        masks[0, :50], masks[1, 30:], masks[3, :, 40:60] = True, True, True
        tokens, kept = Tokenize(8)(kind(photo), tv_tensors.Mask(masks.to(dtype)))
        assert tokens.labels.tolist() == [1, 2, 4, 0]
        assert_fields(tokens, tokenize_masks(photo, masks, 8))
        assert torch.equal(plain(kept), masks.to(dtype))
        assert_fields(
            Tokenize(8, max_segments=1)(kind(photo), tv_tensors.Mask(masks))[0],
            tokenize_masks(photo, masks, 8, max_segments=1),
        )

    def test_no_masks(self, photo):
        tokens, _ = Tokenize(8)(tv_tensors.Image(photo), tv_tensors.Mask(torch.zeros(0, 72, 96, dtype=torch.bool)))
        assert tokens.labels.tolist() == [0]
        assert tokens.areas.tolist() == [1.0]

    def test_several_segmented_images(self, photo, labels):
        pair = (SegmentedImage(photo, labels), SegmentedImage(photo[:1], labels * 2))
        left, right = Tokenize(8)(*pair)
        assert_fields(left, tokenize(photo, labels, 8))
        assert_fields(right, tokenize(photo[:1], labels * 2, 8))

    def test_after_transforms_that_rebuild_the_pair(self, photo, labels):
        sample = SegmentedImage(photo, labels)
        for transform in (v2.ToPILImage(), v2.ToPureTensor(), v2.Identity()):
            assert_fields(v2.Compose([transform, Tokenize(8)])(sample), tokenize(photo, labels, 8))

    @pytest.mark.parametrize("dtype", [torch.float16, torch.float32, torch.float64])
    def test_floats(self, photo, labels, dtype):
        image = v2.functional.to_dtype(photo, dtype, scale=True)
        tokens = Tokenize(8)(SegmentedImage(image, labels))
        assert tokens.patches.dtype == tokens.alpha.dtype == dtype
        assert_fields(tokens, tokenize(image, labels, 8))

    def test_pickles(self, photo, labels):
        transform = Tokenize(8, 5, background=False)
        sample = SegmentedImage(photo, labels)
        twin = pickle.loads(pickle.dumps(transform))
        assert_fields(twin(sample), [plain(getattr(transform(sample), name)) for name in FIELDS])

    @pytest.mark.gpu
    @pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
    def test_on_the_gpu_as_on_the_cpu(self, photo, labels):
        tokens = Tokenize(8)(SegmentedImage(photo, labels).to("cuda")).to("cpu")
        for name, expected in zip(FIELDS, tokenize(photo, labels, 8), strict=True):
            bound = 1 if name in ("patches", "alpha") else 1e-6
            assert (plain(getattr(tokens, name)).double() - expected.double()).abs().max() <= bound


class TestBadInput:
    @pytest.mark.parametrize(("name", "value"), [("size", 0), ("size", -4), ("max_segments", 0), ("max_segments", -1)])
    def test_numbers(self, name, value):
        with pytest.raises(ValueError, match=f"{name} must be at least 1, got {value}"):
            Tokenize(**{name: value})

    @pytest.mark.parametrize("name", ["size", "max_segments"])
    @pytest.mark.parametrize("value", [2.5, 16.0, True, None, "16", (16, 16)])
    def test_no_integers(self, name, value):
        with pytest.raises(TypeError, match=f"{name} must be an int, got"):
            Tokenize(**{name: value})

    def test_no_choice(self):
        with pytest.raises(ValueError, match="aspect must be one of 'stretch', 'keep', got 'Keep'"):
            Tokenize(aspect="Keep")
        with pytest.raises(ValueError, match="edges must be one of 'soft', 'hard', 'box', got 1"):
            Tokenize(edges=1)

    @pytest.mark.parametrize("value", [None, 1, "yes"])
    def test_no_flag(self, value):
        with pytest.raises(TypeError, match="background must be True or False, got"):
            Tokenize(background=value)

    @pytest.mark.parametrize(
        ("value", "came"),
        [
            (float("nan"), "NaN"),
            (1.5, r"values from 0 to 1.5; convert with v2.ToDtype\(..., scale=True\)"),
            (-0.25, "values from -0.25 to 0; put Normalize last"),
            (float("inf"), "values from 0 to inf"),
        ],
    )
    def test_floats_out_of_range(self, value, came):
        image, labels = torch.zeros(3, 4, 5), torch.ones(4, 5, dtype=torch.int64)
        image[1, 2, 3] = value
        for sample in (
            (SegmentedImage(image, labels),),
            (tv_tensors.Image(image), SegmentMap(labels)),
            (tv_tensors.Image(image), tv_tensors.Mask(labels[None] == 1)),
        ):
            with pytest.raises(ValueError, match=rf"image must hold floats in \[0, 1\], got {came}"):
                Tokenize(4)(*sample)

    def test_floats_to_255(self, photo, labels):
        with pytest.raises(ValueError, match=r"image must hold floats in \[0, 1\]"):
            Tokenize()(SegmentedImage(photo.float(), labels))

    @pytest.mark.parametrize(
        "sample",
        [
            (tv_tensors.Image(torch.zeros(3, 4, 5)),),
            (torch.zeros(3, 4, 5), SegmentMap(torch.ones(4, 5, dtype=torch.int64))),
            (tv_tensors.Image(torch.zeros(3, 4, 5)), *[SegmentMap(torch.ones(4, 5, dtype=torch.int64))] * 2),
            (*[tv_tensors.Image(torch.zeros(3, 4, 5))] * 2, SegmentMap(torch.ones(4, 5, dtype=torch.int64))),
            (5,),
            ({},),
        ],
        ids=["no map", "plain image", "two maps", "two images", "number", "nothing"],
    )
    def test_no_image_with_a_map(self, sample):
        with pytest.raises(
            (TypeError, ValueError), match=r"Tokenize takes SegmentedImage, .*exactly one image and one"
        ):
            Tokenize()(*sample)

    def test_tokens(self, make_tokens):
        with pytest.raises(TypeError, match="Tokenize takes SegmentedImage, got SegmentTokens"):
            Tokenize()(make_tokens(2))

    def test_sizes_that_differ(self, photo, labels):
        with pytest.raises(ValueError, match="same height and width"):
            Tokenize()(tv_tensors.Image(photo), SegmentMap(labels[:-1]))
        with pytest.raises(ValueError, match="must fit together"):
            Tokenize()(tv_tensors.Image(photo), tv_tensors.Mask(torch.ones(2, 4, 5, dtype=torch.bool)))

    @pytest.mark.parametrize("masks", [torch.ones(2, 72, 96), torch.full((2, 72, 96), 255, dtype=torch.uint8)])
    def test_masks_that_are_none(self, photo, masks):
        with pytest.raises(TypeError, match="masks must be bool"):
            Tokenize()(tv_tensors.Image(photo), tv_tensors.Mask(masks))

    @pytest.mark.parametrize("shape", [(1, 72, 96), (2, 72, 96), (1, 1, 72, 96)])
    def test_maps_are_never_taken_for_masks(self, photo, shape):
        with pytest.raises(ValueError, match=r"segments must have shape \(H, W\), got"):
            Tokenize()(tv_tensors.Image(photo), SegmentMap(torch.ones(shape, dtype=torch.int64)))

    def test_a_float_mask_for_a_map(self, photo, labels):
        with pytest.raises(TypeError, match="integer labels"):
            Tokenize()(tv_tensors.Image(photo), tv_tensors.Mask(labels.float()))

    @pytest.mark.parametrize("mode", ["RGBA", "P", "1"])
    def test_pil_modes(self, labels, mode):
        with pytest.raises(ValueError, match=f"image must be a PIL image of mode L or RGB, got mode {mode}"):
            Tokenize()(PIL.Image.new(mode, (96, 72)), SegmentMap(labels))
        with pytest.raises(ValueError, match=f"image must be a PIL image of mode L or RGB, got mode {mode}"):
            Tokenize()(PIL.Image.new(mode, (96, 72)), tv_tensors.Mask(labels[None] > 0))

    def test_a_transform_that_parted_the_pair(self, photo, labels):
        sample = SegmentedImage(photo, labels)
        crop = v2.Lambda(lambda image: image[..., :50], tv_tensors.Image)
        with pytest.raises(ValueError, match="same height and width"):
            v2.Compose([crop, Tokenize(8)])(sample)
        with pytest.raises(TypeError, match="image must be uint8 or float"):
            v2.Compose([v2.ToDtype(torch.int16), Tokenize(8)])(sample)


@pytest.mark.shared_data
def test_photos_with_ground_truth(shared_data):
    """All COCO photos load, have the areas of the json, tokenise, and come back nearly."""
    root = shared_data("instances") / "instances"
    ratios = []
    for split in ("train", "val"):
        records = json.loads((root / f"panoptic_{split}.json").read_text())["annotations"]
        for record in records:
            segments = SegmentMap.from_coco_panoptic(root / "panoptic" / split / record["file_name"])
            areas = {info["id"]: info["area"] for info in record["segments_info"]}
            photo_path = root / "images" / split / record["file_name"].replace(".png", ".jpg")
            with PIL.Image.open(photo_path) as picture:
                image = F.pil_to_tensor(picture.convert("RGB"))
            tokens = Tokenize(32)(SegmentedImage(image, segments))
            assert tokens.labels.tolist() == [*sorted(areas), 0]
            pixels = (tokens.areas.double() * segments.numel()).round().long().tolist()
            assert pixels[:-1] == [areas[label] for label in sorted(areas)]
            assert sum(pixels) == segments.numel()
            # At half the size, which is four times as fast.
            small = F.resize(image, [image.shape[-2] // 2, image.shape[-1] // 2], antialias=True)
            canvas = paint_tokens(tokens.patches, tokens.alpha, tokens.boxes, tokens.labels, small.shape[-2:])
            error = (plain(canvas).double() - small.double()).square().mean()
            ratios.append(10 * torch.log10(255**2 / error).item())
    assert len(ratios) == 53
    # Measured: 16.5 dB for the busiest photo, 23.1 on average.
    assert min(ratios) > 16.0
    assert sum(ratios) / len(ratios) > 22.5


def test_cells_as_large_as_a_patch_come_back_exactly(photo):
    tokens = Tokenize(24)(Segment(Grid(3, 4))(photo))
    assert torch.equal(plain(paint_tokens(tokens.patches, tokens.alpha, tokens.boxes, tokens.labels, (72, 96))), photo)
