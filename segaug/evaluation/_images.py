"""What a run is evaluated on: any data that holds classes it knows."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from torch.utils.data import Dataset

from segaug._checks import check_int
from segaug.data import Images, images_for_classes, open_data
from segaug.data._dataset_images import places_by_class
from segaug.data._pictures import chosen
from segaug.evaluation._run import TrainedRun

__all__ = ["open_images"]

# Data that is not a folder.
_NAMED = ("hf:", "scenes:", "torchvision:")
_NUM_SCENES = 1000


def open_images(
    run: TrainedRun, data: str | Path | None = None, *, limit_per_class: int | None = None, seed: int = 0
) -> Images:
    """Open images to evaluate a run on: those it was validated on, or others, to measure what a shift of domain costs.

    Args:
        run: The run.
        data: Any name that :func:`segaug.data.open_data` takes, of which the validation images are taken, or a folder that
            holds ``CLASS/*.jpg`` itself. Its classes must be among the run's. None takes the run's own data.
        limit_per_class: Use only so many images of each class, or all if None.
        seed: Decides which images a limit keeps; a higher limit only adds images.

    Returns:
        The images, resized as the run's were, with targets that index the run's classes.

    Raises:
        TypeError: If an argument is of the wrong type.
        FileNotFoundError: If there is no such folder.
        ValueError: If there is a class that the run does not know, a class without images, two classes have one name and
            the data are not those of the run, or the run needs images that bring their own segments and these do not.
    """
    if limit_per_class is not None:
        check_int("limit_per_class", limit_per_class, minimum=1)
    name = str(run.settings["data"] if data is None else data)
    if name.startswith(_NAMED):
        splits = open_data(name, size=run.size, num_scenes=(_NUM_SCENES, _NUM_SCENES))
        images = _chosen(splits.val, name, run.classes, limit_per_class, seed)
        has_segments = splits.has_segments
    else:
        _check_names(run.classes, "the run's classes", name)
        folder = Path(name)
        if (folder / "val").is_dir() and "val" not in run.classes:
            folder /= "val"
        images = images_for_classes(folder, run.classes, run.size, limit_per_class=limit_per_class, seed=seed)
        has_segments = False
    if run.segmenter is None and not has_segments:
        raise ValueError(
            f"the run in {run.folder} was trained on the true segments that scenes bring (segmenter true); {name} has none"
        )
    return images


class _Chosen(Dataset[tuple[Any, int]]):
    """Some items of another dataset, under other numbers of their classes."""

    def __init__(self, images: Images, classes: Sequence[str], indices: Sequence[int], numbers: Sequence[int]) -> None:
        self._images = images
        self._indices = list(indices)
        self.classes = list(classes)
        self.size = images.size
        self.targets = [numbers[images.targets[index]] for index in indices]

    def __len__(self) -> int:
        return len(self._indices)

    def __getitem__(self, index: int) -> tuple[Any, int]:
        return self._images[self._indices[index]][0], self.targets[index]

    def key(self, index: int) -> dict[str, Any]:
        return self._images.key(self._indices[index])


def _chosen(images: Images, name: str, classes: Sequence[str], limit: int | None, seed: int) -> Images:
    unknown = [label for label in images.classes if label not in classes]
    if unknown:
        shown = ", ".join(repr(label) for label in unknown[:8]) + (", ..." if len(unknown) > 8 else "")
        raise ValueError(f"the classes of {name} must be among the run's {len(classes)}; it does not know {shown}")
    if list(images.classes) == list(classes):
        numbers = list(range(len(classes)))
    else:
        _check_names(classes, "the run's classes", name)
        _check_names(images.classes, f"the classes of {name}", name)
        numbers = [list(classes).index(label) for label in images.classes]
    indices = list(range(len(images)))
    if limit is not None:
        # As folders choose, by a hash of the item and the seed.
        places = places_by_class(images.targets).values()
        indices = sorted(group[i] for group in places for i in chosen([str(place) for place in group], limit, seed))
    return _Chosen(images, classes, indices, numbers)


def _check_names(classes: Sequence[str], title: str, name: str) -> None:
    """Raise if two classes have one name: they can be told apart only where both lists are the same."""
    twice = sorted(label for label, count in Counter(classes).items() if count > 1)
    if twice:
        raise ValueError(f"{title} must have different names to be found in those of {name}, got {twice[0]!r} twice")
