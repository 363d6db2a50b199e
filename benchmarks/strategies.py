"""How long segaug.testing's strategies take to draw 100 examples, as a test draws them. One thread.

Run: uv run --extra dev python benchmarks/strategies.py
"""

import statistics
import time

import torch
from _timing import print_machine
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.strategies import SearchStrategy

from segaug.testing import strategies

ROUNDS = 7
STRATEGIES = {
    "images()": strategies.images(),
    "images(max_side=64, batch=(1, 4))": strategies.images(max_side=64, batch=(1, 4)),
    "segment_maps()": strategies.segment_maps(),
    "segment_maps(max_side=64)": strategies.segment_maps(max_side=64),
    "masks()": strategies.masks(),
    "boxes()": strategies.boxes(),
    "keypoints()": strategies.keypoints(),
    "segmented_images()": strategies.segmented_images(),
    "segmented_images(max_side=64)": strategies.segmented_images(max_side=64),
    "segmented_images(size=(64, 64))": strategies.segmented_images(size=(64, 64)),
    "segmented_images(size=(256, 256))": strategies.segmented_images(size=(256, 256)),
    "segment_tokens()": strategies.segment_tokens(),
    "segment_tokens(batch=(1, 4))": strategies.segment_tokens(batch=(1, 4)),
    "annotated_images()": strategies.annotated_images(),
}


def seconds(strategy: SearchStrategy[object]) -> float:
    @settings(
        max_examples=100,
        database=None,
        deadline=None,
        phases=set(Phase) - {Phase.shrink},
        suppress_health_check=list(HealthCheck),
    )
    @given(strategy)
    def draw(example: object) -> None:
        pass

    start = time.perf_counter()
    draw()
    return time.perf_counter() - start


def main() -> None:
    torch.set_num_threads(1)
    print_machine()
    print(f"\nseconds per 100 examples, {ROUNDS} rounds")
    print(f"{'strategy':<44}{'median':>10}{'quartiles':>18}")
    for name, strategy in STRATEGIES.items():
        seconds(strategy)
        low, median, high = statistics.quantiles([seconds(strategy) for _ in range(ROUNDS)], n=4)
        print(f"{name:<44}{median:>10.2f}{f'{low:.2f} .. {high:.2f}':>18}", flush=True)


if __name__ == "__main__":
    main()
