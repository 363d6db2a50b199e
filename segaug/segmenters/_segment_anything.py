"""Segment Anything's automatic masks."""

import hashlib
import inspect
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch

from segaug._checks import check_choice, check_int, check_number, describe
from segaug._optional import require
from segaug.segmenters._base import Segmenter, as_rgb_array, tidy_number
from segaug.structures import SegmentMap

__all__ = ["SegmentAnything"]

# Arguments of the mask generator that are not options here: the model is given otherwise, and masks are needed as such.
_NO_OPTIONS = ("self", "model", "output_mode")
_INT_OPTIONS = {
    "points_per_side": 1,
    "points_per_batch": 1,
    "crop_n_layers": 0,
    "crop_n_points_downscale_factor": 1,
    "min_mask_region_area": 0,
}
# Width of the image encoder in the released checkpoints: names the model_type that a mistaken checkpoint is of.
_MODEL_TYPE_OF_WIDTH = {768: "vit_b", 1024: "vit_l", 1280: "vit_h"}


class SegmentAnything(Segmenter):
    """Segments found by Segment Anything, prompted with a grid of points.

    From Kirillov et al., "Segment Anything", ICCV 2023 (appendix B, automatic mask generation); computed by the mask
    generator of the ``segment-anything`` package, whose option names it has. Where masks overlap, the smallest wins.
    Pixels in no mask have label 0; labels are 1..S; an image without masks has an all-zero map. Grey images are
    segmented as RGB with equal channels. Needs the extra ``sam``.

    The checkpoint is read once, when the first image comes. Its file must stay as it is while the segmenter is in use.

    Args:
        checkpoint: Path of a released checkpoint, or of the same weights as ``.safetensors``. Nothing but weights is
            ever read from it: no code in the file is run.
        model_type: Which model the checkpoint is of: a name in ``segment_anything.sam_model_registry`` (``"vit_h"``,
            ``"vit_l"``, ``"vit_b"``).
        device: Where the model runs. ``"auto"`` is the GPU if there is one, else the CPU.
        **generator_options: Options of ``segment_anything.SamAutomaticMaskGenerator``: ``points_per_side``,
            ``points_per_batch``, ``pred_iou_thresh``, ``stability_score_thresh``, ``stability_score_offset``,
            ``box_nms_thresh``, ``crop_n_layers``, ``crop_nms_thresh``, ``crop_overlap_ratio``,
            ``crop_n_points_downscale_factor``, ``point_grids``, ``min_mask_region_area``.

    Raises:
        TypeError: If an option is of another type.
        ValueError: If an option is unknown or out of its range; when the checkpoint is read, if it is no checkpoint of
            Segment Anything, or one of another ``model_type``.
        FileNotFoundError: If there is no file at ``checkpoint``.
        ImportError: If ``segment-anything`` is not installed.

    Example:
        >>> SegmentAnything("no/such/file.pth", model_type="vit_b")
        Traceback (most recent call last):
        ...
        FileNotFoundError: checkpoint must be the path of a file, found none at no/such/file.pth
    """

    _distributions = ("segment-anything",)

    def __init__(
        self,
        checkpoint: str | os.PathLike[str],
        model_type: str = "vit_h",
        device: str | torch.device = "auto",
        **generator_options: Any,
    ) -> None:
        package = require("segment_anything", extra="sam")
        if not isinstance(checkpoint, str | os.PathLike):
            raise TypeError(f"checkpoint must be a path, got {describe(checkpoint)}")
        if not Path(checkpoint).is_file():
            raise FileNotFoundError(f"checkpoint must be the path of a file, found none at {os.fspath(checkpoint)}")
        check_choice("model_type", model_type, sorted(package.sam_model_registry))
        if Path(checkpoint).suffix == ".safetensors":
            require("safetensors.torch", extra="train")
        _check_device(device)
        self._checkpoint: Path | None = Path(checkpoint)
        self._stamp = _stamp(self._checkpoint)
        self._model: Any = None
        self._weights_digest: str | None = None
        super().__init__(
            checkpoint=os.fspath(checkpoint),
            model_type=model_type,
            device=str(device),
            **_check_generator_options(generator_options),
        )

    @classmethod
    def from_model(cls, sam: torch.nn.Module, **generator_options: Any) -> Self:
        """Use a model that is already built, where it is.

        Its ``options`` have no checkpoint, so they do not suffice to make it again.

        Args:
            sam: A ``segment_anything.modeling.Sam``. It is put in evaluation mode, and must not be changed while the
                segmenter is in use.
            **generator_options: As for the class.

        Returns:
            The segmenter.

        Raises:
            TypeError: If ``sam`` is another type, or an option is.
            ValueError: If an option is unknown or out of its range.
            ImportError: If ``segment-anything`` is not installed.

        Example:
            >>> SegmentAnything.from_model(torch.nn.Identity())
            Traceback (most recent call last):
            ...
            TypeError: sam must be a segment_anything.modeling.Sam, got Identity()
        """
        modeling = require("segment_anything.modeling", extra="sam")
        if not isinstance(sam, modeling.Sam):
            raise TypeError(f"sam must be a segment_anything.modeling.Sam, got {describe(sam)}")
        segmenter = cls.__new__(cls)
        Segmenter.__init__(
            segmenter,
            checkpoint=None,
            model_type=None,
            device=str(sam.device),
            **_check_generator_options(generator_options),
        )
        segmenter._checkpoint = None
        segmenter._model = sam.eval()
        segmenter._weights_digest = None
        return segmenter

    def segment(self, image: torch.Tensor) -> torch.Tensor:
        """Label the pixels of a checked image; see :class:`Segmenter`."""
        model = self._load()
        height, width = image.shape[-2:]
        side = model.image_encoder.img_size
        # The encoder's input has its longer side scaled to `side`; the shorter one must keep a pixel.
        if int(min(height, width) * side / max(height, width) + 0.5) < 1:
            raise ValueError(f"image must not be thinner than 1:{2 * side} for this model, got {height} x {width}")
        options = {name: self._options[name] for name in _generator_defaults()}
        if options["point_grids"] is not None:
            options["point_grids"] = [np.array(grid, dtype=np.float64) for grid in options["point_grids"]]
        records = _generator_class()(model, **options).generate(as_rgb_array(image))
        masks = np.array([record["segmentation"] for record in records], dtype=bool).reshape(-1, height, width)
        labels = SegmentMap.from_masks(torch.from_numpy(masks), overlap="smallest").as_subclass(torch.Tensor)
        # Masks that smaller ones cover wholly leave gaps. Label 0 must stay 0, present or not.
        present = torch.bincount(labels.flatten(), minlength=1) > 0
        present[0] = False
        return present.cumsum(0)[labels]

    @property
    def fingerprint(self) -> dict[str, Any]:
        """What the maps depend on besides the image; see :attr:`Segmenter.fingerprint`.

        The weights count by their SHA-256, computed at the first use, and not by the checkpoint's path. Neither does
        the device count: a map that was made on a GPU is as good on a machine without one.

        Raises:
            ValueError: If the checkpoint's file has changed since the segmenter was made.
        """
        if self._weights_digest is None:
            self._weights_digest = self._digest()
        fingerprint = super().fingerprint
        for name in ("checkpoint", "device"):
            del fingerprint["options"][name]
        return {**fingerprint, "weights": self._weights_digest}

    def __getstate__(self) -> dict[str, Any]:
        # Copies for other processes read the checkpoint themselves: it is far larger than all the rest.
        state = self.__dict__.copy()
        if self._checkpoint is not None:
            state["_model"] = None
        return state

    def _load(self) -> Any:
        if self._model is None and self._checkpoint is not None:
            self._check_unchanged(self._checkpoint)
            state = _read_state(self._checkpoint)
            device = self._options["device"]
            if device == "auto":
                device = "cuda" if torch.cuda.is_available() else "cpu"
            self._model = _build(self._options["model_type"], state, self._checkpoint).to(device)
        return self._model

    def _digest(self) -> str:
        if self._checkpoint is not None:
            self._check_unchanged(self._checkpoint)
            with self._checkpoint.open("rb") as file:
                return hashlib.file_digest(file, "sha256").hexdigest()
        digest = hashlib.sha256()
        # Buffers too: the colours' mean and deviation are not in the state dict.
        for name, tensor in [*self._model.named_parameters(), *self._model.named_buffers()]:
            digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
            digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy())
        digest.update(f"{self._model.mask_threshold} {self._model.image_format}".encode())
        return digest.hexdigest()

    def _check_unchanged(self, checkpoint: Path) -> None:
        # Weights and digest are read at different times; a file replaced in between would mark maps with the wrong one.
        if not checkpoint.is_file() or _stamp(checkpoint) != self._stamp:
            raise ValueError(f"checkpoint {checkpoint} has changed since the segmenter was made; make a new one")


def _stamp(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_size, status.st_mtime_ns


def _check_device(device: Any) -> None:
    if not isinstance(device, str | torch.device):
        raise TypeError(f'device must be "auto", a device name or a torch.device, got {describe(device)}')
    if device == "auto":
        return
    try:
        kind = torch.device(device).type
    except RuntimeError as error:
        raise ValueError(f'device must be "auto" or a device that torch knows, got {device!r}') from error
    if kind == "cuda" and not torch.cuda.is_available():
        raise ValueError(f"device must be one that this machine has, got {str(device)!r} and no GPU is available")


def _generator_defaults() -> dict[str, Any]:
    package = require("segment_anything", extra="sam")
    parameters = inspect.signature(package.SamAutomaticMaskGenerator.__init__).parameters
    return {name: parameter.default for name, parameter in parameters.items() if name not in _NO_OPTIONS}


def _check_generator_options(given: Mapping[str, Any]) -> dict[str, Any]:
    """Check the generator's options and complete them with its defaults, as values that JSON can hold."""
    defaults = _generator_defaults()
    for name in given:
        if name not in defaults:
            raise ValueError(f"{name} is no option of SegmentAnything; there are {', '.join(sorted(defaults))}")
    options = {**defaults, **given}
    for name, value in options.items():
        if name == "point_grids":
            options[name] = None if value is None else _check_grids(value)
        elif name == "points_per_side" and value is None:
            continue
        elif name in _INT_OPTIONS:
            check_int(name, value, minimum=_INT_OPTIONS[name])
        else:
            maximum = 1.0 if name == "crop_overlap_ratio" else None
            options[name] = tidy_number(check_number(name, value, minimum=0.0, maximum=maximum))
    side, grids, layers = options["points_per_side"], options["point_grids"], options["crop_n_layers"]
    if (side is None) == (grids is None):
        raise ValueError("points_per_side must be None if point_grids is given, and a number of points if not")
    if grids is not None and len(grids) <= layers:
        raise ValueError(
            f"point_grids must hold a grid for the image and each crop layer ({layers + 1}), got {len(grids)}"
        )
    if side is not None and side // options["crop_n_points_downscale_factor"] ** layers < 1:
        raise ValueError(
            f"points_per_side must leave a point in the last crop layer: at least "
            f"crop_n_points_downscale_factor ** crop_n_layers, got {side}"
        )
    return options


def _check_grids(grids: Any) -> list[list[list[float]]]:
    if not isinstance(grids, list | tuple):
        raise TypeError(f"point_grids must be a list of arrays (N, 2), got {describe(grids)}")
    checked = []
    for i, grid in enumerate(grids):
        points = np.asarray(grid, dtype=np.float64)
        if points.ndim != 2 or points.shape[1] != 2 or len(points) == 0:
            raise ValueError(f"point_grids[{i}] must have shape (N, 2) with N at least 1, got shape {points.shape}")
        if not ((points >= 0) & (points <= 1)).all():
            raise ValueError(f"point_grids[{i}] must hold x and y in [0, 1], got others")
        checked.append(points.tolist())
    return checked


def _read_state(path: Path) -> dict[str, torch.Tensor]:
    try:
        if path.suffix == ".safetensors":
            state = require("safetensors.torch", extra="train").load_file(path)
        else:
            state = torch.load(path, map_location="cpu", weights_only=True)
    # What a damaged file raises depends on where it is damaged: the zip, the pickle, a size, the text encoding.
    except Exception as error:
        reason = str(error).strip().split("\n")[0]
        raise ValueError(
            f"checkpoint must be a file of weights, {path} cannot be read as one: {type(error).__name__}: {reason}"
        ) from error
    if (
        not isinstance(state, Mapping)
        or not all(isinstance(value, torch.Tensor) for value in state.values())
        or not any(str(name).startswith("image_encoder.") for name in state)
    ):
        raise ValueError(
            f"checkpoint must hold the state dict of a Segment Anything model, {path} holds {_contents(state)}"
        )
    for name, value in state.items():
        # NaN weights would give empty maps without a word.
        if value.is_floating_point() and not torch.isfinite(value).all():
            raise ValueError(f"checkpoint must hold finite weights, {path} has NaN or infinity in {name}")
    return dict(state)


def _contents(state: Any) -> str:
    if not isinstance(state, Mapping):
        return f"a {type(state).__name__}"
    names = sorted(map(str, state))
    return f"{', '.join(names[:3])}{', ...' if len(names) > 3 else ''}" if names else "nothing"


def _build(model_type: str, state: dict[str, torch.Tensor], path: Path) -> torch.nn.Module:
    registry: Mapping[str, Callable[[], torch.nn.Module]] = require("segment_anything", extra="sam").sam_model_registry
    sam = registry[model_type]()
    expected = {name: tuple(value.shape) for name, value in sam.state_dict().items()}
    found = {name: tuple(value.shape) for name, value in state.items()}
    wrong = sorted(name for name in expected.keys() | found.keys() if expected.get(name) != found.get(name))
    if wrong:
        first = wrong[0]
        width = found.get("image_encoder.pos_embed", (0,))[-1]
        guess = _MODEL_TYPE_OF_WIDTH.get(width)
        hint = f"; it looks like {guess!r}" if guess not in (None, model_type) else ""
        raise ValueError(
            f"checkpoint must be of model_type {model_type!r}, {path} differs in {len(wrong)} of {len(expected)} "
            f"weights{hint}: {first} must be {expected.get(first, 'absent')}, is {found.get(first, 'absent')}"
        )
    sam.load_state_dict(state)
    return sam.eval().requires_grad_(False)


def _generator_class() -> Any:
    package = require("segment_anything", extra="sam")

    class Generator(package.SamAutomaticMaskGenerator):  # type: ignore[name-defined]
        """The package's generator, with crops that hold no mask put right."""

        def _process_crop(self, *args: Any) -> Any:
            data = super()._process_crop(*args)
            # Without masks this comes as shape (0,), and an image whose crops are all empty ends in an IndexError.
            data["crop_boxes"] = data["crop_boxes"].reshape(-1, 4)
            return data

    return Generator
