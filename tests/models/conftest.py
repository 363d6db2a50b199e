import pytest
import torch

from segaug.models import SViT
from segaug.structures import SegmentTokens


def _make_model(num_classes=5, *, seed=0, **options):
    torch.manual_seed(seed)
    if options.get("position") == "table":
        options = {"num_positions": 16, **options}
    model = SViT(num_classes, **{"patch_size": 4, "embed_dim": 32, "depth": 2, "num_heads": 4, **options})
    # Weights much larger than the initial ones, so that what goes wrong would show in the logits.
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter), alpha=0.2)
    return model.eval()


def _make_tokens(n, seed=0, size=4):
    generator = torch.Generator().manual_seed(seed)
    return SegmentTokens(
        patches=torch.rand(n, 3, size, size, generator=generator),
        alpha=torch.rand(n, size, size, generator=generator),
        boxes=torch.rand(n, 2, 2, generator=generator).sort(1).values.flatten(1),
        areas=torch.rand(n, generator=generator),
        labels=torch.arange(1, n + 1),
    )


@pytest.fixture(scope="session")
def make_model():
    """``make_model(num_classes, seed=0, **options)``: a small SViT with large weights, in eval mode."""
    return _make_model


@pytest.fixture(scope="session")
def make_tokens():
    """``make_tokens(n, seed=0, size=4)``: random tokens of one image, without background."""
    return _make_tokens
