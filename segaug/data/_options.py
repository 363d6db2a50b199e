"""Names with options, as on a command line: ``NAME,OPTION=VALUE,OPTION=VALUE``."""

import ast
import re
from typing import Any

__all__ = ["parse_options", "read_value"]

# Commas within brackets belong to a value.
_COMMA = re.compile(r",(?![^()\[\]]*[)\]])")


def parse_options(text: str) -> tuple[str, dict[str, Any]]:
    """Take ``NAME,OPTION=VALUE,OPTION=VALUE`` apart.

    Args:
        text: A name, and options with commas between. Values are numbers, tuples, True, False, None, or else text; commas
            within brackets belong to a value.

    Returns:
        The name, and the options.

    Raises:
        ValueError: If an option has no name or no value, or is there twice.

    Example:
        >>> parse_options("FakeData,size=20,image_size=(3,8,8)")
        ('FakeData', {'size': 20, 'image_size': (3, 8, 8)})
    """
    name, *parts = _COMMA.split(text)
    options: dict[str, Any] = {}
    for part in parts:
        option, equals, value = (piece.strip() for piece in part.partition("="))
        if not equals or not option:
            raise ValueError(f"options must be OPTION=VALUE with commas between, got {part!r} in {text!r}")
        if option in options:
            raise ValueError(f"options must differ, got {option} twice in {text!r}")
        options[option] = read_value(value)
    return name.strip(), options


def read_value(text: str) -> Any:
    """A number, a tuple, True, False or None; anything else is text."""
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text
