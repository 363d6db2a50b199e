"""Print the table of planted bugs: ``python tests/testing/quality``.

For each bug: after how many samples the property that should catch it failed, for five seeds; and whether the right transform
held all properties for these seeds.
"""

import sys
import time

import torch
from catalogue import MUTANTS, SEEDS, check_right, check_wrong


def main() -> int:
    """Print it, and return 1 if a bug was missed or a right transform failed."""
    torch.set_num_threads(1)
    start = time.perf_counter()
    missed, alarms = 0, 0
    wide = max(len(mutant.name) for mutant in MUTANTS)
    property_wide = max(len(mutant.caught_by) for mutant in MUTANTS)
    print(f"{'bug':<{wide}}  {'caught by':<{property_wide}}  samples before it failed  right transform")
    for mutant in MUTANTS:
        caught = [check_wrong(mutant, seed)[mutant.caught_by] for seed in SEEDS]
        counts = [str(outcome.examples) if outcome.status == "failed" else "MISSED" for outcome in caught]
        missed += counts.count("MISSED")
        reports = [check_right(mutant, seed) for seed in SEEDS]
        failed = sorted({outcome.name for report in reports for outcome in report.failed})
        alarms += len(failed)
        silent = any(report[mutant.caught_by].status != "held" for report in reports)
        alarms += silent
        verdict = "FAILED " + ", ".join(failed) if failed else "NOT HELD" if silent else f"{len(reports[0].held)} held"
        row = f"{mutant.name:<{wide}}  {mutant.caught_by:<{property_wide}}"
        print(f"{row}  {' '.join(f'{count:>4}' for count in counts)}  {verdict}", flush=True)
    seconds = time.perf_counter() - start
    print(
        f"{len(MUTANTS)} bugs, {len(SEEDS)} seeds: {missed} missed, {alarms} false alarms on right transforms "
        f"({seconds:.0f} s)"
    )
    return 1 if missed or alarms else 0


if __name__ == "__main__":
    sys.exit(main())
