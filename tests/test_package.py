"""What holds for the package as a whole: its surface, its imports, its layers, and torchvision's functionals."""

import ast
import importlib
import inspect
import pkgutil
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch.utils import _pytree as pytree
from torchvision import tv_tensors
from torchvision.transforms.v2 import functional as F
from torchvision.transforms.v2.functional import _utils as torchvision_registry

import segaug
from segaug.structures import _token_leaves

PACKAGE = Path(segaug.__file__).parent
SURFACE = {
    "segaug.adapters": ["Support", "albumentations_support", "kornia_support"],
    "segaug.data": [
        "BadImageError",
        "Batch",
        "BatchOrder",
        "BatchedTokens",
        "DataSplits",
        "DatasetImages",
        "ImageFolder",
        "Images",
        "SceneImages",
        "Scenes",
        "SeededDataset",
        "StoreCounts",
        "TokenDataset",
        "TokenSet",
        "TokenStore",
        "derive_seed",
        "images_for_classes",
        "load_tokens",
        "open_data",
        "parse_options",
        "parse_segmenter",
        "seeded",
        "seeded_stream",
        "train_val_folders",
    ],
    "segaug.training": [
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
    ],
    "segaug.evaluation": [
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
    ],
    "segaug.testing": [
        "Augmentation",
        "NotApplicable",
        "Outcome",
        "PinnedDraws",
        "Property",
        "PropertyFailed",
        "RecordedDraws",
        "Report",
        "TransformFailed",
        "all_properties",
        "assert_augmentation",
        "check_augmentation",
        "declare",
        "parametrize_properties",
        "properties",
        "strategies",
    ],
    "segaug.testing.properties": [
        "batch_elements_are_independent",
        "batch_elements_do_not_interfere",
        "batch_equals_singles",
        "batched_equals_looped",
        "boxes_follow_masks",
        "calls_are_independent",
        "conserves_partition",
        "cpu_equals_gpu",
        "does_not_mutate_input",
        "draws_do_not_depend_on_pixels",
        "filler_changes_nothing",
        "float_equals_uint8",
        "full_mask_equals_plain",
        "generator_decides",
        "is_equivariant_to_label_permutation",
        "is_identity_at_p_zero",
        "is_identity_outside_masks",
        "is_reproducible",
        "keeps_dtype_and_device",
        "keeps_range",
        "keeps_shape",
        "leaves_global_streams_alone",
        "leaves_sentinels_alone",
        "members_are_independent",
        "moves_everything_together",
        "padding_changes_nothing",
        "patterns_have_right_frequencies",
        "pickles_and_copies",
        "positions_follow_pixels",
        "prints_nothing",
        "reads_any_layout",
        "refuses_unknown_arguments",
        "returns_same_structure",
        "segments_are_independent",
        "segments_do_not_interfere",
        "survives_degenerate_inputs",
        "twice_is_identity",
        "workers_and_epochs_are_independent",
    ],
    "segaug.testing.strategies": [
        "CONTENTS",
        "LAYOUTS",
        "SEGMENT_MAP_KINDS",
        "albumentations_transforms",
        "annotated_images",
        "boxes",
        "images",
        "keypoints",
        "kornia_transforms",
        "layout_of",
        "masks",
        "pipelines",
        "register_transform",
        "segment_maps",
        "segment_tokens",
        "segmented_images",
        "torchvision_transforms",
        "with_layout",
    ],
    "segaug": [
        "BackgroundSwap",
        "Felzenszwalb",
        "Grid",
        "PerSegment",
        "PositionJitter",
        "RandomMirror",
        "SLIC",
        "Segment",
        "SegmentAnything",
        "SegmentCopyPaste",
        "SegmentDrop",
        "SegmentMap",
        "SegmentMix",
        "SegmentTokens",
        "SegmentedImage",
        "TokenBudget",
        "Tokenize",
        "TwoViews",
        "Voronoi",
        "Watershed",
        "adapters",
        "collate",
        "combinations",
        "count_combinations",
        "functional",
        "models",
        "segmenters",
        "structures",
        "transforms",
    ],
    "segaug.structures": ["SegmentMap", "SegmentTokens", "SegmentedImage", "collate", "concatenate"],
    "segaug.functional": [
        "adjust_brightness",
        "adjust_contrast",
        "adjust_hue",
        "adjust_saturation",
        "adjust_sharpness",
        "affine",
        "area_shares",
        "autocontrast",
        "color_jitter",
        "composite_segments",
        "crop",
        "cut_segments",
        "elastic",
        "equalize",
        "fill_holes",
        "gaussian_blur",
        "hide_tokens",
        "horizontal_flip",
        "invert",
        "jitter_positions",
        "limit_tokens",
        "mask_boxes",
        "match_tokens",
        "merge_tokens",
        "paint_order",
        "paint_tokens",
        "paint_values",
        "perspective",
        "posterize",
        "premultiply",
        "relabel",
        "resized_crop",
        "rgb_to_grayscale",
        "roll_partners",
        "rotate",
        "segment_areas",
        "segment_boxes",
        "segment_table",
        "solarize",
        "swap_background",
        "take_tokens",
        "tokenize",
        "tokenize_masks",
        "unpremultiply",
        "vertical_flip",
    ],
    "segaug.segmenters": ["Felzenszwalb", "Grid", "SLIC", "SegmentAnything", "Segmenter", "Voronoi", "Watershed"],
    "segaug.transforms": [
        "BackgroundSwap",
        "ColorLowering",
        "Draw",
        "Lowering",
        "PerSegment",
        "PositionJitter",
        "RandomMirror",
        "Segment",
        "SegmentCopyPaste",
        "SegmentDrop",
        "SegmentMix",
        "TokenBudget",
        "Tokenize",
        "TwoViews",
        "Views",
        "combinations",
        "count_combinations",
        "register_lowering",
    ],
    "segaug.models": [
        "LoadedWeights",
        "MaskedSViT",
        "SViT",
        "load_vit_weights",
        "svit_base",
        "svit_micro",
        "svit_small",
        "svit_tiny",
    ],
}
EXTRAS = (
    "albumentations",
    "cv2",
    "hypothesis",
    "kornia",
    "matplotlib",
    "pycocotools",
    "safetensors",
    "scipy",
    "segment_anything",
    "skimage",
    "timm",
    "torchmetrics",
    "tqdm",
)
# Who may import whom: a package those of lower layers and itself. Private modules of the root are below all.
LAYERS = {
    "structures": 1,
    "functional": 2,
    "segmenters": 3,
    "transforms": 3,
    "models": 3,
    "adapters": 4,
    "data": 4,
    "training": 5,
    "testing": 5,
    "_sheet": 3,
    "evaluation": 6,
    "_commands": 7,
    "cli": 8,
    "__main__": 9,
    "__init__": 9,
}
SIZE_QUERIES = {"get_dimensions", "get_num_channels", "get_num_frames", "get_size"}


class TestSurface:
    @pytest.mark.parametrize("name", SURFACE)
    def test_is_what_was_agreed(self, name):
        assert list(importlib.import_module(name).__all__) == SURFACE[name]

    @pytest.mark.parametrize(
        "name", ["segaug", *(f"segaug.{m.name}" for m in pkgutil.iter_modules([str(PACKAGE)]) if m.name[0] != "_")]
    )
    def test_names_are_there_sorted_and_documented(self, name):
        module = importlib.import_module(name)
        assert module.__doc__
        assert list(module.__all__) == sorted(module.__all__)
        for public in module.__all__:
            value = getattr(module, public)
            if inspect.isfunction(value) or inspect.isclass(value):
                assert value.__doc__, public
        if module.__spec__.submodule_search_locations is not None:
            # Nothing public slips in beside it but submodules.
            others = {key for key, value in vars(module).items() if key[0] != "_" and not inspect.ismodule(value)}
            assert others <= set(module.__all__)

    def test_version(self):
        assert re.fullmatch(r"\d+\.\d+\.\d+(\.dev\d+|(a|b|rc)\d+)?", segaug.__version__)


def test_import_loads_no_extra():
    script = (
        "import sys, torch, torchvision\n"
        # torch takes some of them itself where they are installed.
        "before = {name.partition('.')[0] for name in sys.modules}\n"
        "import segaug\n"
        f"print(sorted(set({EXTRAS!r}) & {{name.partition('.')[0] for name in sys.modules}} - before))\n"
        # Without segmenting, so that no extra is needed.
        "tokens = segaug.Tokenize()(segaug.Segment(segaug.Grid(2, 2))(torch.zeros(3, 8, 8)))\n"
        "print(tokens.num_tokens)\n"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error::DeprecationWarning:segaug", "-c", script],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr == ""
    assert done.stdout.split("\n")[:2] == ["[]", "5"]


def imported_parts(path):
    """The parts of segaug that a file imports: names under the root, "" for the root itself."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.partition(".")[0] == "segaug":
                    yield ".".join(alias.name.split(".")[1:2])
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path} has a relative import"
            parts = (node.module or "").split(".")
            if parts[0] == "segaug":
                for alias in node.names:
                    yield parts[1] if len(parts) > 1 else alias.name if (PACKAGE / alias.name).is_dir() else ""


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_layers(path):
    own = path.relative_to(PACKAGE).with_suffix("").parts[0]
    # A private module of the root that is not listed serves all, so it may need none of them but its like.
    layer = LAYERS.get(own, 0 if own.startswith("_") else None)
    assert layer is not None, f"{own} is new: give it a layer"
    for part in imported_parts(path):
        # The root imports the transforms, models and adapters.
        other = 4 if part == "" else LAYERS.get(part, 0 if part.startswith("_") else None)
        assert other is not None, f"{part} is new: give it a layer"
        both_serve_all = own.startswith("_") and part.startswith("_") and other == layer == 0
        assert part == own or other < layer or both_serve_all, f"{own} may not import {part or 'segaug itself'}"


def functionals_that_reach(leaf):
    """Names of torchvision's functionals that have a kernel for a type, or inherit one."""
    # Kernels for plain tensors are not inherited.
    kinds = {kind for kind in leaf.__mro__ if issubclass(kind, tv_tensors.TVTensor)}
    registry = torchvision_registry._KERNEL_REGISTRY
    return {functional.__name__ for functional, kernels in registry.items() if kinds & set(kernels)}


class TestTorchvisionFunctionals:
    """A functional that torchvision adds must be allowed on SegmentTokens, or refused, before it is released."""

    def test_each_for_images_is_allowed_or_refused(self):
        reach_images = functionals_that_reach(_token_leaves.TokenPatches)
        refused = {*_token_leaves.GEOMETRY, *_token_leaves.APPEARANCE}
        allowed = set(_token_leaves.ALLOWED)
        assert not refused & allowed
        assert reach_images == refused | allowed | (SIZE_QUERIES & reach_images)

    def test_each_that_is_refused_raises_whatever_its_arguments(self, make_tokens):
        patches = make_tokens(2).patches
        for name in (*_token_leaves.GEOMETRY, *_token_leaves.APPEARANCE):
            kernel = torchvision_registry._get_kernel(getattr(F, name), type(patches))
            advice = (
                f"{name} on SegmentTokens would act on all patches as one image: put it before Tokenize.*PerSegment"
            )
            for arguments in ((), (1,), ([1, 2], 3)):
                with pytest.raises(TypeError, match=advice):
                    kernel(patches, *arguments)

    def test_no_functional_reaches_boxes_but_flips(self):
        assert functionals_that_reach(_token_leaves.TokenBoxes) == {"horizontal_flip", "vertical_flip"}

    def test_size_queries_do_not_fail(self, make_tokens):
        patches = make_tokens(2).patches
        assert F.get_size(patches) == [6, 6]
        assert F.get_num_channels(patches) == 3

    def test_every_mask_functional_that_resamples_has_a_kernel_for_maps(self):
        # torchvision's own are not exact for large labels.
        registry = torchvision_registry._KERNEL_REGISTRY
        exact = {"crop", "center_crop", "horizontal_flip", "vertical_flip", "get_size", "to_dtype"}
        for functional, kernels in registry.items():
            if tv_tensors.Mask in kernels and functional.__name__ not in exact:
                assert segaug.SegmentMap in kernels, functional.__name__


def test_structures_are_pytrees(make_tokens):
    tokens = make_tokens(2)
    sample = segaug.SegmentedImage(torch.zeros(3, 4, 4), torch.ones(4, 4, dtype=torch.int64))
    assert len(pytree.tree_leaves((tokens, sample, 5))) == 8
