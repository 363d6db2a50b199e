"""Training: the loop, augmentation recipes, checkpoints and the run's folder."""

from segaug.training._checkpoint import Checkpoint, load_checkpoint, load_model, load_optimizer, save_checkpoint
from segaug.training._distillation import Distillation, teacher_logits
from segaug.training._encoder import load_encoder
from segaug.training._evaluate import evaluate
from segaug.training._loggers import CsvLogger, Logger, TensorBoardLogger
from segaug.training._loop import fit
from segaug.training._metrics import Meter
from segaug.training._optim import learning_rate, make_optimizer
from segaug.training._options import TrainingOptions
from segaug.training._parts import split_by_length
from segaug.training._plots import draw_curves, draw_tokens
from segaug.training._pretrain import pretrain
from segaug.training._pretrain_plot import draw_reconstructions
from segaug.training._recipe import RECIPES, Recipe, make_recipe
from segaug.training._run_folder import RunFolder

__all__ = [
    "Checkpoint",
    "CsvLogger",
    "Distillation",
    "Logger",
    "Meter",
    "RECIPES",
    "Recipe",
    "RunFolder",
    "TensorBoardLogger",
    "TrainingOptions",
    "draw_curves",
    "draw_reconstructions",
    "draw_tokens",
    "evaluate",
    "fit",
    "learning_rate",
    "load_checkpoint",
    "load_encoder",
    "load_model",
    "load_optimizer",
    "make_optimizer",
    "make_recipe",
    "pretrain",
    "save_checkpoint",
    "split_by_length",
    "teacher_logits",
]
