"""Print the table of planted bugs: ``python tests/testing/quality [--jobs N]``.

For each bug: after how many samples the property that should catch it failed, for five seeds; and whether the right
transform held that property for the same seeds and as many samples. Then all properties against each right transform, for
the five seeds.
"""

import argparse
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import torch
from catalogue import MUTANTS, RIGHT, SEEDS, check_right, check_wrong

# For all properties of a right transform; those that count are as long with any number.
FEW = 10


def row(number: int) -> tuple[list[str], str]:
    """After how many samples a bug was caught, per seed, and what became of the right transform."""
    mutant = MUTANTS[number]
    caught = [check_wrong(mutant, seed)[mutant.caught_by] for seed in SEEDS]
    right = [check_right(mutant, seed, only=[mutant.caught_by])[mutant.caught_by].status for seed in SEEDS]
    counts = [str(outcome.examples) if outcome.status == "failed" else "MISSED" for outcome in caught]
    return counts, "held" if set(right) == {"held"} else ", ".join(right).upper()


def alarms(number: int) -> tuple[int, list[str]]:
    """How many properties a right transform held with the first seed, and which failed with any."""
    reports = [check_right(list(RIGHT.values())[number], seed, max_examples=FEW) for seed in SEEDS]
    return len(reports[0].held), sorted({outcome.name for report in reports for outcome in report.failed})


def main() -> int:
    """Print it, and return 1 if a bug was missed or a right transform failed."""
    parser = argparse.ArgumentParser(description="Hold planted bugs against the properties that should catch them.")
    parser.add_argument("--jobs", type=int, default=1, help="processes (default: 1)")
    jobs = parser.parse_args().jobs
    start = time.perf_counter()
    faults = 0
    wide = max(len(mutant.name) for mutant in MUTANTS)
    property_wide = max(len(mutant.caught_by) for mutant in MUTANTS)
    print(f"{'bug':<{wide}}  {'caught by':<{property_wide}}  samples before it failed  right one")
    with ProcessPoolExecutor(jobs, get_context("fork"), torch.set_num_threads, (1,)) as pool:
        for mutant, (counts, right) in zip(MUTANTS, pool.map(row, range(len(MUTANTS))), strict=True):
            faults += counts.count("MISSED") + (right != "held")
            shown = " ".join(f"{count:>4}" for count in counts)
            print(f"{mutant.name:<{wide}}  {mutant.caught_by:<{property_wide}}  {shown:<24}  {right}", flush=True)
        print(f"\nright transforms, all properties, {len(SEEDS)} seeds, {FEW} samples each")
        for mutant, (held, failed) in zip(RIGHT.values(), pool.map(alarms, range(len(RIGHT))), strict=True):
            faults += len(failed)
            name = f"{type(mutant.right()).__name__} (of: {mutant.name})"
            print(f"{name:<{wide + property_wide}}  {f'FAILED {failed}' if failed else f'{held} held'}", flush=True)
    seconds = time.perf_counter() - start
    print(f"\n{len(MUTANTS)} bugs, {len(RIGHT)} right transforms, {faults} missed or false ({seconds:.0f} s)")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
