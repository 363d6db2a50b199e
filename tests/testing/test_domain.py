"""What a transform accepts is as it says, or found by trying."""

import hypothesis
import pytest
import torch
from torchvision.transforms import v2

from segaug import PerSegment, PositionJitter
from segaug.testing import Augmentation
from segaug.testing._compare import plain
from segaug.testing._domain import Domain, find_domain
from segaug.testing._property import KINDS
from segaug.testing._trials import find_is_geometric

# One sample, as it comes.
ONE = hypothesis.settings(database=None, phases=[hypothesis.Phase.generate])


def found(transform, **given):
    return find_domain(Augmentation(transform), **given)


class TestFindDomain:
    def test_torchvision_takes_all(self):
        domain = found(v2.RandomHorizontalFlip())
        assert domain.kinds == KINDS
        assert (domain.dtypes, domain.channels, domain.min_side) == ((torch.uint8, torch.float32), (3, 1), 1)

    def test_segments_only(self):
        assert found(PositionJitter(0.1, 0.1)).kinds == ("segment_tokens", "token_batch")
        assert found(PerSegment(v2.RandomInvert())).kinds == (
            "annotated_image", "segmented_image", "segment_tokens", "token_batch",
        )  # fmt: skip

    def test_floats_only(self):
        import kornia.augmentation

        domain = found(kornia.augmentation.RandomHorizontalFlip())
        assert domain.kinds == ("image", "image_batch", "annotated_image")
        assert domain.dtypes == (torch.float32,)
        assert "torch.uint8" in domain.refused

    def test_channels_and_sizes(self):
        def crop(image):
            if image.shape[-3] != 3 or min(image.shape[-2:]) < 6:
                raise ValueError("too small")
            return image[..., :6, :6]

        domain = found(crop, accepts="image")
        assert (domain.channels, domain.min_side) == ((3,), 6)
        assert domain.refused == {"1 channels": "crop raised ValueError: too small"}

    def test_what_is_said_is_not_tried(self):
        domain = found(v2.Identity(), accepts=["image"], dtypes=torch.float64, channels=1, min_side=5)
        assert domain == Domain(("image",), (torch.float64,), (1,), 5)

    @pytest.mark.parametrize("kind", KINDS)
    def test_samples_keep_within_it(self, kind):
        domain = Domain((kind,), (torch.float32,), (1,), 3)
        drawn = hypothesis.find(domain.strategy(kind), lambda _: True, settings=ONE)
        for sample in (domain.probe(kind), drawn):
            picture = sample["image"] if isinstance(sample, dict) else sample
            picture = getattr(picture, "patches", getattr(picture, "image", picture))
            assert (picture.dtype, picture.shape[-3]) == (torch.float32, 1)
            assert min(picture.shape[-2:]) >= 3

    @pytest.mark.parametrize(
        ("transform", "given", "error", "message"),
        [
            (v2.Identity(), {"accepts": "picture"}, ValueError, "accepts must name kinds of samples .*got 'picture'"),
            (v2.Identity(), {"accepts": []}, ValueError, "accepts must name kinds"),
            (v2.Identity(), {"accepts": 3}, ValueError, "accepts must name kinds"),
            (v2.Identity(), {"dtypes": torch.int64}, ValueError, "dtypes must be torch.uint8 or floating"),
            (v2.Identity(), {"channels": 4}, ValueError, "channels must be 1 or 3, or both, got 4"),
            (v2.Identity(), {"min_side": 0}, ValueError, "min_side must be at least 1, got 0"),
            (lambda image: None, {}, TypeError, "accepts none.*it returned None"),
            (lambda image: 1 / 0, {}, TypeError, "accepts none.*ZeroDivisionError"),
        ],
    )
    def test_bad_input_is_one_clear_error(self, transform, given, error, message):
        with pytest.raises(error, match=message):
            found(transform, **given)


class TestFindIsGeometric:
    @pytest.mark.parametrize(
        ("transform", "expected"),
        [
            (v2.RandomHorizontalFlip(), True),
            (v2.RandomResizedCrop(8), True),
            (v2.ColorJitter(0.4), False),
            (PerSegment(v2.RandomHorizontalFlip()), True),
            (PerSegment(v2.RandomInvert()), False),
            (PositionJitter(0.1, 0.1), False),
            (lambda image: plain(image).flip(-1), True),
            (lambda image: image[..., :2, :2], True),
            (v2.RandomApply([v2.RandomHorizontalFlip()], p=0.0), None),
            (v2.RandomHorizontalFlip(0.01), True),
            (v2.RandomChannelPermutation(), False),
            # From a picture alone, a colour and a blur look alike.
            (lambda image: 255 - plain(image), None),
        ],
    )
    def test_is_read_off_masks_or_pixels(self, transform, expected):
        augmentation = Augmentation(transform)
        accepts = "image" if augmentation.library == "callable" else None
        domain = find_domain(augmentation, accepts=accepts, dtypes=torch.uint8)
        assert find_is_geometric(augmentation, domain.kinds, torch.uint8, 3, 1) is expected
