"""Turns what the docstrings write as :class:`~segaug.PerSegment` into links of the built documentation."""

import re
from typing import Any

import griffe

# The parser takes "Examples:" for code, and "Example:" for prose.
_EXAMPLE = re.compile(r"^Example:$", re.MULTILINE)
_ROLE = re.compile(r":(?:attr|class|func|meth|mod):`(~?)([\w.]+)`")


class Roles(griffe.Extension):
    """Rewrites docstrings when the whole package has been read, as only then names can be looked up."""

    def on_package(self, *, pkg: griffe.Module, **kwargs: Any) -> None:
        """Rewrite the docstrings of a package."""
        self._visit(pkg, pkg)

    def _visit(self, obj: griffe.Object, package: griffe.Module) -> None:
        if obj.docstring is not None:
            text = _EXAMPLE.sub("Examples:", obj.docstring.value)
            obj.docstring.value = _ROLE.sub(lambda match: _link(match, obj, package), text)
        for member in obj.members.values():
            if not member.is_alias:
                self._visit(member, package)


def _link(match: re.Match[str], obj: griffe.Object, package: griffe.Module) -> str:
    tilde, name = match.groups()
    shown = name.rpartition(".")[2] if tilde else name
    scope: griffe.Object | None = obj
    while scope is not None:
        for path in (name, f"{scope.path}.{name}"):
            found = _find(path, package)
            if found is not None:
                return f"[`{shown}`][{found}]"
        scope = scope.parent
    return f"`{shown}`"


def _find(path: str, package: griffe.Module) -> str | None:
    """The path of an object that the reference shows; None for modules and attributes, which have no heading there."""
    first, _, rest = path.partition(".")
    if first != package.path or not rest:
        return None
    try:
        found = package[rest]
        target = found.final_target if found.is_alias else found
    except (KeyError, griffe.AliasResolutionError, griffe.CyclicAliasError):
        return None
    if not (target.is_class or target.is_function):
        return None
    return target.canonical_path
