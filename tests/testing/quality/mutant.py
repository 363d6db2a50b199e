"""What a planted bug is: a right transform, the same with one mistake, and the property that must tell them apart."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Mutant"]


@dataclass(frozen=True)
class Mutant:
    """A right transform and a wrong one.

    Args:
        name: Short, in words.
        bug: The mistake in one sentence, as a commit message that mends it would say.
        caught_by: The property that must fail.
        right: Makes the right transform; takes the arguments that the properties vary (``p=``, ``generator=``).
        wrong: Makes the wrong one.
        options: For ``check_augmentation``: ``accepts``, ``is_geometric`` and the like.
    """

    name: str
    bug: str
    caught_by: str
    right: Callable[..., Any]
    wrong: Callable[..., Any]
    options: dict[str, Any] = field(default_factory=dict)
