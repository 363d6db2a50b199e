"""RandAugment, TrivialAugmentWide, AutoAugment and AugMix."""

import numpy as np
import pytest
import torch
from torchvision import tv_tensors
from torchvision.transforms import v2

from segaug import PerSegment
from segaug.transforms._engine._lowerings._operations import NAMES

CHAINS = {
    "rand": v2.RandAugment(),
    "rand_bilinear": v2.RandAugment(num_ops=3, magnitude=20, interpolation="bilinear", fill=128),
    "trivial": v2.TrivialAugmentWide(),
    "trivial_bilinear": v2.TrivialAugmentWide(interpolation=v2.InterpolationMode.BILINEAR),
    "imagenet": v2.AutoAugment(),
    "cifar": v2.AutoAugment(v2.AutoAugmentPolicy.CIFAR10),
    "svhn": v2.AutoAugment(v2.AutoAugmentPolicy.SVHN, fill=0),
}
MIXES = {
    "augmix": v2.AugMix(),
    "augmix_deep": v2.AugMix(severity=8, mixture_width=2, chain_depth=2, all_ops=False, interpolation="nearest"),
}


def run_chain(transform, patch, row):
    """torchvision's own operations, one after the other."""
    for operation, magnitude in zip(row["operation"].tolist(), row["magnitude"].tolist(), strict=True):
        patch = transform._apply_image_or_video_transform(
            patch, NAMES[operation], magnitude, interpolation=transform.interpolation, fill=transform._fill
        )
    return patch


def run_mix(transform, patch, row):
    """torchvision's own mixing of chains of them."""
    mixed = row["own_weight"] * patch
    for weight, operation, magnitude in zip(row["weights"], row["operation"], row["magnitude"], strict=True):
        chain = run_chain(transform, patch, {"operation": operation, "magnitude": magnitude})
        mixed += weight * chain
    return mixed.to(patch.dtype)


@pytest.mark.parametrize("name", CHAINS)
@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32], ids=["uint8", "float32"])
@pytest.mark.parametrize("channels", [1, 3])
def test_chains_equal_the_loop(check_equals_loop, name, dtype, channels):
    check_equals_loop(CHAINS[name], dtype=dtype, channels=channels, replay=run_chain, size=12)


@pytest.mark.parametrize("name", MIXES)
@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32], ids=["uint8", "float32"])
@pytest.mark.parametrize("channels", [1, 3])
def test_mixes_equal_the_loop(check_equals_loop, name, dtype, channels):
    check_equals_loop(MIXES[name], dtype=dtype, channels=channels, replay=run_mix, size=12)


class Recorder:
    """Writes down what torchvision draws inside its forward."""

    def __init__(self, transform, monkeypatch):
        self.drawn = []
        self.transform = transform
        monkeypatch.setattr(
            type(transform),
            "_apply_image_or_video_transform",
            lambda _, image, name, magnitude, **options: self.note(image, name, magnitude),
        )

    def note(self, image, name, magnitude, **options):
        self.drawn[-1].append((NAMES.index(name), magnitude))
        return image

    def draw(self, count, size):
        image = tv_tensors.Image(torch.zeros(3, size, size, dtype=torch.uint8))
        for _ in range(count):
            self.drawn.append([])
            self.transform(image)
        return self.drawn


@pytest.mark.parametrize("name", ["rand", "trivial", "imagenet", "cifar", "svhn"])
def test_draws(monkeypatch, draw_ours, check_same_distribution, name):
    transform = CHAINS[name]
    torch.manual_seed(1)
    theirs = Recorder(transform, monkeypatch).draw(5000, 32)
    ours = draw_ours(transform, size=32, seed=3)
    kept = ours["operation"] != 0
    # How many operations act, which, and how strongly; numbers without a magnitude are 0 in both.
    named = [[(number, magnitude) for number, magnitude in row if number] for row in theirs]
    check_same_distribution(kept.sum(-1), [len(row) for row in named])
    check_same_distribution(ours["operation"][kept], [number for row in named for number, _ in row])
    both = ours["operation"] * 1000 + ours["magnitude"]
    check_same_distribution(both[kept], [number * 1000 + magnitude for row in named for number, magnitude in row])


def test_augmix_draws(monkeypatch, draw_ours, check_same_distribution):
    transform = v2.AugMix(alpha=0.7)
    weights = []
    sample = transform._sample_dirichlet
    monkeypatch.setattr(v2.AugMix, "_sample_dirichlet", lambda self, rate: weights.append(sample(rate)) or weights[-1])
    torch.manual_seed(1)
    theirs = Recorder(transform, monkeypatch).draw(5000, 32)
    ours = draw_ours(transform, size=32)
    own, chains = torch.cat(weights[0::2]), torch.cat(weights[1::2])
    check_same_distribution(ours["own_weight"], own[:, 0])
    check_same_distribution(ours["weights"][:, 0], chains[:, 0] * own[:, 1])
    kept = ours["operation"] != 0
    check_same_distribution(kept.flatten(1).sum(-1), [len(row) for row in theirs])
    both = (ours["operation"] * 1000 + ours["magnitude"])[kept]
    check_same_distribution(both, [number * 1000 + magnitude for row in theirs for number, magnitude in row])


def test_augmix_is_looped_with_a_fill():
    ((_, how),) = PerSegment(v2.AugMix(fill=9)).lowered
    assert how.startswith("looped: fill=9")


def test_augmix_keeps_the_outline(make_tokens):
    tokens = make_tokens(20)
    out = PerSegment(v2.AugMix())(tokens)
    assert torch.equal(out.alpha, tokens.alpha)
    outside = np.asarray(tokens.alpha == 0)
    assert not np.asarray(out.patches)[np.broadcast_to(outside[:, None], out.patches.shape)].any()
