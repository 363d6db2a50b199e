"""Run what is missing of a table, keep every result, and print the table."""

import argparse
import json
import statistics
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import Any

from _lines import append_line, read_lines
from _rows import Row

__all__ = [
    "RESULTS",
    "Result",
    "missing_trainings",
    "options",
    "print_table",
    "read_results",
    "run_table",
    "summary",
    "table_lines",
]

_HERE = Path(__file__).resolve().parent
RESULTS = _HERE / "results" / "runs.csv"
_COLUMNS = (
    "key", "seed", "accuracy", "train_accuracy", "tokens", "images", "cpu_minutes", "images_per_cpu_second",
    "parameters", "row",
)  # fmt: skip

Result = dict[str, Any]


def read_results() -> dict[tuple[str, int], Result]:
    """All results so far, by row and seed."""
    return {(line["key"], int(line["seed"])): line for line in read_lines(RESULTS)}


def options(description: str, rows: Mapping[str, Row], seeds: Sequence[int]) -> argparse.Namespace:
    """Read a table's command line.

    Args:
        description: For ``--help``.
        rows: The table's rows, by the name that it prints.
        seeds: Seeds if none are given.
    """
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--photos", type=Path, help="folder of photos with train/CLASS and val/CLASS")
    parser.add_argument("--nlvr", type=Path, help="folder of NLVR with counts.csv, train and val")
    parser.add_argument("--jobs", type=int, default=1, help="trainings beside each other, one thread each")
    parser.add_argument("--seeds", type=int, nargs="+", default=list(seeds), help="default: %(default)s")
    parser.add_argument("--rows", nargs="+", metavar="NAME", choices=list(rows), help="only these rows")
    parser.add_argument("--store", type=Path, default=_HERE / "cache", help="where tokens are kept")
    parser.add_argument("--runs", type=Path, default=_HERE / "runs", help="where the trainings' folders are")
    parser.add_argument("--print", action="store_true", help="print what is there and train nothing")
    return parser.parse_args()


def run_table(title: str, rows: Mapping[str, Row], args: argparse.Namespace, *, against: Row | None = None) -> None:
    """Train every row with every seed that has no result yet, and print the table.

    Results go to ``results/runs.csv`` one by one, so a table that was interrupted goes on where it stopped, and a row that
    is in two tables is trained once.

    Args:
        title: Name of the table.
        rows: Its rows, by the name that the table prints.
        args: From :func:`options`.
        against: As for :func:`table_lines`.
    """
    chosen = _chosen(rows, args)
    if not args.print:
        missing = missing_trainings(rows, args)
        print(
            f"{title}: {len(missing)} trainings to do, {len(chosen) * len(args.seeds) - len(missing)} there", flush=True
        )
        with ThreadPoolExecutor(args.jobs) as pool:
            for future in as_completed([pool.submit(_train, *job, args) for job in missing]):
                name, row, seed, result = future.result()
                _keep(row, seed, result)
                print(f"{name}, seed {seed}: {result['accuracy']} ({result['cpu_minutes']} CPU minutes)", flush=True)
    print_table(chosen, args.seeds, against=against)


def missing_trainings(rows: Mapping[str, Row], args: argparse.Namespace) -> list[tuple[str, Row, int]]:
    """Name, row and seed of what was asked for and has no result, seed by seed: an interrupted table has whole seeds."""
    done = read_results()
    chosen = _chosen(rows, args).items()
    return [(name, row, seed) for seed in args.seeds for name, row in chosen if (row.key, seed) not in done]


def _chosen(rows: Mapping[str, Row], args: argparse.Namespace) -> dict[str, Row]:
    return {name: row for name, row in rows.items() if args.rows is None or name in args.rows}


def _train(name: str, row: Row, seed: int, args: argparse.Namespace) -> tuple[str, Row, int, Result]:
    command = [sys.executable, str(_HERE / "_worker.py"), row.to_json(), "--seed", str(seed)]
    for option in ("photos", "nlvr", "store", "runs"):
        if getattr(args, option) is not None:
            command += [f"--{option}", str(getattr(args, option))]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{name} with seed {seed} failed:\n{done.stderr.strip()[-2000:]}")
    return name, row, seed, json.loads(done.stdout.splitlines()[-1])


def _keep(row: Row, seed: int, result: Result) -> None:
    line = {**result, "key": row.key, "seed": seed, "row": row.to_json()}
    append_line(RESULTS, {name: line[name] for name in _COLUMNS})


def summary(row: Row, seeds: Sequence[int], results: Mapping[tuple[str, int], Result]) -> dict[str, Any] | None:
    """Mean, spread and number of seeds of a row; None if there is no result."""
    mine = [results[row.key, seed] for seed in seeds if (row.key, seed) in results]
    if not mine:
        return None
    numbers = {
        name: [float(result[name]) for result in mine]
        for name in ("accuracy", "train_accuracy", "tokens", "cpu_minutes", "images_per_cpu_second")
    }
    return {
        "mean": statistics.mean(numbers["accuracy"]),
        "spread": statistics.stdev(numbers["accuracy"]) if len(mine) > 1 else None,
        "seeds": len(mine),
        **{name: statistics.median(values) for name, values in numbers.items() if name != "accuracy"},
    }


def table_lines(rows: Mapping[str, Row], seeds: Sequence[int], *, against: Row | None = None) -> Iterator[str]:
    """The table in Markdown, rows without a result left out.

    Args:
        rows: The rows, by the name that is printed.
        seeds: The seeds that count.
        against: A row; how far the others are from it is printed, over the seeds that both have.
    """
    results = read_results()
    column = "" if against is None else " difference |"
    yield f"| row | accuracy |{column} seeds | tokens | epochs | CPU min | images/s | train |"
    yield "|---|---|" + ("" if against is None else "---|") + "---|---|---|---|---|---|"
    for name, row in rows.items():
        line = summary(row, seeds, results)
        if line is None:
            continue
        column = "" if against is None else f" {_difference(row, against, seeds, results)} |"
        yield (
            f"| {name} | {_with_spread(line['mean'], line['spread'])} |{column} {line['seeds']} | {line['tokens']:.0f} "
            f"| {row.epochs} | {line['cpu_minutes']:.1f} | {line['images_per_cpu_second']:.0f} "
            f"| {line['train_accuracy']:.0f} |"
        )


def _difference(row: Row, base: Row, seeds: Sequence[int], results: Mapping[tuple[str, int], Result]) -> str:
    """Seed by seed, so that rows of other numbers of seeds can be compared: a seed's photos are easy or hard for all rows."""
    both = [seed for seed in seeds if (row.key, seed) in results and (base.key, seed) in results]
    if row == base or not both:
        return ""
    pairs = ((float(results[key, seed]["accuracy"]) for key in (row.key, base.key)) for seed in both)
    points = [mine - its for mine, its in pairs]
    return _with_spread(statistics.mean(points), statistics.stdev(points) if len(points) > 1 else None, sign="+")


def _with_spread(mean: float, spread: float | None, sign: str = "") -> str:
    return f"{mean:{sign}.1f}" + ("" if spread is None else f" ± {spread:.1f}")


def print_table(rows: Mapping[str, Row], seeds: Sequence[int], *, against: Row | None = None) -> None:
    """Print a table (:func:`table_lines`)."""
    print(*table_lines(rows, seeds, against=against), sep="\n")
