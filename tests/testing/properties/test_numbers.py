"""Other dtypes and devices: held by right transforms, and what is said of wrong ones."""

import albumentations
import pytest
import torch
from torchvision.transforms import v2

from segaug import PerSegment
from segaug.testing import NotApplicable, PropertyFailed
from segaug.testing._probes import make_probe
from segaug.testing.properties import cpu_equals_gpu, float_equals_uint8
from segaug.testing.properties._numbers import _check_near

IMAGE = make_probe("image", 4, torch.uint8, 3, 1)
WHITE = torch.full((1, 1, 1), 255, dtype=torch.uint8)


class TestFloatEqualsUint8:
    @pytest.mark.parametrize(
        "transform",
        [
            v2.ColorJitter(0.9, 0.9, 0.9, 0.5),
            v2.RandomPosterize(2, p=1.0),
            v2.RandomEqualize(p=1.0),
            v2.RandAugment(),
            v2.Compose([v2.ColorJitter((0.1, 0.1)), v2.RandomAutocontrast(1.0)]),
            albumentations.RandomBrightnessContrast(p=1.0),
            albumentations.RandomGamma(p=1.0),
        ],
    )
    def test_right_transforms_hold_it(self, transform):
        for seed in range(5):
            try:
                float_equals_uint8(transform, IMAGE, seed=seed)
            except NotApplicable as why:
                assert "other numbers" in str(why)  # noqa: PT017

    @pytest.mark.parametrize("kind", ["segment_tokens", "token_batch"])
    def test_per_segment_holds_it(self, kind):
        float_equals_uint8(PerSegment(v2.ColorJitter(0.4)), make_probe(kind, 4, torch.float32, 3, 2))

    @pytest.mark.parametrize(
        ("transform", "message"),
        [
            (lambda image: image + 10, "image.0, 0, 0. is 9 as uint8, 2805 as 255 times float"),
            (
                lambda image: image * 1.0 if image.is_floating_point() else (image / 255 * 256).to(torch.uint8),
                "is 0 as uint8",
            ),
            (lambda image: image * float("nan") if image.is_floating_point() else image, "is 255 as uint8, nan as"),
            (lambda image: image[:, :0] if image.is_floating_point() else image, "has shape"),
        ],
    )
    def test_says_where(self, transform, message):
        with pytest.raises(PropertyFailed, match=message):
            float_equals_uint8(transform, WHITE)

    @pytest.mark.parametrize(
        ("transform", "reason"),
        [
            (v2.JPEG(50), r"it does not take torch\.float32"),
            (v2.RandomSolarize(0.5), "its threshold is in the units of one dtype"),
            (v2.Compose([v2.RandomAffine(30, fill=127)]), "its fill is in the units of one dtype"),
            (v2.ToDtype(torch.float32, scale=True), r"it does not return torch\.uint8"),
            (lambda image: image * torch.rand(()) if image.is_floating_point() else image, "draws other numbers"),
        ],
    )
    def test_is_silent_where_dtypes_are_told_apart(self, transform, reason):
        with pytest.raises(NotApplicable, match=reason):
            float_equals_uint8(transform, make_probe("image", 4, torch.uint8, 3, 1))


class TestCpuEqualsGpu:
    @pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
    def test_needs_a_gpu(self):
        with pytest.raises(NotApplicable, match="there is no GPU"):
            cpu_equals_gpu(torch.nn.Identity(), IMAGE)

    @pytest.mark.gpu
    @pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
    def test_on_a_gpu(self):
        cpu_equals_gpu(v2.ColorJitter(0.4), IMAGE)
        with pytest.raises(PropertyFailed, match="image is on the cpu"):
            cpu_equals_gpu(lambda image: image.cpu(), IMAGE)
        with pytest.raises(PropertyFailed, match="on the GPU"):
            cpu_equals_gpu(lambda image: image // (1 + image.is_cuda), IMAGE)
        with pytest.raises(NotApplicable, match="draws on the GPU"):
            cpu_equals_gpu(lambda image: image * (torch.rand((), device=image.device) > 2), IMAGE)
        with pytest.raises(NotApplicable, match="arrays"):
            cpu_equals_gpu(albumentations.HorizontalFlip(), IMAGE)

    def test_a_result_must_be_there(self):
        with pytest.raises(PropertyFailed, match="image is on the cpu, was on the GPU"):
            _check_near("image", IMAGE, IMAGE, 1.0)
