"""Average an S-ViT's predictions over k of the 2^n pictures that one flip of n segments makes.

    uv run --extra train examples/train_svit.py --out runs/scenes
    uv run --extra train examples/average_predictions.py runs/scenes --views 8

The model is the best of a run of train_svit.py; it is tried on some of that run's validation images, chosen by --seed. Prints
the accuracy of single predictions and of averaged ones; the last line is one JSON object.
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
from segaug.data import TokenDataset, seeded_stream
from segaug.evaluation import load_run, open_images


def pick_views(tokens: SegmentTokens, views: int) -> list[SegmentTokens]:
    """The unchanged picture and the next ``views - 1`` of its combinations, or all if there are fewer."""
    return list(itertools.islice(combinations(v2.RandomHorizontalFlip(), tokens), views))


def main() -> dict[str, Any]:
    """Compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, help="the folder of a run of train_svit.py")
    parser.add_argument("--views", type=int, default=8, help="k, the pictures per image; default: %(default)s")
    parser.add_argument("--limit", type=int, default=200, help="validation images at most; default: %(default)s")
    parser.add_argument("--seed", type=int, default=0, help="decides which images; default: %(default)s")
    args = parser.parse_args()
    for name, least in (("views", 1), ("limit", 1), ("seed", 0)):
        if getattr(args, name) < least:
            raise ValueError(f"--{name} must be at least {least}, got {getattr(args, name)}")
    run = load_run(args.run)
    model = run.model
    # An image is segmented when it is asked for, so only these are.
    images = TokenDataset(open_images(run), run.segmenter, run.tokenize)
    with seeded_stream(args.seed):
        # In a folder's order the first ones would be of the first class.
        chosen = torch.randperm(len(images))[: args.limit].tolist()
    right = {"one": 0, "mean": 0}
    with torch.inference_mode():
        for index in chosen:
            tokens, target = images[index]
            probabilities = model(collate(pick_views(tokens, args.views))).softmax(-1)
            right["one"] += int(probabilities[0].argmax() == target)
            right["mean"] += int(probabilities.mean(0).argmax() == target)
    print(f"measured on {len(chosen)} of {len(images)} validation images, chosen by --seed {args.seed}")
    possible = count_combinations(v2.RandomHorizontalFlip(), tokens)
    print(
        f"the last image has {tokens.num_tokens} tokens, so {possible} pictures; {min(args.views, possible)} were averaged"
    )
    return {
        "images": len(chosen),
        "views": args.views,
        "accuracy": round(right["one"] / len(chosen), 4),
        "accuracy_averaged": round(right["mean"] / len(chosen), 4),
    }


if __name__ == "__main__":
    try:
        print(json.dumps(main()))
    except (ImportError, KeyError, OSError, TypeError, ValueError) as error:
        print(f"{Path(sys.argv[0]).name}: error: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        sys.exit(130)
