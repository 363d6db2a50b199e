"""Training: the loop, augmentation recipes, checkpoints and the run's folder."""

from segaug.training._checkpoint import Checkpoint, load_checkpoint, load_model, load_optimizer, save_checkpoint
from segaug.training._loop import evaluate, fit
from segaug.training._metrics import Meter
from segaug.training._optim import learning_rate, make_optimizer
from segaug.training._parts import split_by_length
from segaug.training._plots import draw_curves, draw_tokens
from segaug.training._recipe import RECIPES, Recipe, make_recipe
from segaug.training._run_folder import RunFolder

__all__ = [
    "Checkpoint",
    "Meter",
    "RECIPES",
    "Recipe",
    "RunFolder",
    "draw_curves",
    "draw_tokens",
    "evaluate",
    "fit",
    "learning_rate",
    "load_checkpoint",
    "load_model",
    "load_optimizer",
    "make_optimizer",
    "make_recipe",
    "save_checkpoint",
    "split_by_length",
]
