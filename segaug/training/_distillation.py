"""Learning from a teacher's logits."""

import hashlib
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, Dataset, default_collate
from torchvision import tv_tensors
from torchvision.transforms.v2 import functional as TF

from segaug._checks import check_flag, check_int, check_number, check_probability, describe
from segaug._progress import progress_bar
from segaug.data import Images, TokenSet
from segaug.structures import SegmentedImage

__all__ = ["Distillation", "teacher_logits"]


class Distillation:
    """How a teacher's logits count in the loss (DeiT, arXiv 2012.12877).

    Soft, equation 2: ``(1 - alpha) CE(student, target) + alpha temperature^2 KL(teacher || student)``, with both softmaxes
    at ``temperature``. Hard, equation 3 with ``alpha=0.5``: ``(1 - alpha) CE(student, target) + alpha CE(student, the
    teacher's class)``. A model that returns two logits while training, of a class token and a distillation token, gets
    the target's loss on the first and the teacher's on the second; with one both go to it.

    Args:
        logits: (images, classes), one row for each image of the training set, as :func:`teacher_logits` gives them.
        alpha: The teacher's share of the loss, in [0, 1].
        temperature: What logits are divided by before the softmax, above 0; it does nothing with ``hard``.
        hard: Whether the teacher's class is learnt rather than its probabilities.

    Raises:
        TypeError: If ``logits`` are no float tensor, or another argument is of the wrong type.
        ValueError: If ``logits`` have another shape or are not all finite, or a number is out of range.

    Example:
        >>> distillation = Distillation(torch.tensor([[4.0, 0.0], [0.0, 4.0]]), hard=True)
        >>> distillation.loss(torch.tensor([[0.0, 0.0]]), distillation.logits[:1])
        tensor(0.6931)
    """

    def __init__(
        self, logits: torch.Tensor, alpha: float = 0.5, temperature: float = 1.0, *, hard: bool = False
    ) -> None:
        if not isinstance(logits, torch.Tensor) or not logits.is_floating_point():
            raise TypeError(f"logits must be a float tensor (images, classes), got {describe(logits)}")
        if logits.ndim != 2:
            raise ValueError(f"logits must have shape (images, classes), got {describe(logits)}")
        if not bool(logits.isfinite().all()):
            raise ValueError("logits must be finite, got NaN or infinity among them")
        self.logits = logits.detach().float().cpu()
        self.alpha = check_probability("alpha", alpha)
        self.temperature = check_number("temperature", temperature, minimum=0.0)
        if not self.temperature:
            raise ValueError(f"temperature must be above 0, got {temperature}")
        self.hard = check_flag("hard", hard)

    def loss(self, logits: torch.Tensor, teacher: torch.Tensor) -> torch.Tensor:
        """Compute the teacher's part of the loss.

        Args:
            logits: The student's, (B, classes).
            teacher: The teacher's, (B, classes).

        Returns:
            The mean over the images, not yet times ``alpha``.
        """
        if self.hard:
            return F.cross_entropy(logits, teacher.argmax(-1))
        student = F.log_softmax(logits / self.temperature, -1)
        target = F.log_softmax(teacher / self.temperature, -1)
        return F.kl_div(student, target, reduction="batchmean", log_target=True) * self.temperature**2

    @property
    def settings(self) -> dict[str, Any]:
        """What decides the loss, as JSON can hold it; the logits by a checksum."""
        digest = hashlib.sha256(self.logits.contiguous().numpy().tobytes()).hexdigest()
        return {"alpha": self.alpha, "temperature": self.temperature, "hard": self.hard, "logits": digest[:16]}

    def check(self, images: int, classes: int) -> None:
        """Raise a ValueError unless the logits are of so many images and classes."""
        if len(self.logits) != images:
            raise ValueError(
                f"distillation must have logits for each of the {images} training images, got {len(self.logits)} rows"
            )
        if self.logits.shape[1] != classes:
            raise ValueError(
                f"distillation must be from a teacher of the same {classes} classes, got {self.logits.shape[1]}"
            )


def teacher_logits(
    teacher: nn.Module,
    images: TokenSet | Images,
    *,
    transform: Callable[[torch.Tensor], torch.Tensor] | None = None,
    batch_size: int = 64,
    workers: int = 0,
    device: torch.device | str = "cpu",
    progress: str | None = None,
) -> torch.Tensor:
    """Ask a teacher for its logits once, on the images as they are, before any augmentation.

    Args:
        teacher: Any classifier: a batch of images (B, 3, H, W) to logits (B, classes), as timm's and torchvision's are.
            It is put into eval mode, and moved to ``device``.
        images: What the student trains on: a token set, whose images are read in its order, or the images themselves.
        transform: From one image, (3, H, W) float in [0, 1], to what the teacher takes, as a resize and a normalisation;
            None gives it the image.
        batch_size: Images at once.
        workers: Processes that read the images.
        device: Where the teacher runs.
        progress: Title of a progress bar (extra ``train``), or None for no bar.

    Returns:
        (images, classes) float32, on the CPU.

    Raises:
        TypeError: If ``teacher`` is no module, or gives no float tensor.
        ValueError: If it gives another shape, or an argument is out of range.
        BadImageError: If an image cannot be read. The message names the file.

    Example:
        >>> from segaug.data import SceneImages, Scenes
        >>> images = SceneImages(Scenes("count", n=3, size=64))
        >>> teacher = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 5))
        >>> teacher_logits(teacher, images).shape
        torch.Size([3, 5])
    """
    if not isinstance(teacher, nn.Module):
        raise TypeError(f"teacher must be a torch.nn.Module, got {describe(teacher)}")
    check_int("batch_size", batch_size, minimum=1)
    check_int("workers", workers, minimum=0)
    loader: Any = DataLoader(
        _Pictures(images, transform),
        batch_size,
        num_workers=workers,
        collate_fn=_together,
        # The loader draws a seed for its workers; not from the caller's generator.
        generator=torch.Generator().manual_seed(0),
    )
    if progress is not None:
        loader = progress_bar(loader, progress, "batch")
    teacher.to(device).eval()
    rows = []
    with torch.inference_mode():
        for pictures in loader:
            if isinstance(pictures, Exception):
                raise pictures
            logits = teacher(pictures.to(device))
            if not isinstance(logits, torch.Tensor) or not logits.is_floating_point():
                raise TypeError(f"teacher must give a float tensor (B, classes), got {describe(logits)}")
            if logits.ndim != 2 or len(logits) != len(pictures):
                raise ValueError(f"teacher must give logits ({len(pictures)}, classes), got {describe(logits)}")
            rows.append(logits.float().cpu())
    # Outside of inference mode, so that the rows may be used in training.
    return torch.cat(rows).clone()


def _together(items: list[torch.Tensor | Exception]) -> Any:
    errors = [item for item in items if isinstance(item, Exception)]
    return errors[0] if errors else default_collate(items)


class _Pictures(Dataset[torch.Tensor | Exception]):
    def __init__(self, images: TokenSet | Images, transform: Callable[[torch.Tensor], torch.Tensor] | None) -> None:
        if isinstance(images, TokenSet):
            self._images, self._indices = images.source.images, images.indices
        else:
            self._images, self._indices = images, list(range(len(images)))
        self._transform = transform

    def __len__(self) -> int:
        return len(self._indices)

    def __getitem__(self, index: int) -> torch.Tensor | Exception:
        try:
            return self._picture(index)
        except (OSError, TypeError, ValueError) as error:
            # Returned, not raised: from a worker it would arrive with the worker's traceback in its message.
            return error

    def _picture(self, index: int) -> torch.Tensor:
        image, _ = self._images[self._indices[index]]
        pixels = image.image if isinstance(image, SegmentedImage) else image
        pixels = TF.to_dtype(tv_tensors.Image(pixels), torch.float32, scale=True).as_subclass(torch.Tensor)
        # Grey pictures are shown as RGB, as teachers take them.
        pixels = pixels.expand(3, -1, -1)
        return pixels if self._transform is None else self._transform(pixels)
