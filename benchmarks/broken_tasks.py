"""Augmentations that break a task must cost accuracy on it: flips on orientation, box jitter on relation.

Trains a small S-ViT on drawn scenes with and without, same steps, and prints the accuracy on scenes it has not seen.

Run: uv run --extra dev python benchmarks/broken_tasks.py
"""

import torch
from torch import nn
from torchvision.transforms import v2

from segaug import PerSegment, PositionJitter, SegmentTokens, Tokenize, collate
from segaug.data import Scenes
from segaug.models import SViT

BATCH = 32


def make_tokens(task: str, n: int, seed: int) -> tuple[list[SegmentTokens], torch.Tensor]:
    # Without the background token, whose holes show where the segments are.
    tokenize = Tokenize(background=False)
    scenes = Scenes(task, n=n, size=64, seed=seed)
    items = [scenes[i] for i in range(n)]
    return [tokenize(sample) for sample, _ in items], torch.tensor([target for _, target in items])


def accuracy(task: str, transform: v2.Transform | None, *, n: int, epochs: int, seed: int) -> float:
    torch.manual_seed(seed)
    train, targets = make_tokens(task, n, seed=1)
    val, val_targets = make_tokens(task, 500, seed=2)
    model = SViT(int(targets.max()) + 1, embed_dim=96, depth=3, num_heads=3, pool="mean", alpha_channel=True)
    steps = epochs * (n // BATCH)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 1e-3, total_steps=steps, pct_start=0.1)
    for _ in range(epochs):
        for index in torch.randperm(n).view(-1, BATCH):
            tokens = collate([train[i] for i in index])
            tokens = tokens if transform is None else transform(tokens)
            loss = nn.functional.cross_entropy(model(tokens), targets[index])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    model.eval()
    with torch.inference_mode():
        right = model(collate(val)).argmax(-1) == val_targets
    return float(right.float().mean())


def main() -> None:
    cases = {
        "orientation": ("PerSegment(RandomHorizontalFlip + RandomVerticalFlip)", 1600, 8),
        "relation": ("PositionJitter(0.4, 0)", 2016, 24),
    }
    transforms = {
        "orientation": PerSegment(v2.Compose([v2.RandomHorizontalFlip(), v2.RandomVerticalFlip()])),
        "relation": PositionJitter(0.4, 0.0),
    }
    print(f"{'task':<14}{'augmentation':<56}{'accuracy, seeds 0, 1, 2':>28}")
    for task, (name, n, epochs) in cases.items():
        for title, transform in (("none", None), (name, transforms[task])):
            values = [accuracy(task, transform, n=n, epochs=epochs, seed=seed) for seed in range(3)]
            print(f"{task:<14}{title:<56}{', '.join(f'{value:.3f}' for value in values):>28}", flush=True)


if __name__ == "__main__":
    main()
