import pytest
import torch
from torch import nn

from segaug.training._mean_weights import MeanWeights


def test_the_mean_is_the_recursion_with_a_warm_up():
    model = nn.Linear(3, 2).double()
    mean = MeanWeights(model, 0.5)
    expected = None
    for step in range(12):
        with torch.no_grad():
            model.weight += torch.rand(2, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(step))
        mean.update(model)
        decay = min(0.5, (1 + step) / (10 + step))
        weight = model.weight.detach()
        expected = weight.clone() if expected is None else decay * expected + (1 - decay) * weight
        torch.testing.assert_close(mean.model.weight.detach(), expected)
    assert mean.steps == 12


def test_it_is_a_copy_without_gradients_and_buffers_follow():
    model = nn.BatchNorm1d(2)
    mean = MeanWeights(model, 0.9)
    model.running_mean.fill_(3.0)
    mean.update(model)
    mean.update(model)
    assert mean.model.running_mean.tolist() == [3.0, 3.0]
    assert not any(parameter.requires_grad for parameter in mean.model.parameters())
    assert all(parameter.requires_grad for parameter in model.parameters())


def test_decay_zero_is_the_weights_themselves():
    model = nn.Linear(2, 1)
    mean = MeanWeights(model, 0.0)
    for _ in range(3):
        with torch.no_grad():
            model.weight.mul_(2.0)
        mean.update(model)
    assert mean.model.weight.tolist() == [pytest.approx(row) for row in model.weight.tolist()]
