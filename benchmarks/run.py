"""Commercia beside Vendure and beside what the machine could do at most: docs/benchmarks.md is what this writes.

    make benchmark                                                       # everything: about 40 minutes
    make benchmark ARGS="--seconds 1 --rounds 1 --many 5000 --items W1 W4 --output /tmp/benchmarks.md"

Needs PostgreSQL, and of Debian's packages wrk, redis-server and nginx-light; for Vendure, Node with npm. Databases of
its own, named commercia_benchmark…, are made and dropped again. Nothing else should run meanwhile.
"""

import argparse
import itertools
import json
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NoReturn

import psycopg

from benchmarks import hostile, load, report, servers, shops
from benchmarks.load import Flow, Plan, Result
from benchmarks.servers import Server

ITEMS = ["W1", "W2", "W3", "W4", "W5", "W6", "mix", "cold", "hostile"]
READS = ["W1", "W2", "W5"]
# The parts of W6, and which flow each is.
W6 = {"W6 first": "W1", "W6 deep": "deep", "W6 filtered": "filtered", "W6 searched": "W5"}
USUAL = {"W6 list": "W1", "W6 search": "W5"}
THEIR_W6 = {"W6 first": "products", "W6 deep": "deep"}
UNCACHED = {"CATALOG_CACHE_MEGABYTES": "0"}

Starting = Callable[..., AbstractContextManager[Server]]


@dataclass(frozen=True)
class Measurement:
    """One of the table's cells: an item, and who is asked for it."""

    item: str
    who: str
    plan: Plan
    # What is written to the catalogue meanwhile, once a second: the database and the statement.
    writes: tuple[str, str] | None = None


@dataclass
class Bench:
    """What is up, what is measured, and what was found out."""

    options: argparse.Namespace
    work: Path
    stack: ExitStack
    databases: dict[str, str] = field(default_factory=dict)
    servers: dict[str, Server] = field(default_factory=dict)
    measurements: list[Measurement] = field(default_factory=list)
    found: report.Found = field(default_factory=report.Found)

    def start(self, who: str, starting: Starting, *given: str, **environment: str) -> Server:
        self.servers[who] = self.stack.enter_context(starting(who, *given, work=self.work, **environment))
        return self.servers[who]


def main() -> None:
    options = _options()
    servers.require(["wrk", "redis-server", "nginx", *(["npm"] if options.vendure else [])])
    signal.signal(signal.SIGTERM, _stop)
    work = Path(tempfile.mkdtemp(prefix="benchmark-"))
    _say(f"What it starts writes into {work}, which is removed if all goes well.")
    with ExitStack() as stack:
        bench = Bench(options, work, stack)
        bench.found.conditions = report.Conditions.of(options)
        if options.vendure:
            _say("npm installs Vendure ...")
            servers.install_vendure()
        _fill(bench, "shop", options.products)
        items = set(options.items)
        if "cold" in items:
            _cold_starts(bench)
        if "hostile" in items:
            _hostile(bench)
        if items - {"W6", "cold", "hostile"}:
            _rounds(bench, _shop_of_usual_size)
        if "W6" in items:
            _fill(bench, "many", options.many)
            _rounds(bench, _shop_of_many)
    report.write(bench.found, options.output)
    shutil.rmtree(work)
    _say(f"Written: {options.output}")


def _rounds(bench: Bench, prepare: Callable[[Bench], None]) -> None:
    """Starts what is compared with each other, measures each in turn, several times, and stops all of it."""
    outer = bench.stack
    with ExitStack() as bench.stack:
        bench.servers, bench.measurements = {}, []
        prepare(bench)
        bench.measurements.sort(key=lambda measurement: [*report.ITEMS, "mix"].index(measurement.item))
        for number in range(1, bench.options.rounds + 1):
            for one in bench.measurements:
                result = _measure(bench, one, number)
                bench.found.results[one.item, one.who].append(result)
                _say(f"round {number}: {one.item:12} {one.who:11} {result.rate:9.1f}/s  p99 {result.p99:.1f} ms")
        for who in report.REMEMBERED.keys() & bench.servers.keys():
            bench.found.memory[who] = bench.servers[who].memory()
    bench.stack = outer


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", nargs="+", choices=ITEMS, default=ITEMS)
    parser.add_argument("--seconds", type=float, default=10, help="of each measurement, after a fifth of it to warm up")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--products", type=int, default=1_000)
    parser.add_argument("--many", type=int, default=100_000, help="products of W6")
    parser.add_argument("--without-vendure", dest="vendure", action="store_false")
    parser.add_argument(
        "--postgres", default="postgres://postgres@127.0.0.1:5432", help="a server where databases may be made"
    )
    parser.add_argument("--output", type=Path, default=Path("docs/benchmarks.md"))
    return parser.parse_args()


def _stop(*_: object) -> NoReturn:
    raise SystemExit("Stopped.")


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


# ── Preparing ────────────────────────────────────────────────────────────────────────────────────────


def _fill(bench: Bench, name: str, products: int) -> None:
    """A database of Commercia's with so many products, and one of Vendure's with the same."""
    _say(f"Filling databases with {products:,} products ...")
    bench.databases[name] = _database(bench, name)
    servers.fill_commercia(bench.databases[name], products)
    if bench.options.vendure:
        bench.databases[f"vendure_{name}"] = _database(bench, f"vendure_{name}")
        servers.fill_vendure(bench.databases[f"vendure_{name}"], bench.databases[name])


def _database(bench: Bench, name: str) -> str:
    name = f"commercia_benchmark_{name}"
    bench.stack.callback(servers.drop, bench.options.postgres, name)
    return servers.create(bench.options.postgres, name)


def _shop_of_usual_size(bench: Bench) -> None:
    """W1 to W5 and the mix, by everybody who can answer them."""
    items, database = set(bench.options.items), bench.databases["shop"]
    settings = servers.settings(database)
    redis = bench.start("redis-server", servers.redis)
    with_redis = settings | {"REDIS_URL": f"redis://127.0.0.1:{redis.port}/0"}
    missed = bench.start("missed", servers.gunicorn, "commercia.wsgi", **settings, **UNCACHED)
    kept = bench.start("in-process", servers.gunicorn, "commercia.wsgi", **settings)
    shared = bench.start("redis", servers.gunicorn, "commercia.wsgi", **with_redis)
    flows, plan = shops.commercia(missed.url)
    reads = {item: flows[item] for item in READS if item in items}
    for item in items & {*READS, "W3", "W4"}:
        _add(bench, item, "missed", plan, flows[item], counted=True)
    few = plan.values | {"slug": plan.values["slug"][:50]}  # Kept by the end of the warming up.
    for server in (kept, shared):
        for item, flow in reads.items():
            _add(bench, item, server.name, replace(plan, url=server.url, values=few), flow)
        if "mix" in items:
            _mix(bench, server.name, replace(plan, url=server.url), flows, (database, shops.OUR_WRITE))
    if reads:
        _limits(bench, settings, kept, plan, reads)
    if bench.options.vendure:
        database = bench.databases["vendure_shop"]
        theirs = bench.start("vendure", servers.vendure, database)
        flows, plan = shops.vendure(theirs.url, database)
        for item in items & {*READS, "W3", "W4"}:
            _add(bench, item, "vendure", plan, flows[item], counted=True)
        if "W1" in items:
            _add(bench, "W1", "products", plan, flows["products"], counted=True)
        if "mix" in items:
            _mix(bench, "vendure", plan, flows, (database, shops.THEIR_WRITE))


def _mix(bench: Bench, who: str, plan: Plan, flows: dict[str, Flow], writes: tuple[str, str]) -> None:
    mixed = replace(plan, flows=[replace(flows[item], weight=weight) for item, weight in shops.MIX.items()])
    bench.measurements.append(Measurement("mix", who, mixed, writes))


def _limits(bench: Bench, settings: dict[str, str], shop: Server, plan: Plan, flows: dict[str, Flow]) -> None:
    """The bytes of each answer by a bare view, and those of W1 by nginx: as a file, and as it keeps the shop's."""
    answers = bench.work / "answers"
    answers.mkdir()
    for item, flow in flows.items():
        (answers / item).write_bytes(load.walk(plan, flow)[0][0])
    for who, middleware in (("bare", "all"), ("barest", "none")):
        environment = settings | {"BARE_MIDDLEWARE": middleware, "BARE_ANSWERS": str(answers)}
        bare = bench.start(who, servers.gunicorn, "benchmarks.bare", path="/", **environment)
        for item, flow in flows.items():
            _add(bench, item, who, replace(plan, url=bare.url + item), flow)
    if "W1" in flows:
        static, front = bench.stack.enter_context(servers.nginx(shop, answers, work=bench.work))
        bench.servers["nginx"] = front
        _add(bench, "W1", "static", Plan(static.url))
        _add(bench, "W1", "nginx", Plan(shops.address(front.url, flows["W1"].steps[0])))


def _shop_of_many(bench: Bench) -> None:
    """W6, beside W1 and W5 of the usual size."""
    deep = min(shops.PAGE * (shops.DEEP - 1), bench.options.many - shops.PAGE)
    for database, items in {"many": W6, "shop": USUAL}.items():
        settings = servers.settings(bench.databases[database], **UNCACHED)
        ours = bench.start(f"{database}-missed", servers.gunicorn, "commercia.wsgi", **settings)
        flows, plan = shops.commercia(ours.url, deep=deep if database == "many" else 0)
        for item, flow in items.items():
            _add(bench, item, "missed", plan, flows[flow], counted=True)
    if bench.options.vendure:
        database = bench.databases["vendure_many"]
        theirs = bench.start("many-vendure", servers.vendure, database)
        flows, plan = shops.vendure(theirs.url, database, deep=deep)
        for item, flow in THEIR_W6.items():
            _add(bench, item, "vendure", plan, flows[flow], counted=True)


def _add(bench: Bench, item: str, who: str, plan: Plan, flow: Flow | None = None, *, counted: bool = False) -> None:
    """One more measurement; a flow is gone through alone before, which shows that it works and how many SQL statements
    it takes once the shop is warm."""
    for _ in range(2 * servers.PROCESSES if flow else 0):  # Each process has seen it then, most likely.
        load.walk(plan, flow)
    if counted:
        bench.found.statements[item, who] = _statements(bench, plan, flow)
    bench.measurements.append(Measurement(item, who, replace(plan, flows=[flow] if flow else [])))


def _statements(bench: Bench, plan: Plan, flow: Flow) -> int:
    """Vendure tells them in a header that shop.mjs adds, Commercia in its log."""
    log = next(server.log for server in bench.servers.values() if server.url == plan.url)
    before = log.stat().st_size
    answers = load.walk(plan, flow)
    told = [int(headers["x-statements"]) for _, headers in answers if "x-statements" in headers]
    told = told or [line["statements"] for line in _logged(log, before)]
    if len(told) != len(answers):
        raise RuntimeError(f"{len(told)} requests of {flow.name} told of their statements, instead of {len(answers)}.")
    return sum(told)


def _logged(log: Path, begin: int) -> list[dict]:
    """The lines that Commercia has logged about requests, from there on."""
    with log.open("rb") as file:
        file.seek(begin)
        lines = [json.loads(line) for line in file if line.startswith(b"{")]
    return [line for line in lines if "statements" in line]


def _cold_starts(bench: Bench) -> None:
    """Several times: how long until the port answers after the command, and how long the first two requests take."""
    settings = servers.settings(bench.databases["shop"])
    kinds = [("in-process", servers.gunicorn, ["commercia.wsgi"], settings)]
    if bench.options.vendure:
        kinds.append(("vendure", servers.vendure, [bench.databases["vendure_shop"]], {}))
    for _ in range(bench.options.rounds):
        for who, starting, given, environment in kinds:
            began = time.perf_counter()
            with starting("cold", *given, work=bench.work, **environment) as server:
                taken = [time.perf_counter() - began]
                step = shops.first(who)
                for _ in range(2):
                    began = time.perf_counter()
                    load.walk(Plan(server.url), Flow("cold", [step]))
                    taken.append(time.perf_counter() - began)
                bench.found.cold[who].append(taken)


def _hostile(bench: Bench) -> None:
    """What buyers wait for a product's page that is not kept: alone, beside one hostile address, and beside many."""
    environment = servers.settings(
        bench.databases["shop"], **UNCACHED, BEHIND_PROXY="true", MAX_COST_PER_MINUTE="1000000"
    )
    with servers.gunicorn("hostile", "commercia.wsgi", work=bench.work, **environment) as server:
        flows, plan = shops.commercia(server.url)
        seconds, step = bench.options.seconds, flows["W2"].steps[0]
        hostile.waits(server.port, plan, step, seconds / 5)
        for _ in range(bench.options.rounds):
            waits = [hostile.waits(server.port, plan, step, seconds)]
            for addresses in (1, 251):
                with hostile.beside(server.port, addresses=addresses) as sent:
                    before = sent.value
                    waits.append(hostile.waits(server.port, plan, step, seconds))
                    waits.append((sent.value - before) / seconds)
            bench.found.hostile.append(waits)
            _say(
                "hostile: p95 alone {:.1f} ms; one address {:.1f} ms, {:.0f}/s; many {:.1f} ms, {:.0f}/s".format(*waits)
            )


# ── Measuring ────────────────────────────────────────────────────────────────────────────────────────


def _measure(bench: Bench, one: Measurement, number: int) -> Result:
    seconds = bench.options.seconds
    load.run(one.plan, seconds=max(1, seconds / 5), seed=2 * number, work=bench.work)
    log = bench.work / ("nginx-access.log" if one.who == "nginx" else f"{one.who}.log")
    before = log.stat().st_size if log.exists() else 0
    with _writing(*one.writes) if one.writes else nullcontext():
        result = load.run(one.plan, seconds=seconds, seed=2 * number + 1, work=bench.work)
    if one.who == "nginx":
        time.sleep(2)  # It writes its log once a second.
        bench.found.kept[one.item, one.who] += Counter(log.read_bytes()[before:].decode().split())
    elif one.item == "mix" and one.who != "vendure":
        states = (line["cache"].upper() for line in _logged(log, before) if "cache" in line)
        bench.found.kept[one.item, one.who] += Counter(states)
    _settle(bench, vacuum=one.item in {"W3", "W4", "mix"})
    return result


@contextmanager
def _writing(database: str, statement: str) -> Iterator[None]:
    """Writes to the catalogue once a second, the statement with a number of its own each time."""
    over, failures = threading.Event(), []

    def write() -> None:
        try:
            with psycopg.connect(database, autocommit=True) as connection:
                for number in itertools.count():
                    if over.wait(1):
                        return
                    if connection.execute(statement, [number]).rowcount != 1:
                        raise RuntimeError("There was nothing to write to.")
        except Exception as error:  # Raised below.
            failures.append(error)

    thread = threading.Thread(target=write, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join(30)
    if failures:
        raise failures[0]


def _settle(bench: Bench, *, vacuum: bool) -> None:
    """Waits until nothing of it goes on during the next measurement: what the purchases owe is done, and no statement
    of an answer that nobody waits for any more is running. Does what autovacuum would do in time, where it is on."""
    due = """SELECT count(*) FROM storefront_outboxmessage
        WHERE delivered_at IS NULL AND given_up_at IS NULL AND due_at < now()"""
    busy = """SELECT count(*) FROM pg_stat_activity
        WHERE state <> 'idle' AND datname LIKE 'commercia_benchmark%' AND pid <> pg_backend_pid()"""
    database = bench.databases["shop"]
    with psycopg.connect(database, autocommit=True) as connection:
        if connection.execute(due).fetchone()[0]:
            with servers.worker(work=bench.work, **servers.settings(database)):
                _wait(lambda: connection.execute(due).fetchone()[0] == 0)
        # Three looks, since between two statements of an answer there is none.
        _wait(lambda: not any(connection.execute(busy).fetchone()[0] or time.sleep(0.1) for _ in range(3)))
    for name in ["shop", "vendure_shop"] if vacuum else []:
        if name in bench.databases:
            with psycopg.connect(bench.databases[name], autocommit=True) as connection:
                connection.execute("VACUUM ANALYZE")


def _wait(over: Callable[[], bool]) -> None:
    for _ in range(3_000):
        if over():
            return
        time.sleep(0.1)
    raise RuntimeError("After five minutes there is still something in the outbox, or running.")


if __name__ == "__main__":
    main()
