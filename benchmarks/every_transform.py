"""Every torchvision transform that PerSegment batches, against its loop: 196 tokens of 16x16, one thread.

Run: uv run --extra dev python benchmarks/every_transform.py [--write]

--write keeps the figures in docs/data/every_transform.csv, from which docs/scripts/make_tables.py makes the docs' table.
"""

import argparse
import csv
import statistics
from pathlib import Path

import torch
from _timing import measure, print_machine, ratio_quartiles
from skimage import data
from torchvision.transforms import v2

from segaug import Grid, PerSegment, Segment, Tokenize
from segaug.transforms._engine._refused import REFUSED
from segaug.transforms._engine._samples import SAMPLES, torchvision_classes

FIGURES = Path(__file__).parents[1] / "docs" / "data" / "every_transform.csv"
# They take floats only.
FLOAT = (v2.GaussianNoise, v2.Normalize)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--only", nargs="*", default=(), help="names of classes; default: all")
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    image = v2.functional.resize(torch.from_numpy(data.astronaut()).permute(2, 0, 1), [224, 224])
    levels = Tokenize(background=False)(Segment(Grid(14, 14))(image))
    floats = v2.ToDtype(torch.float32, scale=True)(levels)
    print_machine()
    print(f"\n{'class':<28}{'batched ms':>12}{'loop ms':>10}{'times faster':>14}{'quartiles':>18}")
    rows = []
    for kind in torchvision_classes():
        if kind in REFUSED or (options.only and kind.__name__ not in options.only):
            continue
        batched = PerSegment(SAMPLES[kind]())
        if any(how != "batched" for _, how in batched.lowered):
            continue
        loop, tokens = PerSegment(SAMPLES[kind](), vectorized=False), floats if kind in FLOAT else levels
        ways = {"batched": lambda f=batched, x=tokens: f(x), "loop": lambda f=loop, x=tokens: f(x)}
        times = measure(ways, rounds=options.rounds)
        low, ratio, high = ratio_quartiles(times["loop"], times["batched"])
        fast, slow = statistics.median(times["batched"]), statistics.median(times["loop"])
        rows.append([kind.__name__, f"{fast:.2f}", f"{slow:.1f}", f"{ratio:.1f}", f"{low:.1f}", f"{high:.1f}"])
        print(
            f"{kind.__name__:<28}{fast:>12.2f}{slow:>10.1f}{ratio:>14.1f}{f'{low:.1f} .. {high:.1f}':>18}", flush=True
        )
    ratios = [float(row[3]) for row in rows]
    print(f"\n{len(rows)} classes; median {statistics.median(ratios):.1f}, least {min(ratios):.1f}")
    if options.write and not options.only:
        FIGURES.parent.mkdir(exist_ok=True)
        part = FIGURES.with_suffix(".part")
        with part.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(["class", "batched_ms", "loop_ms", "ratio", "ratio_low", "ratio_high"])
            writer.writerows(rows)
        part.replace(FIGURES)


if __name__ == "__main__":
    main()
