"""Evaluation: what a trained run is worth, on its own data, on other data and under corruptions."""

from segaug.evaluation._corruptions import CORRUPTIONS, SEVERITIES, CorruptedImages, corrupt
from segaug.evaluation._evaluate import CorruptionScores, Evaluation, evaluate_run
from segaug.evaluation._hierarchy import HierarchicalScores, hierarchical_scores, load_class_tree, parse_class_tree
from segaug.evaluation._images import open_images
from segaug.evaluation._plots import draw_confusion, draw_reliability
from segaug.evaluation._predict import Predictions, predict
from segaug.evaluation._report import format_evaluation, write_evaluation
from segaug.evaluation._run import TrainedRun, load_run
from segaug.evaluation._scores import Averages, CalibrationBin, ClassScores, Scores, classification_scores

__all__ = [
    "Averages",
    "CORRUPTIONS",
    "CalibrationBin",
    "ClassScores",
    "CorruptedImages",
    "CorruptionScores",
    "Evaluation",
    "HierarchicalScores",
    "Predictions",
    "SEVERITIES",
    "Scores",
    "TrainedRun",
    "classification_scores",
    "corrupt",
    "draw_confusion",
    "draw_reliability",
    "evaluate_run",
    "format_evaluation",
    "hierarchical_scores",
    "load_class_tree",
    "load_run",
    "open_images",
    "parse_class_tree",
    "predict",
    "write_evaluation",
]
