"""What an augmentation meets in a long run: degenerate pictures, other processes, memory of any layout."""

import copy
import io
import pickle
import sys
from types import FunctionType
from typing import Any

import torch

from segaug.structures import SegmentedImage
from segaug.testing._augmentation import Augmentation
from segaug.testing._compare import check_equal, named_leaves, plain
from segaug.testing._errors import NotApplicable, PropertyFailed, TransformFailed
from segaug.testing._guard import run_guarded
from segaug.testing._own_streams import own_streams, snapshot_own
from segaug.testing._property import declare
from segaug.testing.properties._degenerate import degenerate_versions
from segaug.testing.properties._pixels import pixels, pixels_name, place_of, with_leaves, with_pixels
from segaug.testing.strategies import LAYOUTS, with_layout

__all__ = ["pickles_and_copies", "reads_any_layout", "survives_degenerate_inputs"]


@declare()
def survives_degenerate_inputs(transform: Any, sample: Any, *, seed: int = 0) -> None:
    """For x of one pixel, row or column, without segments, objects or tokens: T(x) is valid, or T says why not.

    Valid: of the structure of x, and finite. To say why not: a ValueError, a TypeError, or an error of T's own library, with
    a message, or an AssertionError with one. Anything else is a crash. The degenerate samples are cut from ``sample``; an
    empty batch is among them if it is a batch. Where T is said to take larger pictures only (``min_side``), none is cut.

    Args:
        transform: The transform, or an ``Augmentation``.
        sample: A sample of any kind, which decides on dtype and channels.
        seed: The seed of all streams.

    Raises:
        PropertyFailed: If it crashes, does not return, or returns NaN or infinity.

    Example:
        >>> survives_degenerate_inputs(lambda image: image[:, [1, 0]], torch.zeros(1, 2, 2))
        Traceback (most recent call last):
        ...
        segaug.testing._errors.PropertyFailed: one pixel: <lambda> raised IndexError: index 1 is out of bounds...
    """
    augmentation = Augmentation.of(transform)
    for what, degenerate in degenerate_versions(sample, augmentation.min_side):
        try:
            returned = augmentation.seeded(degenerate, seed)
        except TransformFailed as error:
            cause = error.__cause__
            if _says_why(cause, augmentation.given) and str(cause).strip():
                continue
            raise PropertyFailed(f"{what}: {error}") from error
        for name, value in named_leaves(returned).items():
            if isinstance(value, torch.Tensor) and bool((wrong := ~plain(value).isfinite()).any()):
                place = place_of(wrong)
                found = plain(value)[place].item()
                raise PropertyFailed(
                    f"{what}: {name}[{', '.join(map(str, place))}] is {found}, expected a finite number"
                )


def _says_why(cause: BaseException | None, transform: Any) -> bool:
    own, its = (type(value).__module__.partition(".")[0] for value in (transform, cause))
    # A library that has an error of its own for it, as albumentations for crops, knows of it.
    return isinstance(cause, ValueError | TypeError | AssertionError) or (own == its != "builtins")


@declare()
def pickles_and_copies(transform: Any, sample: Any, *, seed: int = 0) -> None:
    """For T' = loads(dumps(T)) and T' = deepcopy(T): T'_s(x) = T_s(x), and T' has streams of its own, as T has them.

    A data loader that spawns its workers pickles the transform. Copies hold the streams that T holds, in the same states, and
    share none with T. Not applicable to what cannot be found by name, through no fault of its own: an instance of a class
    that is defined inside a function, or such a function itself.

    Args:
        transform: The transform, or an ``Augmentation``.
        sample: A sample of any kind.
        seed: The seed of all streams.

    Raises:
        PropertyFailed: If it cannot be pickled or copied, or the copy is another.
        NotApplicable: If it belongs to a function's local names.

    Example:
        >>> flip = torch.nn.Identity()
        >>> flip.scale = lambda image: image
        >>> pickles_and_copies(flip, torch.zeros(1, 1, 1))
        Traceback (most recent call last):
        ...
        segaug.testing._errors.PropertyFailed: it cannot be pickled: ...
    """
    augmentation = Augmentation.of(transform)
    given = augmentation.given
    _check_copy(
        "a deep copy", augmentation, _made("deep-copied", augmentation, lambda: copy.deepcopy(given)), sample, seed
    )
    unpickled = _made("pickled", augmentation, lambda: pickle.loads(_dumped(given)))
    _check_copy("what was pickled", augmentation, unpickled, sample, seed)


class _Pickler(pickle.Pickler):
    """Tells what has only a local name from what cannot be pickled for another reason."""

    given: Any = None

    def reducer_override(self, value: Any) -> Any:
        is_local = "<locals>" in getattr(value, "__qualname__", "")
        is_named = getattr(value, "__name__", "") != "<lambda>"
        if is_local and is_named and (isinstance(value, type) or value is self.given):
            raise NotApplicable(f"{value.__name__} is defined inside a function, where pickle cannot find it")
        is_code = isinstance(value, type | FunctionType) and is_named
        if is_code and value.__module__ == "__main__" and not hasattr(sys.modules["__main__"], value.__name__):
            # Run from a string, as a notebook or a documentation's test may do.
            raise NotApplicable(f"{value.__name__} is not in the program that runs, where pickle would look for it")
        return NotImplemented


def _dumped(value: Any) -> bytes:
    buffer = io.BytesIO()
    pickler = _Pickler(buffer)
    pickler.given = value
    pickler.dump(value)
    return buffer.getvalue()


def _made(how: str, augmentation: Augmentation, make: Any) -> Any:
    try:
        return run_guarded(make, name="it", deadline=augmentation.deadline).value
    except TransformFailed as error:
        raise PropertyFailed(f"it cannot be {how}: {str(error).removeprefix('it raised ')}") from error


def _check_copy(what: str, augmentation: Augmentation, made: Any, sample: Any, seed: int) -> None:
    given = augmentation.given
    held, copied = own_streams(given), own_streams(made)
    if len(held) != len(copied):
        raise PropertyFailed(f"{what} holds {len(copied)} random streams, the transform {len(held)}")
    # A function is its own copy, and what it closes over with it.
    if made is not given and any(one is other for one in held for other in copied):
        raise PropertyFailed(f"{what} shares a random stream with the transform")
    if snapshot_own(given) != snapshot_own(made):
        raise PropertyFailed(f"the random streams of {what} are in other states than the transform's")
    try:
        found = augmentation.wrap(made).seeded(sample, seed)
    except TransformFailed as error:
        augmentation.seeded(sample, seed)
        raise PropertyFailed(f"{what}: {error}") from error
    check_equal(_expected(augmentation, sample, seed), found, f"{what}, under the same seed")


def _expected(augmentation: Augmentation, sample: Any, seed: int) -> Any:
    """What the given transform returns; of it, never called, a twin that is made without its own words on how to copy it."""
    given = augmentation.given
    try:
        twin = object.__new__(type(given))
        twin.__dict__.update(copy.deepcopy(vars(given), {id(given): twin}))
        unwrapped = augmentation.fresh()
        unwrapped.transform = twin
        return unwrapped.seeded(sample, seed)
    # Not all can be made so: functions, and what holds a lock or more than its attributes.
    except Exception:
        return augmentation.fresh().seeded(sample, seed)


@declare()
def reads_any_layout(transform: Any, sample: Any, *, seed: int = 0, atol: float = 1e-5, levels: float = 1.0) -> None:
    """T_s(x laid out anyhow in memory) = T_s(x contiguous), to float rounding.

    A sample that is contiguous is laid out in all the ways of ``with_layout``; another is compared with its contiguous copy.
    Sums over another layout are taken in another order, which rounds otherwise.

    Args:
        transform: The transform, or an ``Augmentation``.
        sample: A sample of any kind and layout.
        seed: The seed of all streams.
        atol: How far floats may be apart.
        levels: How far uint8 pixels may be apart.

    Raises:
        PropertyFailed: If the results differ, or T raises for a layout.
        NotApplicable: If T makes something large of differences as small as rounding.

    Example:
        >>> image = torch.arange(6.0).view(1, 2, 3) / 6
        >>> reads_any_layout(lambda image: image.as_strided((1, 2, 3), (6, 3, 1)), image)
        Traceback (most recent call last):
        ...
        segaug.testing._errors.PropertyFailed: x sliced: image[0, 0, 1] is 1, expected 0.166667 (5 of 6 differ)
    """
    augmentation = Augmentation.of(transform)
    for layout, laid_out in _layouts_of(sample):
        plainly = _contiguous(laid_out)
        expected = augmentation.seeded(plainly, seed)
        try:
            found = augmentation.seeded(laid_out, seed)
        except TransformFailed as error:
            raise PropertyFailed(f"x {layout}: {error}") from error
        try:
            check_equal(expected, found, f"x {layout}", atol=atol, levels=levels)
        except PropertyFailed:
            if _hangs_on_rounding(augmentation, plainly, expected, seed, atol):
                raise NotApplicable("its result hangs on the last bits of its input") from None
            raise


def _layouts_of(sample: Any) -> list[tuple[str, Any]]:
    if any(not plain(leaf).is_contiguous() for leaf in named_leaves(sample).values() if isinstance(leaf, torch.Tensor)):
        return [("as it is", sample)]
    return [(layout.replace("_", " "), _laid_out(sample, layout)) for layout in LAYOUTS if layout != "contiguous"]


def _laid_out(sample: Any, layout: str) -> Any:
    laid_out = with_pixels(sample, with_layout(pixels(sample), layout))
    if isinstance(sample, SegmentedImage) and layout not in ("channels_last", "expanded"):
        return with_leaves(laid_out, {"segments": with_layout(plain(sample.segments), layout)})
    if isinstance(sample, dict) and "masks" in sample and layout != "expanded":
        return with_leaves(laid_out, {"masks": with_layout(plain(sample["masks"]), layout)})
    return laid_out


def _contiguous(sample: Any) -> Any:
    leaves = {name: leaf for name, leaf in named_leaves(sample).items() if isinstance(leaf, torch.Tensor)}
    return with_leaves(
        sample, {name: plain(leaf).clone(memory_format=torch.contiguous_format) for name, leaf in leaves.items()}
    )


def _hangs_on_rounding(augmentation: Augmentation, sample: Any, expected: Any, seed: int, atol: float) -> bool:
    values = pixels(sample)
    if not values.is_floating_point():
        return False
    noise = torch.rand(values.shape, generator=torch.Generator().manual_seed(0)).to(values) * 1e-6
    near = augmentation.seeded(with_pixels(sample, (values + noise).clamp(max=1)), seed)
    try:
        check_equal(expected, near, "", atol=10 * atol, only=(pixels_name(sample),))
    except PropertyFailed:
        return True
    return False
