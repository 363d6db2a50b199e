"""Fine-tune a trained S-ViT for another task with LoRA (arXiv 2106.09685): a few small matrices and the head learn.

    uv run --extra train examples/train_svit.py --data scenes:count --out runs/count
    uv run --extra train --extra lora examples/finetune_lora.py runs/count/best.safetensors --data scenes:majority

Images are made into tokens as in the checkpoint's run, but with the scenes' own segments. The run's folder holds the usual
files, with the small matrices beside the weights, and in merged/ a plain S-ViT, which `segaug evaluate RUN/merged` opens. The
last line printed is one JSON object.
"""

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

import torch

from segaug import Tokenize, models
from segaug.data import TokenDataset, load_tokens, open_data, seeded_stream
from segaug.training import (
    RunFolder,
    TrainingOptions,
    fit,
    load_checkpoint,
    load_encoder,
    load_model,
    make_recipe,
    save_checkpoint,
)

MODELS = ("svit_micro", "svit_tiny", "svit_small", "svit_base")


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("weights", type=Path, help="a checkpoint of an S-ViT, as best.safetensors of train_svit.py's run")
    add("--model", choices=MODELS, default="svit_micro", help="what it is a checkpoint of, default: %(default)s")
    add("--data", default="scenes:majority", help="scenes:count|majority|relation|orientation, default: %(default)s")
    add("--size", type=int, help="height and width of the scenes; default: as in the checkpoint's run")
    add("--scenes", type=int, default=1000, help="how many scenes to train on, default: %(default)s")
    add("--rank", type=int, default=8, help="rank of the matrices, default: %(default)s")
    add("--epochs", type=int, default=5, help="default: %(default)s")
    add("--batch-size", type=int, default=24, help="default: %(default)s")
    add("--lr", type=float, default=3e-3, help="highest learning rate, default: %(default)s")
    add("--workers", type=int, default=0, help="processes that make batches; default: %(default)s")
    add("--device", choices=("cpu", "cuda"), default="cpu", help="default: %(default)s")
    add("--seed", type=int, default=0, help="default: %(default)s")
    add("--out", type=Path, help="the run's folder, default: runs/lora-TIME")
    args = parser.parse_args()
    # Before the tokens are made, and not after.
    TrainingOptions(epochs=args.epochs, batch_size=args.batch_size, lr=args.lr, seed=args.seed)
    for name, least in (("scenes", 1), ("rank", 1), ("workers", 0)):
        if getattr(args, name) < least:
            raise ValueError(f"--{name} must be at least {least}, got {getattr(args, name)}")
    if args.device == "cuda" and not torch.cuda.is_available():
        raise ValueError("--device cuda needs a GPU that torch can use; there is none")
    return args


def token_options(before: dict[str, Any], size: int | None) -> tuple[int | None, Tokenize]:
    """The size of the images and how they are made into tokens: as in the checkpoint's run, if it is one of a run."""
    options = {name: before[name] for name in ("max_segments", "aspect", "edges") if before.get(name) is not None}
    size = size or before.get("size")
    if "data" in before:
        # What train_svit.py takes where nothing is said.
        is_scenes = str(before["data"]).startswith("scenes:")
        size = size or (96 if is_scenes else 144)
        segmenter = before.get("segmenter") or ("true" if is_scenes else "felzenszwalb")
        told = ", ".join(f"{name}={value}" for name, value in {"size": size, **options}.items())
        print(f"as in the checkpoint's run: {told}")
        if segmenter != "true":
            print(f"other than in the checkpoint's run, which had those of {segmenter}: the scenes' own segments")
    return size, Tokenize(**options)


def main() -> dict[str, Any]:
    """Fine-tune, merge and save."""
    args = parse_arguments()
    try:
        from peft import LoraConfig, get_peft_model
    except ImportError as error:
        raise ImportError(f"peft is not installed; it comes with: pip install 'segaug[lora]' ({error})") from error
    # A run's checkpoint says with which options its model and its tokens were made.
    before = load_checkpoint(args.weights).meta.get("settings", {})
    size, tokenize = token_options(before, args.size)
    model_options = before.get("model_options") or {}
    data = open_data(args.data, size=size, seed=args.seed, num_scenes=(args.scenes, 500))
    if not data.has_segments:
        raise ValueError(f"--data must be scenes, which bring their segments, got {args.data}")
    lora = LoraConfig(
        r=args.rank,
        lora_alpha=2 * args.rank,
        target_modules=["qkv", "proj", "fc1", "fc2"],
        modules_to_save=["head"],
    )
    with seeded_stream(args.seed):
        model = getattr(models, args.model)(len(data.train.classes), **model_options)
        load_encoder(model, args.weights)
        model = get_peft_model(model, lora)
    learning, all_of_them = model.get_nb_trainable_parameters()
    print(f"{learning:,} of {all_of_them:,} parameters learn")

    run = RunFolder(args.out or Path("runs") / f"lora-{time.strftime('%Y%m%d-%H%M%S')}")
    print(f"run: {run.folder}")
    train, val = (load_tokens(TokenDataset(images, None, tokenize)) for images in (data.train, data.val))
    settings = {
        "program": "finetune_lora",
        "data": args.data,
        "size": data.train.size,
        "segmenter": "true",
        "max_segments": tokenize.max_segments,
        "aspect": tokenize.aspect,
        "edges": tokenize.edges,
        "model": args.model,
        "model_options": model_options,
        "rank": args.rank,
        "seed": args.seed,
        "weights": str(args.weights),
    }
    summary = fit(
        model,
        train,
        val,
        run,
        recipe=make_recipe("segment", image_size=data.train.size),
        epochs=args.epochs,
        batch_size=args.batch_size,
        lr=args.lr,
        seed=args.seed,
        workers=args.workers,
        device=args.device,
        settings=settings,
    )
    best = load_checkpoint(run.best)
    load_model(model, best)
    merged = model.merge_and_unload()  # adds the matrices' product to the weights: an SViT again, as fast as before
    path = run.folder / "merged" / "best.safetensors"
    save_checkpoint(path, merged, meta={**best.meta, "settings": {**settings, "classes": train.classes}})
    return summary | {"parameters_learning": learning, "merged": str(path.parent)}


if __name__ == "__main__":
    try:
        print(json.dumps(main()))
    except (FloatingPointError, ImportError, MemoryError, OSError, TypeError, ValueError) as error:
        print(f"{Path(sys.argv[0]).name}: error: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        sys.exit(130)
