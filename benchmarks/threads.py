"""Measures the throughput of the shop without caches by gunicorn's processes × threads: docs/performance.md.

    .venv/bin/python -m benchmarks.threads 2x4 3x4 4x4
    .venv/bin/python -m benchmarks.threads --against ../before 2x16 3x4    # and another checkout, with its defaults

Needs PostgreSQL (with a connection for each thread of all variants) and Debian's wrk. All variants run at the same
time, and each item is measured for one variant after the other before the next item. Prints the medians of the rounds,
and the medians of the ratios to the first variant in the same round. Nothing else should run on the machine.
"""

import argparse
import json
import signal
import sys
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median

from benchmarks import load, servers, shops

ITEMS = ["W1", "W2", "W3", "W4", "W5"]
DATABASE = "commercia_benchmark_threads"


@dataclass(frozen=True)
class Variant:
    name: str
    folder: Path
    environment: dict[str, str]


def variants(options: argparse.Namespace) -> list[Variant]:
    found = [Variant("before", options.against.resolve(), {})] if options.against else []
    for cell in options.cells:
        size, *more = cell.split(",")
        processes, threads = size.split("x")
        environment = {"WEB_CONCURRENCY": processes, "WEB_THREADS": threads}
        found.append(Variant(cell, servers.ROOT, environment | dict(pair.split("=", 1) for pair in more)))
    return found


def _from(number: int, names: list[str]) -> list[str]:
    first = number % len(names)
    return names[first:] + names[:first]


def main(options: argparse.Namespace) -> None:
    servers.require(["wrk"])
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("Stopped."))
    work = Path(tempfile.mkdtemp(prefix="threads-"))
    rates: dict[str, dict[str, list[float]]] = {}
    with ExitStack() as stack:
        stack.callback(servers.drop, options.postgres, DATABASE)
        database = servers.create(options.postgres, DATABASE)
        servers.fill_commercia(database, options.products)
        settings = servers.settings(database, CATALOG_CACHE_MEGABYTES="0")
        started = {}
        for variant in variants(options):
            environment = settings | variant.environment
            starting = servers.gunicorn(variant.name, "commercia.wsgi", work=work, folder=variant.folder, **environment)
            started[variant.name] = stack.enter_context(starting)
        plans = {name: shops.commercia(server.url) for name, server in started.items()}
        for item in options.items:
            rates[item] = {name: [] for name in started}
            for flows, plan in plans.values():
                load.run(replace(plan, flows=[flows[item]]), seconds=options.seconds, seed=0, work=work)
        for number in range(1, options.rounds + 1):
            for item in options.items:
                for name in _from(number, list(plans)):  # Each variant goes first in some rounds.
                    flows, plan = plans[name]
                    one = replace(plan, flows=[flows[item]])
                    rates[item][name].append(load.run(one, seconds=options.seconds, seed=number, work=work).rate)
                last = "  ".join(f"{name} {found[-1]:.0f}" for name, found in rates[item].items())
                print(f"round {number}, {item}: {last}", file=sys.stderr, flush=True)
            if options.raw:
                options.raw.write_text(json.dumps(rates, indent=1))
        memory = {name: server.total_memory() for name, server in started.items()}
    print(f"| processes × threads | {' | '.join(options.items)} | MB |")
    print(f"|---|{'---:|' * (len(options.items) + 1)}")
    first = next(iter(memory))
    for name, megabytes in memory.items():
        cells = []
        for found in rates.values():
            ratio = median(here / there for here, there in zip(found[name], found[first], strict=True))
            cells.append(f"{median(found[name]):.0f}/s" + ("" if name == first else f", {ratio:.2f}"))
        print(f"| {name} | {' | '.join(cells)} | {megabytes:.0f} |")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cells", nargs="+", help="processes x threads, and settings: 2x4,DATABASE_CONN_MAX_AGE=0")
    parser.add_argument("--against", type=Path, help="another checkout, measured first")
    parser.add_argument("--items", nargs="+", choices=ITEMS, default=ITEMS)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--products", type=int, default=1_000)
    parser.add_argument("--raw", type=Path, help="a file for the numbers of each round, as JSON")
    parser.add_argument("--postgres", default="postgres://postgres@127.0.0.1:5432")
    main(parser.parse_args())
