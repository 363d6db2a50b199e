"""Names with options, as on a command line: ``NAME,OPTION=VALUE,OPTION=VALUE``."""

import ast
import re
from typing import Any

__all__ = ["parse_options"]

# Commas within brackets belong to a value.
_COMMA = re.compile(r",(?![^()\[\]]*[)\]])")


def parse_options(text: str) -> tuple[str, dict[str, Any]]:
    """Take ``NAME,OPTION=VALUE`` apart; values are numbers, tuples, True, False, None, or else text.

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
        options[option] = _value(value)
    return name.strip(), options


def _value(text: str) -> Any:
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text
