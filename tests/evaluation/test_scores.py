import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torchmetrics.functional import classification as torchmetrics

from segaug.evaluation import classification_scores


def draw(images, classes, seed):
    generator = torch.Generator().manual_seed(seed)
    logits = 3 * torch.randn(images, classes, generator=generator)
    return logits, torch.randint(0, classes, (images,), generator=generator)


@given(st.integers(1, 60), st.integers(1, 9), st.integers(0, 999))
@settings(derandomize=True, deadline=None, max_examples=15)
def test_against_definitions(images, classes, seed):
    logits, targets = draw(images, classes, seed)
    scores = classification_scores(logits, targets, [str(i) for i in range(classes)])
    called = logits.argmax(-1)
    assert scores.images == images
    assert scores.accuracy == pytest.approx((called == targets).double().mean().item())
    assert scores.micro.precision == scores.micro.recall == pytest.approx(scores.accuracy)
    probabilities = logits.double().softmax(-1)
    own = probabilities[torch.arange(images), targets].log().neg().mean().item()
    assert scores.negative_log_likelihood == pytest.approx(own)
    for i, row in enumerate(scores.per_class):
        hits, said, true = ((called == i) & (targets == i)).sum(), (called == i).sum(), (targets == i).sum()
        assert row.support == true
        assert row.precision == pytest.approx(float(hits / max(1, said)))
        assert row.recall == (pytest.approx(float(hits / true)) if true else None)
        assert [scores.confusion[i][j] for j in range(classes)] == [
            int(((targets == i) & (called == j)).sum()) for j in range(classes)
        ]
    present = [row for row in scores.per_class if row.support]
    assert scores.macro.recall == pytest.approx(sum(row.recall for row in present) / len(present))
    if classes > 5:
        best = logits.topk(5).indices
        assert scores.top5_accuracy == pytest.approx((best == targets[:, None]).any(-1).double().mean().item())
    else:
        assert scores.top5_accuracy is None
    # The bins are those of the error beside them.
    filled = [one for one in scores.bins if one.images]
    assert sum(one.images for one in filled) == images
    gaps = sum(one.images * abs(one.accuracy - one.confidence) for one in filled) / images
    assert scores.calibration_error == pytest.approx(gaps, abs=1e-6)


def test_macro_is_torchmetrics_where_each_class_has_images():
    logits, targets = draw(300, 4, 0)
    scores = classification_scores(logits, targets, list("abcd"))
    options = {"num_classes": 4, "average": "macro"}
    averages = {"precision": scores.macro.precision, "recall": scores.macro.recall, "f1_score": scores.macro.f1}
    for name, value in averages.items():
        assert value == pytest.approx(float(getattr(torchmetrics, f"multiclass_{name}")(logits, targets, **options)))
    area = torchmetrics.multiclass_average_precision(logits.softmax(-1), targets, **options)
    assert scores.mean_average_precision == pytest.approx(float(area), abs=1e-6)


def test_a_class_without_images_is_in_no_average():
    logits = torch.tensor([[5.0, 0.0, 0.0], [0.0, 5.0, 0.0], [0.0, 0.0, 5.0]])
    scores = classification_scores(logits, torch.tensor([0, 1, 1]), ["a", "b", "c"])
    absent = scores.per_class[2]
    assert (absent.support, absent.precision, absent.recall, absent.average_precision) == (0, 0.0, None, None)
    assert scores.macro.recall == 0.75
    # Of b's two images one is ranked first and one last.
    assert scores.mean_average_precision == pytest.approx((1 + (1 / 2 + 1 / 3)) / 2)


def test_calibration_of_the_sure_and_wrong():
    logits = torch.tensor([[100.0, 0.0]] * 4)
    scores = classification_scores(logits, torch.tensor([0, 0, 0, 1]), ["a", "b"])
    assert scores.calibration_error == pytest.approx(0.25)
    assert [one.images for one in scores.bins] == [0] * 14 + [4]


def test_the_calibration_error_is_that_of_the_bins():
    # One confidence is exactly 1, and the others are in the same last bin.
    logits = torch.tensor([[60.0, 0.0], [3.0, 0.0], [3.0, 0.0], [2.8, 0.0]])
    scores = classification_scores(logits, torch.tensor([1, 0, 0, 0]), ["a", "b"])
    gaps = [one.images * abs(one.accuracy - one.confidence) for one in scores.bins if one.images]
    assert scores.calibration_error == pytest.approx(sum(gaps) / 4, abs=1e-6)


@pytest.mark.parametrize(
    ("logits", "targets", "error", "message"),
    [
        (torch.zeros(2, 2).long(), torch.zeros(2).long(), TypeError, "logits must be a floating-point tensor"),
        (torch.zeros(2, 2), torch.zeros(2), TypeError, "targets must be an int64 tensor"),
        (
            torch.zeros(2, 3),
            torch.zeros(2).long(),
            ValueError,
            r"logits must have the shape \(images, 2\), got \(2, 3\)",
        ),
        (torch.zeros(2, 2), torch.zeros(3).long(), ValueError, "targets must have one class for each of 2 images"),
        (torch.zeros(0, 2), torch.zeros(0).long(), ValueError, "targets must have one class"),
        (torch.full((2, 2), torch.nan), torch.zeros(2).long(), ValueError, "logits must be finite"),
        (torch.zeros(2, 2), torch.tensor([0, 2]), ValueError, "targets must be from 0 to 1, got 2"),
    ],
)
def test_bad_input(logits, targets, error, message):
    with pytest.raises(error, match=message):
        classification_scores(logits, targets, ["a", "b"])
