"""One place for imports that need an extra."""

import importlib
from types import ModuleType

__all__ = ["require"]


def require(module: str, *, extra: str) -> ModuleType:
    """Import a module that an extra brings, or say which extra is missing.

    Args:
        module: Dotted name of the module.
        extra: The extra of segaug that installs it.

    Returns:
        The module.

    Raises:
        ImportError: If the module, or one that it needs, is not installed. The message names the pip command.

    Example:
        >>> require("json", extra="train").dumps([1])
        '[1]'
        >>> require("no_such_module", extra="train")
        Traceback (most recent call last):
        ...
        ImportError: no_such_module is not installed; it comes with: pip install 'segaug[train]' (...)
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise ImportError(
            f"{module} is not installed; it comes with: pip install 'segaug[{extra}]' ({error})"
        ) from error
