"""All planted bugs, and how each is held against its property."""

from mutant import Mutant
from mutants_batches import MUTANTS as BATCHES
from mutants_contract import MUTANTS as CONTRACT
from mutants_geometry import MUTANTS as GEOMETRY
from mutants_independence import MUTANTS as INDEPENDENCE
from mutants_seeding import MUTANTS as SEEDING
from mutants_segments import MUTANTS as SEGMENTS

from segaug.testing import Report, check_augmentation

__all__ = ["MAX_EXAMPLES", "MUTANTS", "RIGHT", "SEEDS", "check_right", "check_wrong"]

MUTANTS: list[Mutant] = [*CONTRACT, *SEEDING, *INDEPENDENCE, *SEGMENTS, *BATCHES, *GEOMETRY]
# A right transform may stand beside several wrong ones.
RIGHT = {(mutant.right, repr(mutant.options)): mutant for mutant in MUTANTS}
SEEDS = (0, 1, 2, 3, 4)
MAX_EXAMPLES = 200


def check_wrong(mutant: Mutant, seed: int, *, shrink: bool = False) -> Report:
    """Hold the one property that should catch the bug against the wrong transform."""
    return check_augmentation(
        mutant.wrong(),
        factory=mutant.wrong,
        only=[mutant.caught_by],
        max_examples=MAX_EXAMPLES,
        seed=seed,
        shrink=shrink,
        deadline=None,
        **mutant.options,
    )


def check_right(
    mutant: Mutant, seed: int, *, max_examples: int = MAX_EXAMPLES, only: list[str] | None = None
) -> Report:
    """Hold all properties against the right transform."""
    return check_augmentation(
        mutant.right(),
        factory=mutant.right,
        only=only,
        max_examples=max_examples,
        seed=seed,
        deadline=None,
        **mutant.options,
    )
