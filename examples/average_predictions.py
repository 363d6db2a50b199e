"""Average an S-ViT's predictions over k of the 2^n pictures that one flip of n segments makes.

    uv run --extra train examples/train_svit.py --out runs/scenes
    uv run --extra train examples/average_predictions.py runs/scenes --views 8

The model is the best of a run of train_svit.py; it is tried on that run's validation images. Prints the accuracy of single
predictions and of averaged ones; the last line is one JSON object.
"""

import argparse
import itertools
import json
import sys
from pathlib import Path
from typing import Any

import torch
from torchvision.transforms import v2

from segaug import SegmentTokens, collate, combinations, count_combinations
from segaug.data import TokenDataset, load_tokens, open_data
from segaug.evaluation import load_run


def pick_views(tokens: SegmentTokens, views: int) -> list[SegmentTokens]:
    """The unchanged picture and the next ``views - 1`` of its combinations, or all if there are fewer."""
    return list(itertools.islice(combinations(v2.RandomHorizontalFlip(), tokens), views))


def main() -> dict[str, Any]:
    """Compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, help="the folder of a run of train_svit.py")
    parser.add_argument("--views", type=int, default=8, help="k, the pictures per image; default: %(default)s")
    parser.add_argument("--limit", type=int, default=200, help="validation images; default: %(default)s")
    args = parser.parse_args()
    for name in ("views", "limit"):
        if getattr(args, name) < 1:
            raise ValueError(f"{name} must be at least 1, got {getattr(args, name)}")
    run = load_run(args.run)
    settings = run.settings
    data = open_data(settings["data"], size=run.size, seed=settings["seed"], num_scenes=(1, args.limit))
    images = load_tokens(TokenDataset(data.val, run.segmenter, run.tokenize))
    model = run.model
    right = {"one": 0, "mean": 0}
    number = min(args.limit, len(images))
    with torch.inference_mode():
        for index in range(number):
            tokens, target = images[index]
            probabilities = model(collate(pick_views(tokens, args.views))).softmax(-1)
            right["one"] += int(probabilities[0].argmax() == target)
            right["mean"] += int(probabilities.mean(0).argmax() == target)
    possible = count_combinations(v2.RandomHorizontalFlip(), tokens)
    print(
        f"the last image has {tokens.num_tokens} tokens, so {possible} pictures; {min(args.views, possible)} were averaged"
    )
    return {
        "images": number,
        "views": args.views,
        "accuracy": round(right["one"] / number, 4),
        "accuracy_averaged": round(right["mean"] / number, 4),
    }


if __name__ == "__main__":
    try:
        print(json.dumps(main()))
    except (ImportError, KeyError, OSError, TypeError, ValueError) as error:
        print(f"{Path(sys.argv[0]).name}: error: {error}", file=sys.stderr)
        sys.exit(2)
