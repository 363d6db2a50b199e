import json

import pytest
import torch

from segaug.training import Meter


def test_means_are_over_images_and_not_over_batches():
    meter = Meter()
    meter.add(torch.tensor(1.0), torch.tensor([[0.0, 1.0]]), torch.tensor([1]))
    meter.add(torch.tensor(4.0), torch.tensor([[0.0, 1.0]] * 3), torch.tensor([0, 0, 1]))
    assert meter.images == 4
    assert meter.loss == pytest.approx(13 / 4)
    assert meter.accuracy == 0.5
    assert meter.images_per_second > 0


def test_nothing_seen():
    meter = Meter()
    assert (meter.images, meter.loss, meter.accuracy) == (0, 0.0, 0.0)


def test_soft_targets_count_by_their_largest_class():
    meter = Meter()
    meter.add(torch.tensor(1.0), torch.tensor([[2.0, 1.0], [0.0, 3.0]]), torch.tensor([[0.7, 0.3], [0.6, 0.4]]))
    assert meter.accuracy == 0.5


def test_it_goes_on_from_what_it_counted():
    meter, whole = Meter(), Meter()
    for part in (meter, whole):
        part.add(torch.tensor(0.1), torch.tensor([[0.0, 1.0]] * 3), torch.tensor([1, 1, 0]))
        part.add_step(2.0)
        part.add_step(float("inf"), skipped=True)
    went_on = Meter()
    went_on.load(json.loads(json.dumps(meter.state())))
    for part in (went_on, whole):
        part.add(torch.tensor(0.7), torch.tensor([[0.0, 1.0]]), torch.tensor([0]))
        part.add_step(4.0)
    for name in ("loss", "accuracy", "images", "tokens", "skipped", "grad_norm", "largest_grad_norm"):
        assert getattr(went_on, name) == getattr(whole, name), name
    assert (whole.grad_norm, whole.largest_grad_norm, whole.skipped) == (3.0, 4.0, 1)
    assert went_on.seconds >= meter.state()["seconds"] * 0.5


def test_it_counts_beyond_what_a_float32_can():
    meter = Meter()
    meter.load({**meter.state(), "correct": 2**24, "images": 2**24})
    meter.add(torch.tensor(1.0), torch.tensor([[0.0, 1.0]]), torch.tensor([1]))
    assert meter.state()["correct"] == 2**24 + 1
    assert meter.accuracy == 1.0
