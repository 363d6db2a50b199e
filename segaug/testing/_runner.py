"""Hold one property against one transform, over drawn samples, down to the smallest that fails."""

import warnings
from typing import Any, NoReturn

import hypothesis
from hypothesis import HealthCheck, Phase
from hypothesis import strategies as st
from hypothesis.errors import Flaky, NonInteractiveExampleWarning

from segaug._streams import forked_streams
from segaug.testing._augmentation import Augmentation
from segaug.testing._code import code_of
from segaug.testing._domain import Domain
from segaug.testing._errors import DeadlineExceeded, NotApplicable, PropertyFailed, TransformFailed
from segaug.testing._property import GATE, Property
from segaug.testing._report import ABOUT_OTHER_KINDS, Outcome

__all__ = ["deadline_outcome", "run_property"]

_LARGEST_SEED = 2**16
# A statistical property calls the transform once per example that it is allowed, within these.
_FEWEST_CALLS, _MOST_CALLS = 150, 600


def run_property(
    held: Property, augmentation: Augmentation, domain: Domain, *, max_examples: int, seed: int, shrink: bool = True
) -> Outcome:
    """Hold a property against a transform, for each kind of sample that both know.

    Args:
        held: The property.
        augmentation: The transform.
        domain: What it accepts.
        max_examples: How many samples are drawn, of all kinds together.
        seed: Decides all draws.
        shrink: Whether to look for the smallest failing sample.

    Returns:
        What became of it.
    """
    kinds = tuple(kind for kind in held.kinds if kind in domain.kinds)
    if not kinds:
        return Outcome(held.name, "not applicable", f"{ABOUT_OTHER_KINDS} {' or '.join(held.kinds)}")
    if held.is_geometric is not None and augmentation.is_geometric is not held.is_geometric:
        if augmentation.is_geometric is None:
            reason = "whether the transform moves pixels is not known: pass is_geometric="
        else:
            reason = "the transform moves pixels" if augmentation.is_geometric else "the transform moves no pixels"
        return Outcome(held.name, "not applicable", reason)
    if held.statistical:
        return _count(held, augmentation, domain, kinds, max_examples, seed)
    return _search(held, augmentation, domain, kinds, max_examples, seed, shrink)


def _count(
    held: Property, augmentation: Augmentation, domain: Domain, kinds: tuple[str, ...], max_examples: int, seed: int
) -> Outcome:
    calls = held.results_per_call * min(max(max_examples, _FEWEST_CALLS), _MOST_CALLS)
    reasons, counted = [], 0
    for kind in kinds:
        sample = domain.probe(kind)
        try:
            with forked_streams(seed, []):
                held.check(augmentation.fresh(), sample, seed=seed, calls=calls)
        except DeadlineExceeded as error:
            error.sample, error.seed = sample, seed
            return deadline_outcome(held.name, augmentation, error)
        except (NotApplicable, TransformFailed) as error:
            reasons.append(str(error))
        except Exception as error:
            code = f"properties.{held.name}({_subject(augmentation)}, {code_of(sample)}, seed={seed}, calls={calls})"
            return Outcome(held.name, "failed", _line(error), calls, kind, sample, seed, code)
        else:
            counted += calls
    if counted:
        return Outcome(held.name, "held", examples=counted)
    return Outcome(held.name, "not applicable", reasons[0])


def _search(
    held: Property,
    augmentation: Augmentation,
    domain: Domain,
    kinds: tuple[str, ...],
    max_examples: int,
    seed: int,
    shrink: bool,
) -> Outcome:
    reasons: list[str] = []
    told = 0
    # Each kind has its share, so that a failure of one is not hidden behind another's samples.
    for number, kind in enumerate(kinds):
        share = max(1, max_examples // len(kinds) + (number < max_examples % len(kinds)))
        trial = _Trial(held, augmentation, kind)
        flaky = _run(trial, domain, share, seed + number, shrink)
        if trial.late is not None:
            return deadline_outcome(held.name, augmentation, trial.late)
        if trial.error is not None:
            reason = _line(trial.error) + (f" ({flaky})" if flaky else "")
            code = f"properties.{held.name}({_subject(augmentation)}, {code_of(trial.sample)}, seed={trial.seed})"
            return Outcome(held.name, "failed", reason, trial.told, kind, trial.sample, trial.seed, code)
        told += trial.told
        reasons += trial.reasons
    if told:
        return Outcome(held.name, "held", examples=told)
    return Outcome(held.name, "not applicable", reasons[0] if reasons else "no sample of these kinds could be drawn")


class _Trial:
    """The function that is run for each drawn sample, and what it has seen."""

    def __init__(self, held: Property, augmentation: Augmentation, kind: str) -> None:
        self.held, self.augmentation, self.kind = held, augmentation, kind
        self.error: Exception | None = None
        self.late: DeadlineExceeded | None = None
        self.sample: Any = None
        self.seed = 0
        self.told = 0
        self.reasons: list[str] = []

    def __call__(self, sample: Any, seed: int) -> None:
        try:
            self.held.check(self.augmentation, sample, seed=seed)
        except (NotApplicable, TransformFailed) as error:
            if not self.reasons:
                self.reasons.append(str(error))
            if not isinstance(error, DeadlineExceeded):
                return
            self._stop(error, sample, seed)
        except Exception as error:
            if isinstance(error.__cause__, DeadlineExceeded):
                self._stop(error.__cause__, sample, seed)
            # Hypothesis runs the smallest failing sample last.
            self.error, self.sample, self.seed = error, sample, seed
        else:
            # Not what is run while a failing sample is made smaller.
            self.told += self.error is None
            return
        # Out here, as Hypothesis also looks at what an exception was raised in the course of.
        raise _Failed

    def _stop(self, error: DeadlineExceeded, sample: Any, seed: int) -> NoReturn:
        """More samples would wait as long, and a call that is left behind may still be running."""
        error.sample, error.seed = sample, seed
        self.late = error
        raise _Stopped


class _Failed(Exception):  # noqa: N818 (Hypothesis tells failures apart by their type, and these are all alike)
    """The sample fails."""


class _Stopped(BaseException):
    """Leave Hypothesis at once."""


def _run(trial: _Trial, domain: Domain, max_examples: int, seed: int, shrink: bool) -> str:
    """Run the trial; what it found is in it. Returns why the failure is not steady, if so."""
    phases = (Phase.generate, Phase.shrink) if shrink else (Phase.generate,)
    settings = hypothesis.settings(
        max_examples=max_examples,
        database=None,
        deadline=None,
        phases=phases,
        suppress_health_check=list(HealthCheck),
        report_multiple_bugs=False,
        verbosity=hypothesis.Verbosity.quiet,
        print_blob=False,
    )
    strategies = (domain.strategy(trial.kind), st.integers(0, _LARGEST_SEED))
    test = hypothesis.seed(seed)(settings(hypothesis.given(*strategies)(lambda sample, seed: trial(sample, seed))))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", NonInteractiveExampleWarning)
            test()
    except _Failed:
        pass
    except Flaky:
        return "not each time: it draws from where no seed reaches, or keeps a state between calls"
    except _Stopped:
        pass
    return ""


def deadline_outcome(name: str, augmentation: Augmentation, error: DeadlineExceeded) -> Outcome:
    """What is reported where a call did not return in time: not made smaller, as each try would wait as long."""
    if error.sample is None:
        return Outcome(name, "failed", _line(error), timed_out=True)
    code = f"properties.{GATE}({_subject(augmentation)}, {code_of(error.sample)}, seed={error.seed})"
    reason = str(error)
    return Outcome(name, "failed", reason, 0, "", error.sample, error.seed, code, timed_out=True)


def _subject(augmentation: Augmentation) -> str:
    """How the transform is given to a property by hand: as it is, or with what was said about it."""
    said = [
        *([f"factory={_factory_name(augmentation)}"] if augmentation.factory is not None else []),
        *([f"input={augmentation.input!r}"] if augmentation.input != "tensor" else []),
        *([f"is_geometric={augmentation.is_geometric}"] if augmentation.is_geometric is not None else []),
    ]
    return f"Augmentation(transform, {', '.join(said)})" if said else "transform"


def _factory_name(augmentation: Augmentation) -> str:
    """A class that was given as the factory is that of the transform; anything else is the reader's own ``factory``."""
    return "type(transform)" if augmentation.factory is type(augmentation.given) else "factory"


def _line(error: BaseException) -> str:
    text = " ".join(str(error).split())
    if isinstance(error, PropertyFailed | DeadlineExceeded):
        return text
    # What came out was nothing that the property could read, or it has a fault of its own: said, and the rest is checked.
    return f"could not be checked: {type(error).__name__}: {text}"
