"""What runs another transform per segment gives what that one gives, however it runs it."""

from dataclasses import replace

import pytest
import torch
from torchvision import tv_tensors
from torchvision.transforms import v2

from segaug import PerSegment, PositionJitter
from segaug.testing._augmentation import Augmentation
from segaug.testing._errors import NotApplicable, PropertyFailed
from segaug.testing._probes import make_probe
from segaug.testing.properties import batched_equals_looped, full_mask_equals_plain

CALLS = 200
TRANSFORMS = {
    "flip": v2.RandomHorizontalFlip(),
    "colours": v2.ColorJitter(0.5, 0.5, 0.5, 0.2),
    "crop": v2.RandomResizedCrop(3),
    "erasing": v2.RandomErasing(0.5),
    "nothing drawn": v2.Compose([v2.RandomInvert(1.0), v2.Lambda(lambda image: image * 0.5)]),
}


def tokens(dtype=torch.float32):
    return make_probe("segment_tokens", 4, dtype, 3, 2)


@pytest.mark.parametrize("name", TRANSFORMS)
def test_hold_for_the_batched_path(name):
    transform = PerSegment(TRANSFORMS[name])
    full_mask_equals_plain(transform, tokens(), calls=CALLS)
    batched_equals_looped(transform, tokens(), calls=CALLS)


@pytest.mark.parametrize("name", TRANSFORMS)
def test_the_loop_is_the_plain_transform_bit_for_bit(name):
    full_mask_equals_plain(PerSegment(TRANSFORMS[name], vectorized=False), tokens())


def test_one_level_is_rounding():
    transform = PerSegment(v2.RandomApply([v2.ColorJitter((0.7, 0.7), (1.3, 1.3))], p=0.5))
    full_mask_equals_plain(transform, tokens(torch.uint8), calls=CALLS)


class Darken:
    """Scales each token by a factor in [0, 1): batched or in a loop."""

    def __init__(self, vectorized=True, factors=torch.rand):
        self.vectorized = vectorized
        self.factors = factors
        self.transform_per_segment = lambda image: image * torch.rand(1)

    def __call__(self, sample):
        if not isinstance(sample.patches, tv_tensors.Image):
            raise TypeError
        patches = sample.patches.as_subclass(torch.Tensor)
        draw = self.factors if self.vectorized else torch.rand
        return replace(sample, patches=patches * draw(len(patches))[:, None, None, None])


@pytest.mark.parametrize(
    "factors", [lambda n: torch.rand(1).expand(n), lambda n: torch.rand(n).sqrt(), lambda n: torch.rand(n) * 0.7]
)
def test_another_law_is_found(factors):
    wrong = Augmentation(Darken(factors=factors), factory=lambda vectorized: Darken(vectorized, factors))
    with pytest.raises(
        PropertyFailed, match=r"with a full mask: projection \d of 500 results has the mean 0\.\d+, exp"
    ):
        full_mask_equals_plain(wrong, tokens())
    with pytest.raises(PropertyFailed, match=r"batched against looped: .* apart, expected at most 0.22"):
        batched_equals_looped(wrong, tokens())


def test_the_right_law_is_not():
    for seed in range(10):
        right = Augmentation(Darken(), factory=Darken)
        full_mask_equals_plain(right, tokens(), seed=seed, calls=CALLS)
        batched_equals_looped(right, tokens(), seed=seed, calls=CALLS)


def test_the_plain_transform_can_be_named():
    full_mask_equals_plain(Darken(), tokens(), calls=CALLS, plain_transform=lambda image: image * torch.rand(1))
    with pytest.raises(PropertyFailed, match="with a full mask: projection"):
        full_mask_equals_plain(Darken(), tokens(), calls=CALLS, plain_transform=v2.RandomInvert(1.0))


def test_where_nothing_is_drawn_all_must_be_equal():
    def half(image):
        return image * 0.5

    def third(image):
        return image / 3

    full_mask_equals_plain(PerSegment(half), tokens(), plain_transform=half)
    with pytest.raises(PropertyFailed, match=r"a full mask: patch: image\[0, 0, 1\] is"):
        full_mask_equals_plain(PerSegment(half), tokens(), plain_transform=third)


def test_say_nothing_without_a_plain_transform_or_an_option():
    with pytest.raises(NotApplicable, match="transform_per_segment"):
        full_mask_equals_plain(PositionJitter(), tokens())
    with pytest.raises(NotApplicable, match="by its p"):
        full_mask_equals_plain(PerSegment(v2.RandomInvert(1.0), p=0.5), tokens())
    with pytest.raises(NotApplicable, match="takes the coverage too"):
        full_mask_equals_plain(PerSegment(lambda image: image, geometry=True), tokens())
    with pytest.raises(NotApplicable, match="no option vectorized"):
        batched_equals_looped(PerSegment(v2.RandomInvert(1.0), vectorized=False), tokens())
    with pytest.raises(NotApplicable, match="pass factory="):
        batched_equals_looped(Darken(), tokens())
    for check in (full_mask_equals_plain, batched_equals_looped):
        with pytest.raises(NotApplicable, match="has no tokens"):
            check(PerSegment(v2.RandomInvert(1.0)), tokens()[:0])
        with pytest.raises(ValueError, match="calls must be at least 1, got 0"):
            check(PerSegment(v2.RandomInvert(1.0)), tokens(), calls=0)
