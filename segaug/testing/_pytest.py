"""One test per property, for pytest."""

from collections.abc import Callable
from typing import Any

from segaug._optional import require
from segaug.testing._check import Checker, select
from segaug.testing._errors import PropertyFailed
from segaug.testing._property import Property

__all__ = ["parametrize_properties"]

Test = Callable[..., None]


def parametrize_properties(transform: Any, **options: Any) -> Callable[[Test], Test]:
    """Decorate a test that takes ``check``: pytest runs it once for each property, under the property's name.

    ``check()`` passes, fails with the smallest example, or skips with the reason if the property is not applicable.

    Args:
        transform: As for :func:`check_augmentation`.
        options: As for :func:`check_augmentation`. ``only`` chooses the properties.

    Returns:
        A decorator.

    Raises:
        TypeError: If ``transform`` is not callable.
        ValueError: If ``only`` names no property.
        ImportError: If pytest is not installed.

    Example:
        >>> from torchvision.transforms import v2
        >>> @parametrize_properties(v2.RandomHorizontalFlip(), accepts="image", only=["is_reproducible"])
        ... def test_flip(check):
        ...     check()
        >>> [mark.args[0] for mark in test_flip.pytestmark]
        ['check']
    """
    pytest = require("pytest", extra="testing")
    # Made here, so that a mistake shows when tests are collected, and not in each of them.
    chosen = select(options.pop("only", None))
    checker = Checker(transform, **options)
    checks = [pytest.param(_Check(checker, held), id=held.name) for held in chosen]
    return pytest.mark.parametrize("check", checks)


class _Check:
    """What a test calls."""

    def __init__(self, checker: Checker, held: Property) -> None:
        self._checker, self._held = checker, held

    def __call__(self) -> None:
        __tracebackhide__ = True
        outcome = self._checker.run(self._held)
        if outcome.status == "failed":
            raise PropertyFailed(str(self._checker.report([outcome])))
        if outcome.status == "not applicable":
            require("pytest", extra="testing").skip(outcome.reason)
