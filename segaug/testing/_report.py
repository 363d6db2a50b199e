"""What a check found: one line per property, and for a failure the smallest example and how to reproduce it."""

import textwrap
from dataclasses import dataclass, field
from typing import Any, Literal

from segaug.testing._code import IMPORTS

__all__ = ["ABOUT_OTHER_KINDS", "Outcome", "Report", "Status"]

Status = Literal["held", "failed", "not applicable"]
_SYMBOLS: dict[str, str] = {"held": "held", "failed": "FAILED", "not applicable": "-"}
_WIDTH = 112
# How the reason begins where a transform takes none of the samples that a property is about.
ABOUT_OTHER_KINDS = "it is about"


@dataclass(frozen=True)
class Outcome:
    """What became of one property.

    Args:
        name: The property.
        status: ``"held"``, ``"failed"`` or ``"not applicable"``.
        reason: What was wrong, or why it is not applicable; empty if it held.
        examples: How many samples said something about it; for one that counts, how many calls.
        kind: The kind of sample of the failing example; empty if none failed.
        example: The smallest sample that fails; None if none does.
        seed: The seed with which it fails.
        reproduce: Code that shows the failure, given ``transform``; empty if none does.
        timed_out: Whether it failed because a call did not return in time.
    """

    name: str
    status: Status
    reason: str = ""
    examples: int = 0
    kind: str = ""
    example: Any = None
    seed: int = 0
    reproduce: str = ""
    timed_out: bool = False


@dataclass(frozen=True)
class Report:
    """What became of all properties. ``print`` shows it as a table.

    Args:
        name: The transform.
        outcomes: One per property.
        accepts: The kinds of samples that were tried.
        notes: What else a reader should know: what was found by trying, what is refused.
    """

    name: str
    outcomes: tuple[Outcome, ...]
    accepts: tuple[str, ...] = ()
    notes: tuple[str, ...] = field(default=())

    @property
    def ok(self) -> bool:
        """Whether no property failed, and at least one held."""
        return not self.failed and bool(self.held)

    @property
    def held(self) -> tuple[Outcome, ...]:
        """Those that held."""
        return tuple(outcome for outcome in self.outcomes if outcome.status == "held")

    @property
    def failed(self) -> tuple[Outcome, ...]:
        """Those that failed."""
        return tuple(outcome for outcome in self.outcomes if outcome.status == "failed")

    @property
    def not_applicable(self) -> tuple[Outcome, ...]:
        """Those that say nothing about the transform."""
        return tuple(outcome for outcome in self.outcomes if outcome.status == "not applicable")

    def __getitem__(self, name: str) -> Outcome:
        """The outcome of a property."""
        for outcome in self.outcomes:
            if outcome.name == name:
                return outcome
        raise KeyError(f"no property {name!r} in this report: {', '.join(outcome.name for outcome in self.outcomes)}")

    def __str__(self) -> str:
        """A table, and below it how each failure is reproduced."""
        lines = [f"{self.name}: {self.summary()}", *(f"  {note}" for note in self.notes), ""]
        shown = [outcome for outcome in self.outcomes if not outcome.reason.startswith(ABOUT_OTHER_KINDS)]
        wide = max((len(outcome.name) for outcome in shown), default=0)
        for outcome in shown:
            text = outcome.reason or f"{outcome.examples} examples"
            lines.append(
                f"{outcome.name:<{wide}}  {_SYMBOLS[outcome.status]:<6}  "
                + textwrap.shorten(text, max(40, _WIDTH - wide), placeholder=" ...")
            )
        others = [outcome.name for outcome in self.outcomes if outcome.reason.startswith(ABOUT_OTHER_KINDS)]
        if others:
            heading = f"about kinds of samples that it does not take ({len(others)}): {', '.join(others)}"
            lines += ["", *textwrap.wrap(heading, _WIDTH, subsequent_indent="  ")]
        for outcome in self.failed:
            lines += ["", f"{outcome.name} failed: {outcome.reason}"]
            if outcome.reproduce:
                lines += [f"    {line}" for line in outcome.reproduce.splitlines()]
        if any(outcome.reproduce for outcome in self.failed):
            names = (
                "transform and factory"
                if "factory=factory" in "".join(o.reproduce for o in self.failed)
                else "transform"
            )
            lines += ["", f"These lines need your {names}, and:", *(f"    {line}" for line in IMPORTS)]
        return "\n".join(line.rstrip() for line in lines)

    def summary(self) -> str:
        """How many held, failed and were not applicable."""
        counts = f"{len(self.held)} held, {len(self.failed)} failed, {len(self.not_applicable)} not applicable"
        return counts if self.held or self.failed else f"{counts}: nothing was checked"
