"""The transform under test, and how it is called, seeded, copied and made anew."""

import copy
from collections.abc import Callable
from types import BuiltinFunctionType, FunctionType
from typing import Any, Self

from torch.overrides import TorchFunctionMode

from segaug._checks import check_choice, check_int, check_number, describe
from segaug._streams import forked_streams
from segaug.testing._compare import check_equal, check_same_structure, copy_sample
from segaug.testing._conventions import CONVENTIONS, library_of
from segaug.testing._draws import PinnedDraws
from segaug.testing._errors import NotApplicable, PropertyFailed, TransformFailed
from segaug.testing._guard import run_guarded
from segaug.testing._own_streams import seed_all, snapshot_defaults, snapshot_own

__all__ = ["Augmentation"]

_INPUTS = ("tensor", "numpy", "pil")
# Whose own classes are known to read ``p`` at each call, so that it can be set on a copy.
_READS_P = ("albumentations", "torchvision")


class Augmentation:
    """A transform under test, called in one way whatever library it comes from.

    All properties take one, or the transform itself, which is then wrapped with the defaults. What is called is a deep copy
    of the transform, so that its streams stay as they are; the transform itself is called only where it cannot be copied
    (``is_copy`` tells).

    Args:
        transform: Any callable that augments: a transform of torchvision, kornia, albumentations or segaug, or a function.
        factory: Makes the transform with other arguments, as in ``factory(p=0.0)``: its class, a ``partial`` of it, or a
            function with ``**arguments``. None: ``p`` is set on a copy of a transform of torchvision or albumentations.
        input: What a callable that is of none of the libraries takes and returns for an image: ``"tensor"``: (C, H, W);
            ``"numpy"``: an array (H, W, C); ``"pil"``: a PIL image.
        is_geometric: Whether it moves pixels. None: not known.
        min_side: The shortest side of an image that it is said to take, in pixels.
        deadline: Seconds that one call may take; None for no limit.

    Raises:
        TypeError: If ``transform`` is not callable, or is a class.
        ValueError: If ``input`` or ``deadline`` is not allowed.

    Example:
        >>> from torchvision.transforms import v2
        >>> flip = Augmentation(v2.RandomHorizontalFlip(0.5))
        >>> flip.library
        'torchvision'
        >>> import torch
        >>> flip.seeded(torch.arange(3).view(1, 1, 3), seed=1).tolist()
        [[[0, 1, 2]]]
    """

    def __init__(
        self,
        transform: Any,
        *,
        factory: Callable[..., Any] | None = None,
        input: str = "tensor",  # noqa: A002
        is_geometric: bool | None = None,
        min_side: int = 1,
        deadline: float | None = 10.0,
    ) -> None:
        if not callable(transform):
            raise TypeError(f"transform must be callable, got {describe(transform)}")
        if isinstance(transform, type):
            raise TypeError(f"transform must be an instance, got the class {transform.__name__}")
        if factory is not None and not callable(factory):
            raise TypeError(f"factory must be callable or None, got {describe(factory)}")
        if is_geometric is not None and not isinstance(is_geometric, bool):
            raise TypeError(f"is_geometric must be True, False or None, got {describe(is_geometric)}")
        self.given = transform
        self.library = library_of(transform)
        self.input = check_choice("input", input, _INPUTS)
        if self.library != "callable" and input != "tensor":
            raise ValueError(f"input is for callables of no library, got input={input!r} with {self.name}")
        self.factory = factory
        self.is_geometric = is_geometric
        self.min_side = check_int("min_side", min_side, minimum=1)
        self.deadline = None if deadline is None else check_number("deadline", deadline, minimum=0.001)
        self.transform = _copied(transform)
        self.is_copy = self.transform is not transform or isinstance(transform, FunctionType | BuiltinFunctionType)
        self.printed = ""

    @classmethod
    def of(cls, transform: Any) -> "Augmentation":
        """The transform wrapped, unless it is already."""
        return transform if isinstance(transform, cls) else cls(transform)

    @property
    def name(self) -> str:
        """What reports call it."""
        return str(getattr(self.given, "__name__", None) or type(self.given).__name__)

    def __call__(self, sample: Any, **options: Any) -> Any:
        """Transform a copy of a sample, drawing from where the streams are.

        Raises:
            TransformFailed: If it raises, returns another structure, or does not return in time.
        """
        return self._run(copy_sample(sample), options, None)

    def in_place(self, sample: Any) -> Any:
        """As a call, but on the sample itself: what is written to it stays."""
        return self._run(sample, {}, None)

    def seeded(self, sample: Any, seed: int, **options: Any) -> Any:
        """Transform a copy of a sample after seeding all streams that it may draw from; the default ones are put back."""
        with forked_streams(seed, []):
            seed_all(self.transform, seed)
            return self._run(copy_sample(sample), options, None)

    def pinned(self, sample: Any, u: float) -> Any:
        """Transform a copy of a sample, every draw from torch replaced by the quantile ``u``.

        Raises:
            NotApplicable: If two calls with two seeds differ all the same, as it also draws from elsewhere.
        """
        results = []
        for seed in (0, 1):
            with forked_streams(seed, []):
                seed_all(self.transform, seed)
                results.append(self._run(copy_sample(sample), {}, PinnedDraws(u)))
        try:
            check_equal(results[0], results[1], "")
        except PropertyFailed as error:
            raise NotApplicable("it draws from elsewhere than torch, so its draws cannot be pinned") from error
        return results[0]

    def under(self, mode: TorchFunctionMode, sample: Any, seed: int | None) -> Any:
        """As ``seeded``, with a mode of torch switched on around the call; None for a seed goes on where the streams are."""
        if seed is None:
            return self._run(copy_sample(sample), {}, mode)
        with forked_streams(seed, []):
            seed_all(self.transform, seed)
            return self._run(copy_sample(sample), {}, mode)

    def streams(self) -> tuple[Any, ...]:
        """The states of all streams that it may draw from, as a value that ``==`` compares."""
        return (*snapshot_defaults(), *snapshot_own(self.transform))

    def reseed(self, seed: int) -> None:
        """Seed torch's default stream and those that the transform holds. Wrap it in ``forked_streams``."""
        seed_all(self.transform, seed)

    def fresh(self) -> Self:
        """Another one like this, with a new copy of the given transform."""
        return self.wrap(self.given)

    def wrap(self, transform: Any) -> Self:
        """Another transform, called as this one is."""
        return type(self)(
            transform,
            factory=self.factory,
            input=self.input,
            is_geometric=self.is_geometric,
            min_side=self.min_side,
            deadline=self.deadline,
        )

    def variant(self, **arguments: Any) -> Self:
        """The transform made with other arguments.

        Raises:
            NotApplicable: If no factory was given, and the arguments cannot be set on a copy.
            TransformFailed: If the factory raises anything but a TypeError.
        """
        if self.factory is not None:
            factory = self.factory
            named = ", ".join(f"{name}={value!r}" for name, value in arguments.items())
            try:
                made = run_guarded(lambda: factory(**arguments), name=f"factory({named})", deadline=self.deadline).value
            except TransformFailed as error:
                if isinstance(error.__cause__, TypeError):
                    raise NotApplicable(f"its factory does not take {', '.join(arguments)}") from error
                raise
            return self.wrap(made)
        is_known = type(self.given).__module__.partition(".")[0] in _READS_P
        if set(arguments) == {"p"} and is_known and isinstance(vars_of(self.given).get("p"), float | int):
            made = _copied(self.given)
            made.p = arguments["p"]
            return self.wrap(made)
        raise NotApplicable(f"how to make it with another {', '.join(arguments)} is not known: pass factory=")

    def _run(self, sample: Any, options: dict[str, Any], mode: TorchFunctionMode | None) -> Any:
        convention = CONVENTIONS[self.input if self.library == "callable" else self.library]

        def call() -> Any:
            if mode is None:
                return convention(self.transform, sample, **options)
            with mode:
                return convention(self.transform, sample, **options)

        finished = run_guarded(call, name=self.name, deadline=self.deadline)
        self.printed += finished.printed
        try:
            check_same_structure(sample, finished.value)
        except PropertyFailed as error:
            raise TransformFailed(f"{self.name}: {error}") from error
        return finished.value


def vars_of(value: Any) -> dict[str, Any]:
    """The attributes of an instance; none for what has no dict."""
    return getattr(value, "__dict__", {})


def _copied(transform: Any) -> Any:
    try:
        return copy.deepcopy(transform)
    # Whatever it raises, the property on copies reports it; the rest is tried on the transform itself.
    except Exception:
        return transform
