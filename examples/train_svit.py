"""Train an S-ViT on segment tokens: drawn scenes, your own photos in FOLDER/{train,val}/CLASS/*.jpg, or a dataset by name.

    uv run --extra train examples/train_svit.py
    uv run --extra train examples/train_svit.py --data FOLDER --segmenter felzenszwalb --augment segment --epochs 40
    accelerate launch --multi_gpu --num_processes 2 examples/train_svit.py --data FOLDER --out RUN

Segmenting and tokenising happen once per image; the result is kept in --cache for later runs. The last line printed is
one JSON object; ``segaug evaluate RUN --data DATA`` measures the run in detail.
"""

import os

# Threads that wait for each other sleep instead of spinning: with spinning ones, a second busy process on the machine
# (a loader's worker) makes small operations fifty times slower. OpenMP reads this when torch is loaded.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import argparse
import inspect
import json
import sys
import time
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any

import torch

from segaug import SegmentMix, Tokenize, models
from segaug.data import (
    DataSplits,
    TokenDataset,
    TokenSet,
    TokenStore,
    load_tokens,
    open_data,
    parse_options,
    parse_segmenter,
    seeded_stream,
)
from segaug.training import (
    RECIPES,
    CsvLogger,
    Recipe,
    RunFolder,
    TensorBoardLogger,
    TrainingOptions,
    fit,
    load_encoder,
    make_recipe,
)

MODELS = ("svit_micro", "svit_tiny", "svit_small", "svit_base")
LOGGERS = {"csv": (CsvLogger, "log.csv"), "tensorboard": (TensorBoardLogger, "tensorboard")}
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "segaug"
# Under accelerate launch there are several processes, and the first one speaks.
PROCESSES, IS_MAIN = int(os.environ.get("WORLD_SIZE", "1")), os.environ.get("RANK", "0") == "0"
# Options of a model that must be as the tokens and the loop here have them.
FIXED = {
    "patch_size": (16, "the size of the tokens' patches"),
    "in_chans": (3, "the channels of the tokens' patches"),
    "distillation": (False, "as no option here gives a teacher; segaug.training.fit takes one"),
}
# What a resumed run may change.
NOT_SETTINGS = ("cache", "checkpoint_steps", "device", "download", "log", "out", "resume", "workers")
PROGRAM = "train_svit"


def parse_arguments() -> argparse.Namespace:
    """Read the command line; with --resume, what it leaves out is as in the resumed run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument_group("data").add_argument
    add("--data", default="scenes:count", help="scenes:count|majority|relation|orientation, a folder, torchvision:NAME, "
        "or hf:NAME (default: %(default)s)")  # fmt: skip
    add("--download", action="store_true", help="let torchvision download the dataset")
    add("--size", type=int, help="height and width of the images; default: 144, 96 for scenes")
    add("--limit-per-class", type=int, help="train on so many images of each class, chosen by --seed")
    add("--scenes", type=int, default=4000, help="how many scenes to train on, default: %(default)s")
    add("--skip-bad", action="store_true", help="leave out images that cannot be read, instead of stopping")
    add("--cache", type=Path, default=CACHE, help="where tokens are kept, also to be given with --resume; "
        "default: %(default)s")  # fmt: skip

    add = parser.add_argument_group("tokens").add_argument
    add("--segmenter", help="true (the scenes' own, their default), felzenszwalb (the others' default), grid, slic, "
        "voronoi, watershed or sam; options as in felzenszwalb:scale=60,min_size=25; + between two for both")  # fmt: skip
    add("--max-segments", type=int, default=196, help="segments per image, the largest; default: %(default)s")
    add("--aspect", choices=("stretch", "keep"), default="stretch", help="proportions of a token, default: %(default)s")
    add("--edges", choices=("soft", "hard", "box"), default="soft", help="a token's edges, default: %(default)s")

    add = parser.add_argument_group("model").add_argument
    add("--model", choices=MODELS, default="svit_micro", help="default: %(default)s")
    add(
        "--model-options",
        type=model_options,
        default={},
        metavar="OPTION=VALUE,...",
        help="as in pool=cls,position=mlp",
    )
    add("--weights", type=Path, help="start from the encoder.safetensors of examples/pretrain_mae.py")
    add("--vit-weights", type=Path, help="start from the weights of a timm or torchvision ViT or DeiT, as safetensors")

    add = parser.add_argument_group("training").add_argument
    add("--augment", choices=RECIPES, default="segment", help="default: %(default)s")
    add("--mix", type=float, default=0.0, metavar="P", help="exchange segments between images, with this probability for "
        "each, and mix their classes (SegmentMix); default: %(default)s")  # fmt: skip
    add("--epochs", type=int, default=15, help="default: %(default)s")
    add("--batch-size", type=int, default=24, help="of all processes together, default: %(default)s")
    add("--accumulate", type=int, default=1, help="work through a batch in so many parts or more (with --draw-groups, each "
        "group), to need less memory; default: %(default)s")  # fmt: skip
    add("--lr", type=float, default=1.5e-3, help="highest learning rate, default: %(default)s")
    add("--layer-decay", type=float, default=1.0, help="factor of the rate per layer downwards, default: %(default)s")
    add("--weight-decay", type=float, default=0.05, help="default: %(default)s")
    add("--label-smoothing", type=float, default=0.1, help="default: %(default)s")
    add("--ema-decay", type=float, help="evaluate a running mean of the weights of this decay, as 0.99")
    add("--precision", choices=("no", "bf16", "fp16"), default="no", help="mixed precision, default: %(default)s")
    add("--draw-groups", type=int, help="draws of augmentation per batch, default: as many as processes; a run can go on "
        "with another number of processes if this stays")  # fmt: skip
    add("--seed", type=int, default=0, help="default: %(default)s")

    add = parser.add_argument_group("run").add_argument
    add("--workers", type=int, default=min(8, os.cpu_count() or 1), help="processes that make and augment batches; "
        "default: %(default)s")  # fmt: skip
    add("--device", choices=("auto", "cpu", "cuda"), default="auto", help="default: %(default)s")
    add("--evaluate-every", type=int, default=1, help="epochs between two evaluations, default: %(default)s")
    add("--checkpoint-steps", type=int, help="steps between two checkpoints within an epoch, default: none within")
    add(
        "--log",
        nargs="*",
        choices=LOGGERS,
        help="logs beside metrics.jsonl; --resume goes on with those that are there",
    )
    add("--out", type=Path, help="the run's folder, default: runs/DATA-TIME")
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
    training_options(args)
    for name in ("checkpoint_steps", "max_segments", "limit_per_class", "scenes"):
        value = getattr(args, name)
        if value is not None and value < 1:
            raise ValueError(f"--{name.replace('_', '-')} must be at least 1, got {value}")
    if args.draw_groups is not None and args.draw_groups % PROCESSES:
        raise ValueError(f"--draw-groups must be a multiple of the {PROCESSES} processes, got {args.draw_groups}")
    if not 0.0 <= args.mix <= 1.0:
        raise ValueError(f"--mix must be in [0, 1], got {args.mix}")
    if args.weights is not None and args.vit_weights is not None:
        raise ValueError("--weights and --vit-weights exclude each other, got both")
    return args


def training_options(args: argparse.Namespace) -> TrainingOptions:
    """The numbers of the training, checked."""
    return TrainingOptions(
        **{option.name: getattr(args, option.name) for option in fields(TrainingOptions) if option.name in args}
    )


def model_options(text: str) -> dict[str, Any]:
    """Read OPTION=VALUE,OPTION=VALUE."""
    try:
        options = parse_options(f"model,{text}")[1]
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
    known = [name for name in inspect.signature(models.SViT).parameters if name != "num_classes"]
    for name in options:
        if name not in known:
            raise argparse.ArgumentTypeError(f"a model has the options {', '.join(known)}, got {name!r}")
    for name, (value, reason) in FIXED.items():
        if options.get(name, value) != value:
            raise argparse.ArgumentTypeError(f"{name} must be {value}, {reason}, got {options[name]!r}")
    return options


def open_images(args: argparse.Namespace) -> DataSplits:
    """Open what to train on and to validate on."""
    return open_data(
        args.data,
        size=args.size,
        limit_per_class=args.limit_per_class,
        seed=args.seed,
        num_scenes=(args.scenes, 1000),
        download=args.download,
    )


def make_model(args: argparse.Namespace, num_classes: int) -> models.SViT:
    """Make the model, and give it the weights to start from."""
    with seeded_stream(args.seed):
        model: models.SViT = getattr(models, args.model)(num_classes, **args.model_options)
    if args.resume is None and args.weights is not None:
        try:
            say(f"weights: all from {args.weights} but {', '.join(load_encoder(model, args.weights))}")
        except (OSError, ValueError) as error:
            raise ValueError(f"--weights must be a checkpoint that fits the model: {error}") from error
    if args.resume is None and args.vit_weights is not None:
        take_vit_weights(model, args.vit_weights)
    return model


def take_vit_weights(model: models.SViT, path: Path) -> None:
    """Start from the weights of a ViT, and say what became of each."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        report = models.load_vit_weights(model, load_file(path))
    except (OSError, SafetensorError, ValueError) as error:
        raise ValueError(f"--vit-weights must be a ViT's weights in a safetensors file, got {path}: {error}") from error
    say(f"weights from {path}:\n{report}")
    say(
        f"pixels are normalised with mean {model.pixel_mean} and standard deviation {model.pixel_std}; "
        "for those of the weights: --model-options pixel_mean=...,pixel_std=..."
    )


def load(args: argparse.Namespace, data: DataSplits) -> tuple[TokenSet, TokenSet]:
    """Make the tokens, or read them where they are kept."""
    name = args.segmenter or ("true" if data.has_segments else "felzenszwalb")
    if name == "true" and not data.has_segments:
        raise ValueError(f"--segmenter true is for scenes, which bring their segments; {args.data} has none")
    segmenter = None if name == "true" else parse_segmenter(name)
    if args.augment in ("image", "both") and isinstance(segmenter, tuple):
        raise ValueError(
            f"--segmenter must be one for --augment {args.augment}, which changes an image and one map, got {name}"
        )
    tokenize = Tokenize(max_segments=args.max_segments, aspect=args.aspect, edges=args.edges)
    store = TokenStore(args.cache)
    sets = []
    for title, images in (("train", data.train), ("val", data.val)):
        dataset = TokenDataset(images, segmenter, tokenize, store)
        tokens = load_tokens(dataset, workers=args.workers, skip_bad=args.skip_bad, progress=title if IS_MAIN else None)
        say(f"{title}: {tokens.report}")
        sets.append(tokens)
    return sets[0], sets[1]


def recipe(args: argparse.Namespace, data: DataSplits) -> Recipe:
    """What is augmented."""
    made = make_recipe(args.augment, image_size=data.train.size)
    return replace(made, batch=SegmentMix(num_classes=len(data.train.classes), p=args.mix)) if args.mix else made


def say(text: str) -> None:
    """Print, once for all processes."""
    if IS_MAIN:
        print(text)


def setting(value: Any) -> Any:
    """A setting as JSON can hold it."""
    return str(value) if isinstance(value, Path) else value


def open_run(args: argparse.Namespace) -> RunFolder:
    """Open the run's folder."""
    name = str(args.data).rstrip("/").replace(":", "-").rpartition("/")[2]
    out = args.resume or args.out or Path("runs") / f"{name}-{time.strftime('%Y%m%d-%H%M%S')}"
    try:
        return RunFolder(out, resume=args.resume is not None)
    except (OSError, ValueError) as error:
        raise ValueError(f"--out: {error}") from error


def main() -> dict[str, Any]:
    """Check what is asked for, and train."""
    args = parse_arguments()
    if args.device == "auto":
        args.device = "cuda" if torch.cuda.is_available() else "cpu"
    elif args.device == "cuda" and not torch.cuda.is_available():
        raise ValueError("--device cuda needs a GPU that torch can use; there is none")
    if args.device == "cpu" and args.precision == "fp16":
        raise ValueError("--precision must be no or bf16 on the CPU, got fp16")
    run = open_run(args)
    say(f"run: {run.folder}" + (f", {PROCESSES} processes" if PROCESSES > 1 else ""))
    try:
        return train(args, run)
    except KeyboardInterrupt as stop:
        if run.last.is_file():
            raise KeyboardInterrupt(f"--resume {run.folder} goes on from the last checkpoint") from stop
        raise


def train(args: argparse.Namespace, run: RunFolder) -> dict[str, Any]:
    """Make the model and the tokens, and train."""
    data = open_images(args)
    # Before the tokens: what is wrong with the model's options is said before hours of segmenting.
    model = make_model(args, len(data.train.classes))
    augment = recipe(args, data)
    train_set, val_set = load(args, data)
    files = {log: run.folder / file for log, (_, file) in LOGGERS.items()}
    logs = [log for log, file in files.items() if file.exists()] if args.log is None else args.log
    return fit(
        model,
        train_set,
        val_set,
        run,
        recipe=augment,
        **asdict(training_options(args)),
        checkpoint_steps=args.checkpoint_steps,
        loggers=[LOGGERS[log][0](files[log]) for log in logs],
        workers=args.workers,
        device=args.device,
        settings={
            "program": PROGRAM,
            **{key: setting(value) for key, value in vars(args).items() if key not in NOT_SETTINGS},
        },
    )


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
