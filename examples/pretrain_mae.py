"""Pretrain an S-ViT without labels: three quarters of the tokens are hidden, and their pixels predicted.

    uv run --extra train examples/pretrain_mae.py --data FOLDER --segmenter felzenszwalb --epochs 100 --out runs/pretrained
    uv run --extra train examples/train_svit.py --data FOLDER --weights runs/pretrained/encoder.safetensors

The training images of --data are used, and their classes are not. The last line printed is one JSON object.
"""

import os

# As in train_svit.py: OpenMP reads this when torch is loaded.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import argparse
import json
import shlex
import sys
import time
from pathlib import Path
from typing import Any

import torch

from segaug import RandomMirror, Tokenize, models
from segaug.data import (
    ImageFolder,
    Images,
    TokenDataset,
    TokenSet,
    TokenStore,
    load_tokens,
    open_data,
    parse_options,
    parse_segmenter,
    seeded_stream,
)
from segaug.training import Recipe, RunFolder, TrainingOptions, make_recipe, pretrain

MODELS = ("svit_micro", "svit_tiny", "svit_small", "svit_base")
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "segaug"
# What a resumed run may change.
NOT_SETTINGS = ("cache", "device", "out", "resume", "workers")
PROGRAM = "pretrain_mae"


def parse_arguments() -> argparse.Namespace:
    """Read the command line; with --resume, what it leaves out is as in the resumed run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--data", default="scenes:count", help="scenes:count|majority|relation|orientation, or a folder of photos, sorted "
        "as for train_svit.py or not at all")  # fmt: skip
    add("--segmenter", help="as for train_svit.py")
    add("--augment", choices=("mirror", "none", "image", "segment"), default="mirror", help="default: %(default)s")
    add("--model", choices=MODELS, default="svit_micro", help="default: %(default)s")
    add("--model-options", type=model_options, default={}, metavar="OPTION=VALUE,...", help="as for train_svit.py")
    add("--aspect", choices=("stretch", "keep"), default="stretch", help="as for train_svit.py, default: %(default)s")
    add("--edges", choices=("soft", "hard", "box"), default="soft", help="as for train_svit.py, default: %(default)s")
    add("--mask-ratio", type=float, default=0.75, help="share of the tokens to hide, default: %(default)s")
    add("--pixels", choices=("normalized", "plain"), default="normalized", help="what is predicted: pixels less their "
        "segment's mean and over its spread, or as they are; default: %(default)s")  # fmt: skip
    add("--epochs", type=int, default=100, help="default: %(default)s")
    add("--batch-size", type=int, default=64, help="default: %(default)s")
    add("--lr", type=float, default=1e-3, help="highest learning rate, default: %(default)s")
    add("--size", type=int, help="height and width of the images; default: 144 for folders, 96 for scenes")
    add("--max-segments", type=int, default=196, help="segments per image, the largest; default: %(default)s")
    add("--scenes", type=int, default=4000, help="how many scenes, default: %(default)s")
    add("--seed", type=int, default=0, help="default: %(default)s")
    add("--workers", type=int, default=min(8, os.cpu_count() or 1), help="default: %(default)s")
    add("--device", choices=("auto", "cpu", "cuda"), default="auto", help="default: %(default)s")
    add("--precision", choices=("no", "bf16"), default="no", help="default: %(default)s")
    add("--skip-bad", action="store_true", help="leave out images that cannot be read, instead of stopping")
    add("--cache", type=Path, default=CACHE, help="where tokens are kept, default: %(default)s")
    add("--out", type=Path, help="the run's folder, default: runs/pretrain-TIME")
    add("--resume", type=Path, metavar="RUN", help="go on with the run in this folder")
    args = parser.parse_args()
    if args.resume is not None:
        if args.out is not None:
            parser.error("--resume goes on in the run's own folder: leave out --out")
        before = RunFolder(args.resume, resume=True).settings
        if before.get("program", PROGRAM) != PROGRAM:
            raise ValueError(f"{args.resume} is a run of examples/{before['program']}.py, which goes on with it")
        parser.set_defaults(**{name: value for name, value in before.items() if name in vars(args)})
        args = parser.parse_args()
    # Before hours of segmenting, and not after.
    TrainingOptions(epochs=args.epochs, batch_size=args.batch_size, lr=args.lr, seed=args.seed)
    return args


def model_options(text: str) -> dict[str, Any]:
    """Read OPTION=VALUE,OPTION=VALUE."""
    try:
        return parse_options(f"model,{text}")[1]
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def load(args: argparse.Namespace) -> TokenSet:
    """Load the tokens."""
    folder = Path(args.data)
    if folder.is_dir() and not (folder / "train").is_dir():
        # Photos that nobody has sorted: one class, which is not looked at.
        images: Images = ImageFolder(folder.resolve().parent, size=args.size or 144, classes=[folder.resolve().name])
        has_segments = False
    else:
        data = open_data(args.data, size=args.size, seed=args.seed, num_scenes=(args.scenes, 1))
        images, has_segments = data.train, data.has_segments
    name = args.segmenter or ("true" if has_segments else "felzenszwalb")
    if name == "true" and not has_segments:
        raise ValueError(f"--segmenter true is for scenes, which bring their segments; {args.data} has none")
    segmenter = None if name == "true" else parse_segmenter(name)
    tokenize = Tokenize(max_segments=args.max_segments, aspect=args.aspect, edges=args.edges)
    dataset = TokenDataset(images, segmenter, tokenize, TokenStore(args.cache))
    tokens = load_tokens(dataset, workers=args.workers, skip_bad=args.skip_bad, progress="images")
    print(f"images: {tokens.report}")
    return tokens


def main() -> dict[str, Any]:
    """Pretrain."""
    args = parse_arguments()
    if args.device == "auto":
        args.device = "cuda" if torch.cuda.is_available() else "cpu"
    out = args.resume or args.out or Path("runs") / f"pretrain-{time.strftime('%Y%m%d-%H%M%S')}"
    run = RunFolder(out, resume=args.resume is not None)
    print(f"run: {run.folder}")
    tokens = load(args)
    if args.augment == "mirror":
        recipe = Recipe(tokens=RandomMirror())
    else:
        recipe = make_recipe(args.augment, image_size=tokens.source.images.size)
    with seeded_stream(args.seed):
        # Without drop path, as in MAE: hiding is noise enough.
        encoder = getattr(models, args.model)(len(tokens.classes), **{"drop_path_rate": 0.0, **args.model_options})
        model = models.MaskedSViT(encoder, mask_ratio=args.mask_ratio, normalize=args.pixels == "normalized")
    result = pretrain(
        model,
        tokens,
        run,
        recipe=recipe,
        epochs=args.epochs,
        batch_size=args.batch_size,
        lr=args.lr,
        seed=args.seed,
        workers=args.workers,
        device=args.device,
        precision=args.precision,
        settings={"program": PROGRAM, **{key: value for key, value in vars(args).items() if key not in NOT_SETTINGS}},
    )
    command = ["examples/train_svit.py", "--weights", result["encoder"]]
    for name in ("data", "segmenter", "model", "size", "max_segments", "aspect", "edges"):
        if getattr(args, name) is not None:
            command += [f"--{name.replace('_', '-')}", str(getattr(args, name))]
    if args.model_options:
        command += ["--model-options", ",".join(f"{name}={value}" for name, value in args.model_options.items())]
    print(f"fine-tune with: {shlex.join(command)}")
    return result


if __name__ == "__main__":
    try:
        print(json.dumps(main()))
    except (FloatingPointError, ImportError, MemoryError, OSError, TypeError, ValueError) as error:
        print(f"{Path(sys.argv[0]).name}: error: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print("interrupted; --resume RUN goes on after the last finished epoch", file=sys.stderr)
        sys.exit(130)
