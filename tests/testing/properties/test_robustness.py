"""Degenerate pictures, copies and layouts: held by right transforms, and what is said of wrong ones."""

import albumentations
import kornia.augmentation
import pytest
import torch
from torchvision.transforms import v2

from segaug import PerSegment, SegmentDrop, SegmentTokens
from segaug.testing import Augmentation, NotApplicable, PropertyFailed
from segaug.testing._probes import make_probe
from segaug.testing._property import KINDS
from segaug.testing.properties import pickles_and_copies, reads_any_layout, survives_degenerate_inputs
from segaug.testing.properties._degenerate import degenerate_versions
from segaug.testing.strategies import layout_of, with_layout

IMAGE = make_probe("image", 4, torch.float32, 3, 1)


@pytest.mark.parametrize(
    ("transform", "kind"),
    [
        (v2.ColorJitter(0.5, 0.5, 0.5, 0.5), "image"),
        (v2.RandomHorizontalFlip(), "annotated_image"),
        (v2.RandomCrop(2, pad_if_needed=True), "segmented_image"),
        (SegmentDrop(0.5, generator=torch.Generator()), "token_batch"),
        (PerSegment(v2.ColorJitter(0.4)), "segment_tokens"),
        (kornia.augmentation.RandomHorizontalFlip(), "image"),
        (
            albumentations.Compose([albumentations.HorizontalFlip(), albumentations.OneOf([albumentations.Blur()])]),
            "image",
        ),
    ],
)
@pytest.mark.parametrize("holds", [survives_degenerate_inputs, pickles_and_copies, reads_any_layout])
def test_right_transforms_hold_it(holds, transform, kind):
    for seed in range(3):
        holds(transform, make_probe(kind, 4, torch.float32, 3, 2), seed=seed)


class TestDegenerateVersions:
    @pytest.mark.parametrize("kind", KINDS)
    def test_are_right_samples_themselves(self, kind):
        versions = dict(degenerate_versions(make_probe(kind, 4, torch.uint8, 3, 2)))
        assert len(versions) >= 2
        for version in versions.values():
            v2.RandomHorizontalFlip(1.0)(version)
            assert isinstance(version, dict | torch.Tensor) or version.to("cpu") is not None

    def test_boxes_and_points_stay_on_the_canvas(self):
        pixel = dict(degenerate_versions(make_probe("annotated_image", 4, torch.uint8, 3, 2)))["one pixel"]
        assert pixel["image"].shape == (3, 1, 1)
        assert pixel["masks"].shape == (2, 1, 1)
        assert pixel["boxes"].tolist() == [[0, 0, 1, 1]] * 2
        assert pixel["keypoints"].tolist() == [[0, 0]] * 2
        assert pixel["boxes"].canvas_size == pixel["keypoints"].canvas_size == (1, 1)

    def test_of_a_batch_are_an_empty_one_and_one_without_tokens(self):
        versions = dict(degenerate_versions(make_probe("token_batch", 4, torch.uint8, 3, 2)))
        assert versions["an empty batch"].labels.shape == (0, 2)
        assert versions["no token"].labels.shape == (2, 0)
        assert isinstance(versions["patches of one pixel"], SegmentTokens)


class TestSurvivesDegenerateInputs:
    @pytest.mark.parametrize(
        ("transform", "message"),
        [
            (lambda image: image[:, [1, 0]], "one pixel: <lambda> raised IndexError"),
            (lambda image: image / (image.amax() - image.amin()), r"one pixel: image\[0, 0, 0\] is inf"),
            (v2.GaussianBlur(3), "one pixel: GaussianBlur raised RuntimeError: Argument #4"),
        ],
    )
    def test_says_what_crashed(self, transform, message):
        with pytest.raises(PropertyFailed, match=message):
            survives_degenerate_inputs(transform, IMAGE[:1])

    def test_a_refusal_must_have_words(self):
        def refuse(image, words):
            if image.numel() < 9:
                raise ValueError(*words)
            return image

        survives_degenerate_inputs(lambda image: refuse(image, ["image must have 3x3 pixels"]), IMAGE)
        with pytest.raises(PropertyFailed, match="one pixel"):
            survives_degenerate_inputs(lambda image: refuse(image, []), IMAGE)

    def test_an_error_of_the_library_itself_says_why(self):
        survives_degenerate_inputs(albumentations.CenterCrop(2, 2), IMAGE)
        with pytest.raises(PropertyFailed, match=r"one pixel: .*LinAlgError"):
            survives_degenerate_inputs(v2.RandomPerspective(p=1.0), IMAGE)

    def test_a_deadline_is_a_crash(self):
        def wait(image):
            while image.shape[-1] == 1:
                pass
            return image

        with pytest.raises(PropertyFailed, match=r"one pixel: .* deadline"):
            survives_degenerate_inputs(Augmentation(wait, deadline=0.05), IMAGE)

    def test_a_picture_without_segments(self):
        def first(sample):
            sample.segments.flatten().sort().values[-1:][0 if sample.segments.any() else 1]
            return sample

        with pytest.raises(PropertyFailed, match="no segment: first raised IndexError"):
            survives_degenerate_inputs(first, make_probe("segmented_image", 1, torch.uint8, 1, 2))


class Noise(torch.nn.Module):
    def __init__(self, generator=None):
        super().__init__()
        self.generator = generator

    def forward(self, image):
        return image * torch.rand((), generator=self.generator)


class LosesGenerator(Noise):
    def __getstate__(self):
        return {**self.__dict__, "generator": None}


class SharesGenerator(Noise):
    def __deepcopy__(self, memo):
        return type(self)(self.generator)


class Forgets(Noise):
    def __init__(self, generator=None, strength=1.0):
        super().__init__(generator)
        self.strength = strength

    def forward(self, image):
        return super().forward(image) * self.strength

    def __reduce__(self):
        return type(self), (self.generator,)


class HoldsLambda(Noise):
    def __init__(self):
        super().__init__()
        self.function = lambda image: image


class TestPicklesAndCopies:
    @pytest.mark.parametrize(
        ("transform", "message"),
        [
            (LosesGenerator(torch.Generator()), "a deep copy holds 0 random streams, the transform 1"),
            (SharesGenerator(torch.Generator()), "a deep copy shares a random stream"),
            (Forgets(strength=0.5), "a deep copy, under the same seed: image"),
            (HoldsLambda(), "it cannot be pickled: .*lambda"),
            (lambda image: image, "it cannot be pickled: .*lambda"),
        ],
    )
    def test_says_what_is_wrong(self, transform, message):
        with pytest.raises(PropertyFailed, match=message):
            pickles_and_copies(transform, IMAGE)

    def test_does_not_blame_local_names(self):
        class Local(Noise):
            pass

        def local(image):
            return image

        for transform in (Local(), torch.nn.Sequential(Local()), local):
            with pytest.raises(NotApplicable, match="is defined inside a function"):
                pickles_and_copies(transform, IMAGE)

    def test_a_generator_elsewhere_in_its_stream_is_another(self):
        class Rewinds(Noise):
            def __deepcopy__(self, memo):
                return type(self)(torch.Generator())

        generator = torch.Generator()
        torch.rand(1, generator=generator)
        with pytest.raises(PropertyFailed, match="in other states"):
            pickles_and_copies(Rewinds(generator), IMAGE)

    def test_leaves_the_transform_alone(self):
        generator = torch.Generator()
        state = generator.get_state()
        pickles_and_copies(Noise(generator), IMAGE)
        assert torch.equal(generator.get_state(), state)


class TestReadsAnyLayout:
    def test_says_which_layout(self):
        with pytest.raises(PropertyFailed, match=r"x channels last: .*raised RuntimeError: view size"):
            reads_any_layout(lambda image: image.view(-1).view(image.shape), IMAGE)

    @pytest.mark.parametrize("layout", ["channels_last", "sliced", "offset", "transposed"])
    def test_reading_the_storage_shows_in_a_sample_that_is_laid_out_so(self, layout):
        def read(image):
            return torch.as_strided(image, image.shape, torch.empty(image.shape).stride(), 0)

        sample = with_layout(IMAGE, layout)
        if layout == "offset":
            # It is contiguous all the same, so that all the ways are tried.
            assert layout_of(sample) == "offset"
        with pytest.raises(PropertyFailed, match=r"x .*image"):
            reads_any_layout(read, sample)

    def test_looks_at_maps_and_masks(self):
        sample = make_probe("segmented_image", 4, torch.uint8, 1, 2)

        def read(sample):
            sample.segments.view(-1)
            return sample

        with pytest.raises(PropertyFailed, match="x sliced"):
            reads_any_layout(read, sample)

    def test_is_silent_where_rounding_decides(self):
        def stretch(image):
            # As a sum over another order might come out.
            summed = image.double() + (0 if image.is_contiguous() else 1e-8 * torch.arange(3))
            return (summed - summed.min()) / (summed.max() - summed.min() + 1e-12)

        with pytest.raises(NotApplicable, match="last bits"):
            reads_any_layout(stretch, torch.full((1, 2, 3), 0.5))
