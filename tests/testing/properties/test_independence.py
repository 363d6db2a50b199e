import albumentations
import kornia.augmentation
import pytest
import torch
from torchvision.transforms import v2

from segaug import PerSegment, RandomMirror, SegmentDrop, SegmentMix
from segaug.testing._augmentation import Augmentation
from segaug.testing._errors import NotApplicable, PropertyFailed
from segaug.testing._outcomes import play
from segaug.testing._probes import make_probe
from segaug.testing._spread import segment_outcomes, spread
from segaug.testing.properties._independence import batch_elements_are_independent, segments_are_independent


def probe(kind, dtype=torch.uint8):
    return make_probe(kind, 4, dtype, 3, 2)


@pytest.mark.parametrize("kind", ["segmented_image", "segment_tokens", "token_batch"])
@pytest.mark.parametrize("inner", [v2.RandomHorizontalFlip(), v2.ColorJitter(0.5)])
def test_per_segment_draws_for_each(kind, inner):
    segments_are_independent(PerSegment(inner), probe(kind), calls=100)


def test_segment_drop_holds_where_most_are_dropped():
    segments_are_independent(SegmentDrop(0.9), probe("segment_tokens"))


def test_what_fills_a_place_is_not_the_segments():
    # The mean colour of what did not change depends on the other segments, as documented.
    given = spread(probe("segmented_image"), 3)
    results = play(Augmentation(PerSegment(v2.RandomHorizontalFlip())), given, 0, 60)
    rows = [segment_outcomes(given, result, 3) for result in results]
    assert [len({value for value, _ in column}) for column in zip(*rows, strict=True)][:3] == [2, 2, 2]


@pytest.mark.parametrize(
    ("transform", "reason"),
    [
        (v2.RandomHorizontalFlip(), "torchvision's transforms change a picture as a whole"),
        (RandomMirror(), "it mirrors all boxes at once"),
        (PerSegment(v2.RandomHorizontalFlip(1.0)), "it draws nothing"),
    ],
)
def test_segments_not_applicable(transform, reason):
    with pytest.raises(NotApplicable, match=reason):
        segments_are_independent(transform, probe("segment_tokens"))


def test_segment_mix_brings_in_others():
    with pytest.raises(NotApplicable, match="brings in other segments"):
        segments_are_independent(SegmentMix(labels_getter=None), probe("token_batch"))


def test_batches():
    batch_elements_are_independent(kornia.augmentation.RandomHorizontalFlip(p=0.5), probe("image_batch", torch.float32))
    batch_elements_are_independent(PerSegment(v2.RandomHorizontalFlip()), probe("token_batch"), calls=100)


@pytest.mark.parametrize(
    ("transform", "reason"),
    [
        (v2.RandomHorizontalFlip(), "torchvision draws once for all leading dimensions, as documented"),
        (albumentations.HorizontalFlip(), "albumentations draws once"),
        (kornia.augmentation.RandomHorizontalFlip(same_on_batch=True), "same_on_batch=True"),
        (lambda image: image.flip(-1) if torch.rand(()) < 0.5 else image, "takes single pictures too"),
    ],
)
def test_batches_not_applicable(transform, reason):
    with pytest.raises(NotApplicable, match=reason):
        batch_elements_are_independent(transform, probe("image_batch", torch.float32))


def test_one_draw_per_batch_fails():
    def flip(batch):
        if batch.ndim != 4:
            raise ValueError("batch must have four dimensions")
        return batch.flip(-1) if torch.rand(()) < 0.5 else batch

    with pytest.raises(PropertyFailed, match=r"element 0 and element 1 to be independent.*same in 200 of 200"):
        batch_elements_are_independent(flip, probe("image_batch"))
