"""Where randomness comes from: held by right transforms, and what is said of wrong ones."""

import random
from functools import partial

import albumentations
import kornia.augmentation
import numpy as np
import pytest
import torch
from torchvision.transforms import v2

from segaug import PerSegment, PositionJitter, SegmentDrop
from segaug.testing import Augmentation, NotApplicable, PropertyFailed
from segaug.testing._probes import make_probe
from segaug.testing.properties import (
    draws_do_not_depend_on_pixels,
    generator_decides,
    is_identity_at_p_zero,
    is_reproducible,
    leaves_global_streams_alone,
)

IMAGE = make_probe("image", 4, torch.float32, 3, 1)
SEEDING = (
    draws_do_not_depend_on_pixels,
    generator_decides,
    is_identity_at_p_zero,
    is_reproducible,
    leaves_global_streams_alone,
)


@pytest.mark.parametrize("kind", ["segment_tokens", "token_batch"])
@pytest.mark.parametrize("make", [SegmentDrop, PositionJitter, partial(PerSegment, v2.RandomHorizontalFlip())])
@pytest.mark.parametrize("holds", SEEDING)
def test_segaug_holds_it(holds, make, kind):
    for seed in range(3):
        # PerSegment takes no generator, PositionJitter no p.
        try:
            holds(Augmentation(make(), factory=make), make_probe(kind, 4, torch.uint8, 3, 2), seed=seed)
        except NotApplicable as why:
            assert "its factory does not take" in str(why)  # noqa: PT017


@pytest.mark.parametrize(
    "transform",
    [
        v2.RandomHorizontalFlip(),
        v2.RandomPhotometricDistort(),
        v2.RandomErasing(),
        kornia.augmentation.RandomHorizontalFlip(),
        albumentations.Compose([albumentations.HorizontalFlip(), albumentations.RandomGamma()]),
    ],
)
@pytest.mark.parametrize("holds", [draws_do_not_depend_on_pixels, is_reproducible])
def test_the_libraries_hold_it(holds, transform):
    for seed in range(3):
        holds(transform, IMAGE, seed=seed)


class TestIsIdentityAtPZero:
    @pytest.mark.parametrize(
        "transform", [v2.RandomInvert(), v2.RandomHorizontalFlip(), albumentations.HorizontalFlip()]
    )
    def test_sets_p_where_that_is_known(self, transform):
        is_identity_at_p_zero(transform, IMAGE)
        assert transform.p == 0.5

    def test_tries_the_smallest_draw(self):
        def make(p=0.5):
            return lambda image: 1 - image if torch.rand(()) <= p else image

        with pytest.raises(PropertyFailed, match=r"with p = 0 and all draws 0\.0: image\[0, 0, 0\]"):
            is_identity_at_p_zero(Augmentation(make(), factory=make), IMAGE)

    def test_says_the_plain_part_of_what_draws_elsewhere(self):
        def make(p=0.5):
            return lambda image: image * random.random() if p else image

        is_identity_at_p_zero(Augmentation(make(), factory=make), IMAGE)

    def test_needs_p(self):
        with pytest.raises(NotApplicable, match="another p is not known"):
            is_identity_at_p_zero(lambda image: image, IMAGE)


class TestIsReproducible:
    @pytest.mark.parametrize(
        "draw",
        [lambda: np.random.default_rng().random(), lambda: random.SystemRandom().random()],
        ids=["numpy", "system"],
    )
    def test_sees_what_no_seed_reaches(self, draw):
        with pytest.raises(PropertyFailed, match="the same seed again"):
            is_reproducible(lambda image: image * draw(), IMAGE)

    def test_sees_what_the_first_call_leaves_behind(self):
        class Once(torch.nn.Module):
            factor = None

            def forward(self, image):
                drawn = torch.rand(())
                self.factor = drawn if self.factor is None else self.factor
                return image * self.factor

        with pytest.raises(PropertyFailed, match="the same seed after other calls: image"):
            is_reproducible(Once(), IMAGE)

    def test_sees_a_size_that_is_kept(self):
        class Mask(torch.nn.Module):
            mask = None

            def forward(self, image):
                self.mask = torch.ones(image.shape) if self.mask is None else self.mask
                return image * self.mask

        with pytest.raises(PropertyFailed, match="after other calls: Mask raised RuntimeError"):
            is_reproducible(Mask(), IMAGE)


class TestLeavesGlobalStreamsAlone:
    @pytest.mark.parametrize(
        ("draw", "whose"),
        [(lambda: torch.rand(()), "torch's"), (random.random, "Python's"), (np.random.rand, "numpy's")],
    )
    def test_names_the_stream(self, draw, whose):
        def make(generator=None):
            return lambda image: (draw(), image)[1]

        with pytest.raises(PropertyFailed, match=f"it moves {whose} default stream"):
            leaves_global_streams_alone(Augmentation(make(), factory=make), IMAGE)

    def test_leaves_them_itself(self):
        state = torch.get_rng_state()
        tokens = make_probe("segment_tokens", 4, torch.uint8, 3, 2)
        leaves_global_streams_alone(Augmentation(SegmentDrop(), factory=SegmentDrop), tokens)
        assert torch.equal(torch.get_rng_state(), state)

    def test_needs_a_factory(self):
        with pytest.raises(NotApplicable, match="another generator is not known"):
            leaves_global_streams_alone(v2.RandomInvert(), IMAGE)


class TestGeneratorDecides:
    @pytest.mark.parametrize("make", [kornia.augmentation.RandomHorizontalFlip, kornia.augmentation.RandomErasing])
    @pytest.mark.parametrize("is_made", [True, False])
    def test_kornia_swallows_it_at_the_call(self, make, is_made):
        transform = Augmentation(make(), factory=make if is_made else None)
        with pytest.raises(PropertyFailed, match=r"T\(x, generator=g\): given a generator, it moves torch's default"):
            generator_decides(transform, IMAGE)

    def test_a_stream_of_its_own_instead(self):
        class Own(torch.nn.Module):
            def __init__(self, generator=None):
                super().__init__()
                self.stream = np.random.default_rng(torch.initial_seed())

            def forward(self, image):
                return image * self.stream.random()

        with pytest.raises(PropertyFailed, match="g of one seed, other default streams: image"):
            generator_decides(Augmentation(Own(), factory=Own), IMAGE)

    def test_holds_where_it_is_used_at_the_call(self):
        generator_decides(lambda image, generator=None: image * torch.rand((), generator=generator), IMAGE)

    @pytest.mark.parametrize(
        ("transform", "reason"),
        [
            (v2.RandomInvert(), "takes no generator"),
            (albumentations.HorizontalFlip(), "take no generator"),
            (kornia.augmentation.RandomHorizontalFlip(p=1.0), "draws nothing"),
        ],
    )
    def test_is_silent_where_no_generator_is_taken(self, transform, reason):
        with pytest.raises(NotApplicable, match=reason):
            generator_decides(transform, IMAGE)


class TestDrawsDoNotDependOnPixels:
    def test_says_what_was_drawn(self):
        def erase(image):
            for _ in range(3):
                if image[0, 0, int(torch.rand(()) * 4)] > 0.5:
                    break
            return image

        with pytest.raises(
            PropertyFailed, match=r"for x it draws rand\(1\) from torch, for the same in black rand\(1\), rand"
        ):
            draws_do_not_depend_on_pixels(erase, torch.ones(1, 1, 4))

    def test_counts_other_streams_too(self):
        def noise(image):
            return image * random.random() if image.any() else image

        with pytest.raises(PropertyFailed, match="for the same in black it draws another number"):
            draws_do_not_depend_on_pixels(noise, IMAGE)

    @pytest.mark.parametrize("dtype", [torch.uint8, torch.float32], ids=str)
    def test_repainted_tokens_stay_premultiplied(self, dtype):
        seen = []

        def look(tokens):
            seen.append(tokens)
            return tokens

        draws_do_not_depend_on_pixels(look, make_probe("token_batch", 4, dtype, 3, 2))
        assert len(seen) == 4
        assert all((tokens.patches <= tokens.alpha[..., None, :, :]).all() for tokens in seen)
