import copy
import dataclasses
import pickle

import numpy as np
import PIL.Image
import pytest
import torch
from torch.utils import _pytree as pytree
from torchvision import tv_tensors
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional as F

from segaug import SegmentedImage, SegmentMap

NEAREST = v2.InterpolationMode.NEAREST
GEOMETRY = {
    "resized_crop": v2.RandomResizedCrop((40, 50), interpolation=NEAREST),
    "rotation": v2.RandomRotation(90, interpolation=NEAREST, fill=127),
    "affine": v2.RandomAffine(40, (0.3, 0.3), (0.5, 1.5), 20, interpolation=NEAREST, fill=127),
    "perspective": v2.RandomPerspective(0.7, p=1.0, interpolation=NEAREST, fill=127),
    "elastic": v2.ElasticTransform(300.0, interpolation=NEAREST, fill=127),
    "resize": v2.Resize((90, 61), interpolation=NEAREST),
    "crop": v2.RandomCrop((50, 60), padding=20, fill=127),
    "horizontal_flip": v2.RandomHorizontalFlip(1.0),
}


def plain(tensor):
    return tensor.as_subclass(torch.Tensor)


@pytest.fixture
def sample(photo, make_map):
    return SegmentedImage(photo, make_map(72, 96, 20))


class TestConstruction:
    def test_types(self, sample, photo):
        assert type(sample.image) is tv_tensors.Image
        assert type(sample.segments) is SegmentMap
        assert torch.equal(plain(sample.image), photo)

    @pytest.mark.parametrize("dtype", [torch.uint8, torch.float16, torch.bfloat16, torch.float32, torch.float64])
    @pytest.mark.parametrize("channels", [1, 3])
    def test_images(self, channels, dtype):
        image = torch.ones(channels, 4, 5).to(dtype)
        made = SegmentedImage(image, torch.ones(4, 5, dtype=torch.uint8))
        assert made.image.dtype == dtype
        assert made.segments.dtype == torch.int64

    def test_pil_and_numpy_labels(self):
        labels = np.ones((4, 5), np.uint16)
        assert SegmentedImage(PIL.Image.new("RGB", (5, 4)), labels).image.shape == (3, 4, 5)
        assert SegmentedImage(PIL.Image.new("L", (5, 4)), labels).image.shape == (1, 4, 5)

    def test_strided_image(self, photo):
        turned = photo.transpose(1, 2)
        made = SegmentedImage(turned, torch.ones(96, 72, dtype=torch.int64))
        assert torch.equal(plain(made.image), turned)

    def test_frozen(self, sample):
        with pytest.raises(dataclasses.FrozenInstanceError):
            sample.image = sample.image + 1

    @pytest.mark.parametrize("channels", [0, 2, 4])
    def test_other_channels(self, channels):
        with pytest.raises(ValueError, match=r"image must have shape \(C, H, W\) with 1 or 3 channels, got"):
            SegmentedImage(torch.zeros(channels, 4, 5), torch.ones(4, 5, dtype=torch.int64))

    @pytest.mark.parametrize("shape", [(4, 5), (1, 3, 4, 5)])
    def test_other_rank_of_image(self, shape):
        with pytest.raises(ValueError, match="image must have shape"):
            SegmentedImage(torch.zeros(shape), torch.ones(4, 5, dtype=torch.int64))

    @pytest.mark.parametrize("mode", ["RGBA", "P", "1", "CMYK", "I;16"])
    def test_other_pil_modes(self, mode):
        with pytest.raises(ValueError, match=rf"image must be a PIL image of mode L or RGB, got mode {mode}.*convert"):
            SegmentedImage(PIL.Image.new(mode, (5, 4)), torch.ones(4, 5, dtype=torch.int64))

    @pytest.mark.parametrize("dtype", [torch.int8, torch.int32, torch.int64, torch.bool, torch.complex64])
    def test_other_dtype(self, dtype):
        with pytest.raises(TypeError, match="image must be uint8 or float"):
            SegmentedImage(torch.zeros(3, 4, 5, dtype=dtype), torch.ones(4, 5, dtype=torch.int64))

    @pytest.mark.parametrize("image", [np.zeros((4, 5, 3), np.uint8), "photo.jpg", None])
    def test_no_image(self, image):
        with pytest.raises(TypeError, match="image must be a tensor or a PIL image, got"):
            SegmentedImage(image, torch.ones(4, 5, dtype=torch.int64))

    def test_other_size(self):
        with pytest.raises(ValueError, match=r"same height and width, got \(4, 5\) and \(5, 4\)"):
            SegmentedImage(torch.zeros(3, 4, 5), torch.ones(5, 4, dtype=torch.int64))

    @pytest.mark.parametrize("shape", [(1, 4, 5), (2, 4, 5)])
    def test_several_maps(self, shape):
        with pytest.raises(ValueError, match=r"segments must have shape \(H, W\), got"):
            SegmentedImage(torch.zeros(3, 4, 5), torch.ones(shape, dtype=torch.int64))

    @pytest.mark.parametrize("labels", [torch.ones(4, 5), torch.ones(4, 5, dtype=torch.bool)])
    def test_no_labels(self, labels):
        with pytest.raises(TypeError, match="integer labels"):
            SegmentedImage(torch.zeros(3, 4, 5), labels)


class TestPytree:
    def test_leaves(self, sample):
        leaves, spec = pytree.tree_flatten({"x": (sample, 5)})
        assert [type(leaf) for leaf in leaves] == [tv_tensors.Image, SegmentMap, int]
        again = pytree.tree_unflatten(leaves, spec)["x"][0]
        assert again.image is sample.image
        assert again.segments is sample.segments

    def test_copies(self, sample):
        for twin in (
            pickle.loads(pickle.dumps(sample)),
            copy.deepcopy(sample),
            sample.to("cpu"),
            pytree.tree_map(lambda leaf: leaf + 0, sample),
            v2.ToPureTensor()(sample),
        ):
            assert type(twin) is SegmentedImage
            assert (type(twin.image), type(twin.segments)) == (tv_tensors.Image, SegmentMap)
            assert torch.equal(plain(twin.image), plain(sample.image))
            assert torch.equal(plain(twin.segments), plain(sample.segments))

    def test_geometry_after_to_pure_tensor_still_reaches_both(self, sample):
        flipped = v2.Compose([v2.ToPureTensor(), v2.RandomHorizontalFlip(1.0)])(sample)
        assert torch.equal(plain(flipped.image), plain(sample.image).flip(-1))
        assert torch.equal(plain(flipped.segments), plain(sample.segments).flip(-1))

    def test_other_leaves_pass(self, sample):
        shapes = pytree.tree_map(lambda leaf: tuple(leaf.shape), sample)
        assert (shapes.image, shapes.segments) == ((3, 72, 96), (72, 96))


class TestTorchvision:
    @pytest.mark.parametrize("top", [0, 2**31])
    @pytest.mark.parametrize("name", GEOMETRY)
    def test_image_and_map_stay_aligned(self, name, top, make_map):
        # A picture of its own map: afterwards it must still be one.
        labels = make_map(72, 96, 40, background=False)
        torch.manual_seed(3)
        out = GEOMETRY[name](SegmentedImage(labels[None].to(torch.uint8), labels + top))
        shown = plain(out.image)[0].long()
        assert torch.equal(torch.where(shown == 127, 0, shown + top), plain(out.segments))
        assert len(out.segments.unique()) > 5

    def test_smooth_interpolation_keeps_the_map_whole(self, sample):
        torch.manual_seed(0)
        for transform in (
            v2.RandomResizedCrop(33, antialias=True),
            v2.RandomRotation(45, v2.InterpolationMode.BILINEAR),
        ):
            out = transform(sample)
            assert set(out.segments.unique().tolist()) <= set(sample.segments.unique().tolist()) | {0}

    def test_colour_changes_the_image_alone(self, sample):
        torch.manual_seed(0)
        out = v2.ColorJitter(0.5, 0.5, 0.5, 0.2)(sample)
        assert not torch.equal(plain(out.image), plain(sample.image))
        assert torch.equal(plain(out.segments), plain(sample.segments))

    def test_dtype(self, sample):
        out = v2.ToDtype(torch.float32, scale=True)(sample)
        assert torch.equal(plain(out.image), F.to_dtype_image(plain(sample.image), torch.float32, scale=True))
        assert out.segments.dtype == torch.int64

    def test_in_a_compose_with_a_target(self, sample):
        transform = v2.Compose(
            [v2.RandomHorizontalFlip(1.0), v2.Resize((10, 12)), v2.ToDtype(torch.float32, scale=True)]
        )
        out, target = transform(sample, 7)
        assert (type(out), out.image.shape, out.segments.shape, target) == (SegmentedImage, (3, 10, 12), (10, 12), 7)

    def test_input_is_left_alone(self, sample):
        image, segments = plain(sample.image).clone(), plain(sample.segments).clone()
        torch.manual_seed(0)
        for transform in (*GEOMETRY.values(), v2.ColorJitter(0.5)):
            transform(sample)
        assert torch.equal(plain(sample.image), image)
        assert torch.equal(plain(sample.segments), segments)

    def test_moves_to_a_device(self, sample):
        moved = sample.to("meta")
        assert (moved.image.device.type, moved.segments.device.type) == ("meta", "meta")
        assert (type(moved.image), type(moved.segments)) == (tv_tensors.Image, SegmentMap)
