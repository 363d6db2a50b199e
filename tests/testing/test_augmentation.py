"""A transform under test is called, seeded, copied and made anew without being touched itself."""

import random

import numpy as np
import pytest
import torch
from torchvision import tv_tensors
from torchvision.transforms import v2

from segaug import PerSegment, PositionJitter
from segaug.testing import Augmentation, NotApplicable, TransformFailed
from segaug.testing._own_streams import snapshot_defaults
from segaug.testing._probes import make_probe

KINDS = ("image", "image_batch", "annotated_image", "segmented_image", "segment_tokens", "token_batch")


def noise(image):
    return image + torch.rand(())


class TestSeeding:
    @pytest.mark.parametrize(
        "draw",
        [
            lambda image: image + torch.rand(()),
            lambda image: image + random.random(),
            lambda image: image + np.random.rand(),  # noqa: NPY002
        ],
        ids=["torch", "python", "numpy"],
    )
    def test_decides_all_draws_and_leaves_the_streams(self, draw):
        augmentation, image = Augmentation(draw), torch.zeros(1, 2, 2)
        before = snapshot_defaults()
        first, again, other = (augmentation.seeded(image, seed) for seed in (3, 3, 4))
        assert snapshot_defaults() == before
        assert torch.equal(first, again)
        assert not torch.equal(first, other)

    def test_reaches_a_generator_of_the_transform_but_not_of_the_users_own(self, make_tokens):
        generator = torch.Generator().manual_seed(1)
        tokens = make_tokens(3)
        augmentation = Augmentation(PositionJitter(0.1, 0.1, generator=generator))
        before = generator.get_state()
        first, again = (augmentation.seeded(tokens, 3) for _ in range(2))
        assert torch.equal(first.boxes, again.boxes)
        assert torch.equal(generator.get_state(), before)

    def test_reaches_albumentations(self):
        import albumentations

        flip = albumentations.Compose([albumentations.HorizontalFlip(), albumentations.RandomBrightnessContrast()])
        image = make_probe("image", 4, torch.uint8, 3, 1)
        augmentation = Augmentation(flip)
        assert all(torch.equal(augmentation.seeded(image, s), augmentation.seeded(image, s)) for s in range(5))


class TestPinned:
    def test_makes_a_function_of_the_transform(self):
        image = make_probe("image", 4, torch.uint8, 3, 1)
        flip = Augmentation(v2.RandomHorizontalFlip(0.5))
        assert torch.equal(flip.pinned(image, 0.2), image.flip(-1))
        assert torch.equal(flip.pinned(image, 0.7), image)

    def test_says_where_it_cannot(self):
        with pytest.raises(NotApplicable, match="elsewhere than torch"):
            Augmentation(lambda image: image + random.random()).pinned(torch.zeros(1, 2, 2), 0.5)


class TestCalls:
    @pytest.mark.parametrize("kind", KINDS)
    def test_the_sample_stays(self, kind):
        def write(sample):
            if isinstance(sample, dict):
                sample["image"] += 1
            elif isinstance(sample, torch.Tensor):
                sample += 1
            elif hasattr(sample, "patches"):
                sample.patches.add_(1)
            else:
                sample.image.add_(1)
            return sample

        sample = make_probe(kind, 4, torch.uint8, 3, 2)
        kept = make_probe(kind, 4, torch.uint8, 3, 2)
        Augmentation(write).seeded(sample, 0)
        parts = (sample, kept)
        images = [p["image"] if isinstance(p, dict) else getattr(p, "patches", getattr(p, "image", p)) for p in parts]
        assert torch.equal(*images)

    @pytest.mark.parametrize(
        ("wrong", "message"),
        [
            (lambda image: None, "it returned None"),
            (lambda image: [image], "given Image, it returned list"),
            (lambda image: 1 / 0, "raised ZeroDivisionError: division by zero"),
        ],
    )
    def test_a_wrong_result_is_told(self, wrong, message):
        with pytest.raises(TransformFailed, match=message):
            Augmentation(wrong)(tv_tensors.Image(torch.zeros(1, 2, 2)))

    def test_arrays_and_pil_images(self):
        image = make_probe("image", 4, torch.uint8, 3, 1)
        assert torch.equal(Augmentation(lambda a: a[:, ::-1], input="numpy")(image), image.flip(-1))
        assert torch.equal(Augmentation(lambda p: p.transpose(0), input="pil")(image), image.flip(-1))

    def test_kornia_and_albumentations_take_what_they_are_given(self):
        import albumentations
        import kornia.augmentation as kornia

        image = make_probe("image", 4, torch.float32, 3, 1)
        for flip in (kornia.RandomHorizontalFlip(p=1.0), albumentations.HorizontalFlip(p=1.0)):
            assert torch.equal(Augmentation(flip)(image), image.flip(-1))
        batch = make_probe("image_batch", 4, torch.float32, 3, 2)
        assert torch.equal(Augmentation(kornia.RandomHorizontalFlip(p=1.0))(batch), batch.flip(-1))


class TestVariant:
    def test_p_is_set_on_a_copy(self):
        flip = v2.RandomHorizontalFlip(1.0)
        assert Augmentation(flip).variant(p=0.0).transform.p == 0.0
        assert flip.p == 1.0

    def test_a_factory_makes_it(self, make_tokens):
        def make(**arguments):
            return PerSegment(v2.RandomInvert(1.0), **arguments)

        augmentation = Augmentation(make(), factory=make)
        tokens = make_tokens(2)
        assert torch.equal(augmentation.variant(p=0.0)(tokens).patches, tokens.patches)
        with pytest.raises(NotApplicable, match="does not take no_such"):
            augmentation.variant(no_such=1)

    def test_what_is_not_known_is_not_guessed(self):
        with pytest.raises(NotApplicable, match="pass factory="):
            Augmentation(PerSegment(v2.RandomInvert())).variant(p=0.0)
        with pytest.raises(NotApplicable, match="pass factory="):
            Augmentation(v2.RandomInvert()).variant(generator=torch.Generator())

    def test_an_error_of_the_factory_is_told(self):
        def make(p=1.0):
            return {1.0: noise}[p]

        with pytest.raises(TransformFailed, match=r"factory\(p=0.5\) raised KeyError"):
            Augmentation(make(), factory=make).variant(p=0.5)


class TestBadInput:
    @pytest.mark.parametrize(
        ("arguments", "error", "message"),
        [
            ({"transform": 3}, TypeError, "transform must be callable, got 3"),
            ({"transform": v2.RandomInvert}, TypeError, "must be an instance, got the class RandomInvert"),
            ({"transform": noise, "factory": 3}, TypeError, "factory must be callable or None, got 3"),
            ({"transform": noise, "input": "cv2"}, ValueError, "input must be one of 'tensor', 'numpy', 'pil'"),
            ({"transform": v2.RandomInvert(), "input": "pil"}, ValueError, "input is for callables of no library"),
            ({"transform": noise, "is_geometric": 1}, TypeError, "is_geometric must be True, False or None, got 1"),
            ({"transform": noise, "deadline": 0}, ValueError, "deadline must be at least 0.001, got 0"),
        ],
    )
    def test_is_one_clear_error(self, arguments, error, message):
        with pytest.raises(error, match=message):
            Augmentation(**arguments)
