"""A training step of S-ViT on photos' segments against the same model on 196 tokens of a grid (ViT). One thread.

Is S-ViT as many times faster as its floating-point operations are fewer? At most 20 % should lie between the two.

Run: uv run --extra dev --extra train python benchmarks/training_step.py
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import argparse
import itertools
import statistics
import time
from collections.abc import Callable

import torch
import torch.nn.functional as F
from _timing import print_machine, ratio_quartiles
from skimage import data
from torch.utils.flop_counter import FlopCounterMode
from torchvision.transforms import v2

from segaug import Grid, Segment, SegmentTokens, Tokenize, collate
from segaug.data import parse_segmenter
from segaug.models import SViT, svit_tiny
from segaug.training import make_optimizer, split_by_length

SIZE = 224
PHOTOS = (data.astronaut, data.chelsea, data.coffee, data.rocket)


def make_images(count: int) -> list[torch.Tensor]:
    """Cuts of scikit-image's photos, of several sizes, so that their numbers of segments differ as photos' do."""
    torch.manual_seed(0)
    cut = v2.RandomResizedCrop(SIZE, scale=(0.1, 1.0))
    photos = [torch.from_numpy(photo()).permute(2, 0, 1) for photo in PHOTOS]
    return [cut(photo) for photo in itertools.islice(itertools.cycle(photos), count)]


def make_step(model: SViT, parts: list[tuple[SegmentTokens, torch.Tensor]]) -> Callable[[], None]:
    """Forward, backward and AdamW; the parts' losses are weighted to that of the whole batch."""
    model.train()
    optimizer, total = make_optimizer(model), sum(len(targets) for _, targets in parts)

    def step() -> None:
        optimizer.zero_grad()
        for tokens, targets in parts:
            (F.cross_entropy(model(tokens), targets, reduction="sum") / total).backward()
        optimizer.step()

    return step


def measure(ways: dict[str, Callable[[], None]], rounds: int) -> dict[str, list[float]]:
    """Milliseconds of the processor per step, in turn: with one thread that is the time, on a busy machine too."""
    times: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, way in ways.items():
            start = time.process_time()
            way()
            times[name].append((time.process_time() - start) * 1e3)
    return times


def count_operations(step: Callable[[], None]) -> float:
    """Floating-point operations of a step, in 10^9."""
    counter = FlopCounterMode(display=False)
    with counter:
        step()
    return counter.get_total_flops() / 1e9


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch-size", type=int, default=16, help="default: %(default)s")
    parser.add_argument("--rounds", type=int, default=7, help="default: %(default)s")
    parser.add_argument("--segmenter", default="felzenszwalb:scale=150,min_size=60", help="default: %(default)s")
    args = parser.parse_args()
    torch.set_num_threads(1)
    images, targets = make_images(args.batch_size), torch.randint(10, (args.batch_size,))
    segment, tokenize = Segment(parse_segmenter(args.segmenter)), Tokenize()
    tokens = [tokenize(segment(image)) for image in images]
    counts = [one.num_tokens for one in tokens]
    mean = round(statistics.mean(counts))
    batch = collate(tokens)
    grid = collate([Tokenize(background=False)(Segment(Grid(14, 14))(image)) for image in images])
    print_machine()
    print(f"svit_tiny, {args.batch_size} photos of {SIZE}x{SIZE}, {args.segmenter}: {min(counts)} to {max(counts)} tokens, "
          f"mean {mean}")  # fmt: skip

    def make(**options: bool) -> SViT:
        torch.manual_seed(0)
        return svit_tiny(10, **options)

    ways = {
        "grid, 196 tokens (ViT)": make_step(make(), [(grid, targets)]),
        f"S-ViT, {mean} tokens each": make_step(make(), [(grid[:, :mean], targets)]),
        "S-ViT, padded": make_step(make(), [(batch, targets)]),
        "S-ViT, packed": make_step(make(packed=True), [(batch, targets)]),
        "S-ViT, split by length": make_step(make(), split_by_length(batch, targets)),
    }
    operations = {name: count_operations(step) for name, step in ways.items()}
    times = measure(ways, args.rounds)
    base = next(iter(ways))
    print(f"\n{'way':<26}{'median ms':>10}{'GFLOP':>8}{'fewer':>8}{'faster':>8}{'of rounds':>14}{'faster/fewer':>14}")
    for name, values in times.items():
        low, faster, high = ratio_quartiles(times[base], values)
        fewer = operations[base] / operations[name]
        spread = f"{low:.2f} .. {high:.2f}"
        print(f"{name:<26}{statistics.median(values):>10.0f}{operations[name]:>8.1f}{fewer:>8.2f}{faster:>8.2f}{spread:>14}"
              f"{faster / fewer:>14.2f}")  # fmt: skip


if __name__ == "__main__":
    main()
