"""Pretrain an S-ViT without labels: three quarters of the tokens are hidden, and their pixels predicted.

    uv run --extra train examples/pretrain_mae.py --data FOLDER --segmenter felzenszwalb --epochs 100 --out runs/pretrained
    uv run --extra train examples/train_svit.py --data FOLDER --weights runs/pretrained/encoder.safetensors

The training images of --data are used, and their classes are not. Photos that nobody has sorted do as well, in any folders
below FOLDER (without one named train); to fine-tune, some have to be sorted. The last line printed is one JSON object.
"""

import os

# As in train_svit.py: OpenMP reads this when torch is loaded.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import argparse
import inspect
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
# Under accelerate launch there are several processes, and the first one speaks.
PROCESSES, IS_MAIN = int(os.environ.get("WORLD_SIZE", "1")), os.environ.get("RANK", "0") == "0"
# Options of a model that must be as the tokens are.
FIXED = {"patch_size": 16, "in_chans": 3}
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
    if PROCESSES > 1 and args.out is None and args.resume is None:
        # Named by the clock, it could be another folder in each process.
        raise ValueError(f"--out must be given with several processes, there are {PROCESSES}")
    # Before hours of segmenting, and not after.
    TrainingOptions(epochs=args.epochs, batch_size=args.batch_size, lr=args.lr, seed=args.seed)
    for name in ("max_segments", "scenes"):
        if getattr(args, name) < 1:
            raise ValueError(f"--{name.replace('_', '-')} must be at least 1, got {getattr(args, name)}")
    if not 0.0 < args.mask_ratio < 1.0:
        raise ValueError(f"--mask-ratio must be above 0 and below 1, got {args.mask_ratio}")
    if args.device == "auto":
        args.device = "cuda" if torch.cuda.is_available() else "cpu"
    elif args.device == "cuda" and not torch.cuda.is_available():
        raise ValueError("--device cuda needs a GPU that torch can use; there is none")
    return args


def model_options(text: str) -> dict[str, Any]:
    """Read OPTION=VALUE,OPTION=VALUE."""
    try:
        options = parse_options(f"model,{text}")[1]
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
    known = [name for name in inspect.signature(models.SViT).parameters if name != "num_classes"]
    for name, value in options.items():
        if name not in known:
            raise argparse.ArgumentTypeError(f"a model has the options {', '.join(known)}, got {name!r}")
        if value != FIXED.get(name, value):
            raise argparse.ArgumentTypeError(f"{name} must be {FIXED[name]}, as the tokens have it, got {value!r}")
    return options


def is_unsorted(data: str) -> bool:
    """Whether it is a folder of photos without train/CLASS."""
    return Path(data).is_dir() and not (Path(data) / "train").is_dir()


def open_images(args: argparse.Namespace) -> tuple[Images, bool]:
    """Open the images, and say whether they bring their segments."""
    if is_unsorted(args.data):
        return ImageFolder(args.data, size=144 if args.size is None else args.size, unsorted=True), False
    data = open_data(args.data, size=args.size, seed=args.seed, num_scenes=(args.scenes, 1))
    return data.train, data.has_segments


def make_model(args: argparse.Namespace, num_classes: int) -> models.MaskedSViT:
    """Make the encoder, and the decoder that pretrains it."""
    with seeded_stream(args.seed):
        # Without drop path, as in MAE: hiding is noise enough.
        encoder = getattr(models, args.model)(num_classes, **{"drop_path_rate": 0.0, **args.model_options})
        return models.MaskedSViT(encoder, mask_ratio=args.mask_ratio, normalize=args.pixels == "normalized")


def load(args: argparse.Namespace, images: Images, has_segments: bool) -> TokenSet:
    """Make the tokens, or read them where they are kept."""
    name = args.segmenter or ("true" if has_segments else "felzenszwalb")
    if name == "true" and not has_segments:
        raise ValueError(f"--segmenter true is for scenes, which bring their segments; {args.data} has none")
    segmenter = None if name == "true" else parse_segmenter(name)
    if args.augment == "image" and isinstance(segmenter, tuple):
        raise ValueError(f"--segmenter must be one for --augment image, which changes an image and one map, got {name}")
    tokenize = Tokenize(max_segments=args.max_segments, aspect=args.aspect, edges=args.edges)
    dataset = TokenDataset(images, segmenter, tokenize, TokenStore(args.cache))
    tokens = load_tokens(dataset, workers=args.workers, skip_bad=args.skip_bad, progress="images" if IS_MAIN else None)
    say(f"images: {tokens.report}")
    return tokens


def say(text: str) -> None:
    """Print, once for all processes."""
    if IS_MAIN:
        print(text)


def fine_tuning(args: argparse.Namespace, encoder: str) -> str:
    """Say how to go on from the encoder."""
    # Photos that nobody has sorted have no classes to learn.
    unsorted = is_unsorted(args.data)
    given = {**vars(args), "data": "FOLDER" if unsorted else args.data}
    command = ["examples/train_svit.py", "--weights", encoder]
    for name in ("data", "segmenter", "model", "size", "max_segments", "aspect", "edges"):
        if given[name] is not None:
            command += [f"--{name.replace('_', '-')}", str(given[name])]
    # The distillation token is for a teacher, which train_svit.py has not.
    options = {name: value for name, value in args.model_options.items() if name != "distillation"}
    if options:
        command += ["--model-options", ",".join(f"{name}={value}" for name, value in options.items())]
    where = ", with sorted photos in FOLDER/train/CLASS and FOLDER/val/CLASS," if unsorted else ""
    return f"fine-tune{where} with: {shlex.join(command)}"


def main() -> dict[str, Any]:
    """Check what is asked for, and pretrain."""
    args = parse_arguments()
    out = args.resume or args.out or Path("runs") / f"pretrain-{time.strftime('%Y%m%d-%H%M%S')}"
    try:
        run = RunFolder(out, resume=args.resume is not None)
    except (OSError, ValueError) as error:
        raise ValueError(f"--out: {error}") from error
    say(f"run: {run.folder}")
    try:
        return train(args, run)
    except KeyboardInterrupt as stop:
        if run.last.is_file():
            raise KeyboardInterrupt(f"--resume {run.folder} goes on after the last finished epoch") from stop
        raise


def train(args: argparse.Namespace, run: RunFolder) -> dict[str, Any]:
    """Make the model and the tokens, and pretrain."""
    images, has_segments = open_images(args)
    # Before the tokens: what is wrong with the model's options is said before hours of segmenting.
    model = make_model(args, len(images.classes))
    mirror = Recipe(tokens=RandomMirror())
    recipe = mirror if args.augment == "mirror" else make_recipe(args.augment, image_size=images.size)
    result = pretrain(
        model,
        load(args, images, has_segments),
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
    say(fine_tuning(args, result["encoder"]))
    return result


if __name__ == "__main__":
    try:
        say(json.dumps(main()))
    except (FloatingPointError, ImportError, MemoryError, OSError, TypeError, ValueError) as error:
        print(f"{Path(sys.argv[0]).name}: error: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt as stop:
        if IS_MAIN:
            print("interrupted;", *(stop.args or ["nothing was saved yet to go on from"]), file=sys.stderr)
        sys.exit(130)
