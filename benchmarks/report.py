"""docs/benchmarks.md and the picture in it, from what was measured."""

import argparse
import json
import math
import os
import platform
import subprocess
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from statistics import median

import psycopg

from benchmarks.load import CONNECTIONS, Result
from benchmarks.servers import PROCESSES, VENDURE

ITEMS = {
    "W1": "W1 list of 24",
    "W2": "W2 product page",
    "W5": 'W5 search "shirt"',
    "W3": "W3 first add to a cart",
    "W4": "W4 whole guest purchase",
    "W6 first": "W6 list of many, first page",
    "W6 deep": "W6 page 1,000",
    "W6 filtered": "W6 filtered",
    "W6 searched": "W6 searched",
    "W6 list": "for comparison, W1 of the usual size",
    "W6 search": "for comparison, W5 of the usual size",
}
COLUMNS = {
    "vendure": "Vendure",
    "missed": "uncached",
    "redis": "cached in Redis",
    "in-process": "cached in the process",
    "bare": "empty view, our middleware",
    "barest": "empty view, no middleware",
    "nginx": "GET through nginx",
    "static": "nginx, static file",
}
REMEMBERED = {
    "missed": "Commercia, uncached",
    "in-process": "Commercia, cached in the process",
    "redis": "Commercia, cached in Redis",
    "many-missed": "Commercia, many products",
    "vendure": "Vendure",
    "many-vendure": "Vendure, many products",
}
SERIES = {"vendure": "#b8b8b8", "missed": "#3b6fb6", "in-process": "#7fb069"}

Key = tuple[str, str]


@dataclass(frozen=True)
class Conditions:
    options: argparse.Namespace
    cores: int
    postgres: str
    vendure: str
    day: str

    @classmethod
    def of(cls, options: argparse.Namespace) -> "Conditions":
        with psycopg.connect(f"{options.postgres}/postgres") as connection:
            version = str(connection.info.server_version // 10_000)
        vendure = ""
        if options.vendure:
            theirs = json.loads((VENDURE / "package.json").read_text())["dependencies"]["@vendure/core"]
            node = subprocess.run(["node", "--version"], capture_output=True, text=True, check=True).stdout.strip()  # noqa: S607
            vendure = f"Vendure {theirs} on Node {node.removeprefix('v')}"
        return cls(options, os.cpu_count() or 0, version, vendure, datetime.now(UTC).date().isoformat())


@dataclass
class Found:
    """All by item and by whom it was asked of; `cold` by whom only, `memory` by server."""

    conditions: Conditions = field(init=False)
    results: dict[Key, list[Result]] = field(default_factory=lambda: defaultdict(list))
    statements: dict[Key, int] = field(default_factory=dict)
    kept: dict[Key, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    memory: dict[str, tuple[float, float]] = field(default_factory=dict)
    cold: dict[str, list[list[float]]] = field(default_factory=lambda: defaultdict(list))
    # p95 alone; p95 and hostile documents a second, from one address and from many.
    hostile: list[list[float]] = field(default_factory=list)

    def rate(self, item: str, who: str) -> float | None:
        results = self.results.get((item, who))
        return median(result.rate for result in results) if results else None

    def ratio(self, item: str, who: str, other: str, other_item: str = "") -> float | None:
        above, below = self.rate(item, who), self.rate(other_item or item, other)
        return above / below if above and below else None


# What is promised: a ratio, of what to what, and the least that it may be.
PROMISES: list[tuple[str, Callable[[Found], float | None], float]] = [
    ("W1 uncached, to Vendure's `search`", lambda found: found.ratio("W1", "missed", "vendure"), 2.2),
    ("W1 uncached, to Vendure's `products`", lambda found: found.ratio("W1", "missed", "products"), 25),
    ("W2 uncached, to Vendure", lambda found: found.ratio("W2", "missed", "vendure"), 2.5),
    ("W5 uncached, to Vendure", lambda found: found.ratio("W5", "missed", "vendure"), 25),
    *(
        (f"{item} cached in {where}, to the empty view behind the same middleware",
         lambda found, item=item, who=who: found.ratio(item, who, "bare"), least)
        for where, who, least in (("the process", "in-process", 0.6), ("Redis", "redis", 0.45))
        for item in ("W1", "W2", "W5")
    ),
    ("W1 by GET through nginx, to a static file", lambda found: found.ratio("W1", "nginx", "static"), 0.6),
    ("W3, to Vendure", lambda found: found.ratio("W3", "missed", "vendure"), 6),
    ("W4, to Vendure", lambda found: found.ratio("W4", "missed", "vendure"), 6),
    ("W6 first page, to W1", lambda found: found.ratio("W6 first", "missed", "missed", "W6 list"), 0.8),
    ("W6 page 1,000, to its first page", lambda found: found.ratio("W6 deep", "missed", "missed", "W6 first"), 0.8),
    ("W6 filtered, to W1", lambda found: found.ratio("W6 filtered", "missed", "missed", "W6 list"), 0.5),
    ("p95 alone, to p95 beside one hostile address",
     lambda found: median(alone / one for alone, one, *_ in found.hostile) if found.hostile else None, 0.5),
    ("W6 searched, to W5", lambda found: found.ratio("W6 searched", "missed", "missed", "W6 search"), 0.5),
]  # fmt: skip


def write(found: Found, path: Path) -> None:
    """The page, and the picture beside it."""
    picture = path.with_suffix(".svg")
    picture.write_text(_picture(found))
    parts = [_introduction(found, picture.name), _rates(found), _promises(found), _statements(found), _memory(found),
             _mixed(found), _hostile(found), _cold(found)]  # fmt: skip
    path.write_text("\n".join(part for part in parts if part))


def _introduction(found: Found, picture: str) -> str:
    conditions, options = found.conditions, found.conditions.options
    beside = f", {conditions.vendure}" if conditions.vendure else ""
    return f"""# Benchmarks

How fast Commercia answers, compared with Vendure, with its own caches and with an empty view.
`make benchmark` wrote this page ({conditions.day}): medians of {options.rounds} interleaved runs of {options.seconds:g}
seconds, {CONNECTIONS} connections, {PROCESSES} worker processes each, with the load from the same machine
({conditions.cores} cores, PostgreSQL {conditions.postgres}, Python {platform.python_version()}{beside}).
Absolute numbers belong to this machine; the ratios carry over.

![Requests per second]({picture})

Both shops hold the same {options.products:,} products (W6: {options.many:,}) on the same PostgreSQL. W1, W2 and W5
ask both for the same data, as far as each schema has it. Vendure's W1 uses its `search` index; a row of its own
shows its `products`. Vendure's W6 uses `products`, because its search groups all rows for each page. W3 and W4 are
buyers without a cart, each with other goods. W4 is five requests to either shop: goods, address, shipping method,
order, and payment by a test gateway.

Commercia runs with `deploy/gunicorn.conf.py` (except that workers are not restarted after a number of requests),
with its log, tax, stock ledger and outbox switched on. Both shops store the mails and jobs to do, and neither runs
its worker during a measurement; Commercia's runs between them. Tables are vacuumed and analysed after each
measurement that writes, as autovacuum would do. The cached answers are those of 50 product pages. A refused answer
stops the whole run, so these numbers contain none.
"""


def _rates(found: Found) -> str:
    columns = [who for who in COLUMNS if any((item, who) in found.results for item in ITEMS)]
    rows = []
    for item, name in ITEMS.items():
        if any((item, who) in found.results for who in columns):
            rows.append([name, *(_number(found.rate(item, who)) for who in columns)])
    if (products := found.rate("W1", "products")) is not None:
        rows.insert(
            1, ["W1 by Vendure's `products`", *(_number(products if who == "vendure" else None) for who in columns)]
        )
    if not rows:
        return ""
    hits = found.kept["W1", "nginx"]
    share = f"\nnginx answered {hits['HIT'] / hits.total():.2%} of these requests from its cache.\n" if hits else ""
    return "## Requests per second\n\n" + _table(["", *(COLUMNS[who] for who in columns)], rows) + share


def _promises(found: Found) -> str:
    measured = [(text, ratio(found), least) for text, ratio, least in PROMISES]
    rows = [
        [text, f"{least:g}", f"{ratio:.3g}", "yes" if ratio >= least else "**no**"]
        for text, ratio, least in measured
        if ratio is not None
    ]
    return "## Targets\n\n" + _table(["ratio", "at least", "measured", "met"], rows) if rows else ""


def _statements(found: Found) -> str:
    who = [name for name in ("missed", "vendure", "products") if any(key[1] == name for key in found.statements)]
    names = {"missed": "Commercia", "vendure": "Vendure", "products": "Vendure's `products`"}
    rows = [
        [name, *(str(found.statements.get((item, one), "")) for one in who)]
        for item, name in ITEMS.items()
        if any((item, one) in found.statements for one in who)
    ]
    return "## SQL statements\n\n" + _table(["", *(names[one] for one in who)], rows) if rows else ""


def _memory(found: Found) -> str:
    rows = [[name, f"{found.memory[who][0]:.0f}", f"{found.memory[who][1]:.0f}"]
            for who, name in REMEMBERED.items() if who in found.memory]  # fmt: skip
    text = "MB of the largest worker after all measurements. The target is an RSS of at most 150.\n\n"
    return "## Memory\n\n" + text + _table(["", "RSS", "PSS (shared memory counted in parts)"], rows) if rows else ""


def _mixed(found: Found) -> str:
    rows = []
    for who in ("in-process", "redis", "vendure"):
        results = found.results.get(("mix", who))
        if not results:
            continue
        reads = [flow for result in results for name, flow in result.flows.items() if name in {"W1", "W2", "W5"}]
        kept = found.kept["mix", who]
        rows.append(
            [
                COLUMNS[who],
                _number(found.rate("mix", who)),
                f"{(kept['HIT'] + kept['STALE']) / kept.total():.1%}" if kept else "",
                _milliseconds(flow["p50"] / 1000 for flow in reads),
                _milliseconds(flow["p99"] / 1000 for flow in reads),
                _milliseconds(result.flows["W3"]["p99"] / 1000 for result in results if "W3" in result.flows),
                _milliseconds(result.flows["W4"]["p99"] / 1000 for result in results if "W4" in result.flows),
            ]
        )
    head = ["", "per second", "reads from a cache", "reads: p50", "reads: p99", "W3: p99", "W4 whole: p99"]
    text = "90 % W1, W2 and W5, 8 % W3, 2 % W4, and one write to the catalogue per second. Times in milliseconds.\n\n"
    return "## Mixed load\n\n" + text + _table(head, rows) if rows else ""


def _cold(found: Found) -> str:
    names = {"in-process": "Commercia", "vendure": "Vendure"}
    rows = [
        [names[who], *(f"{median(taken[number] for taken in runs) * 1000:.0f}" for number in range(3))]
        for who, runs in found.cold.items()
    ]
    head = ["milliseconds", "from the start command to an open port", "first W1", "second W1"]
    return "## After a deployment\n\n" + _table(head, rows) if rows else ""


def _hostile(found: Found) -> str:
    if not found.hostile:
        return ""
    alone, one, one_rate, many, many_rate = (median(column) for column in zip(*found.hostile, strict=True))
    rows = [
        ["nobody", "", _number(alone), ""],
        ["one address", _number(one_rate), _number(one), f"{one / alone:.2g}"],
        ["251 addresses", _number(many_rate), _number(many), f"{many / alone:.2g}"],
    ]
    text = (
        "Waiting time of 40 uncached W2 requests per second, while one connection sends 120 kinds of hostile\n"
        "documents as fast as they are refused. The sender lets all other processes run first, since in practice it\n"
        "would have a machine of its own. An address soon gets `RATE_LIMITED`, before anything is parsed.\n\n"
    )
    return (
        "## Beside hostile documents\n\n" + text + _table(["beside", "documents per second", "p95, ms", "ratio"], rows)
    )


def _table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _number(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _milliseconds(values: Iterable[float]) -> str:
    values = list(values)
    return _number(median(values)) if values else ""


def _picture(found: Found) -> str:
    """Bars as long as the logarithm of the rate."""
    groups = [(item, [(who, rate) for who in SERIES if (rate := found.rate(item, who))]) for item in ITEMS]
    groups = [(item, bars) for item, bars in groups if bars]
    longest = max((rate for _, bars in groups for _, rate in bars), default=10)
    left, width, y, parts = 190, 460, 34, []
    for number, (who, colour) in enumerate(SERIES.items()):
        name = {"vendure": "Vendure", "missed": "Commercia, uncached", "in-process": "Commercia, cached"}[who]
        parts.append(f'<rect x="{left + 150 * number}" y="8" width="10" height="10" fill="{colour}"/>')
        parts.append(f'<text x="{left + 150 * number + 15}" y="17">{name}</text>')
    for item, bars in groups:
        parts.append(
            f'<text x="{left - 8}" y="{y + 7 * len(bars) + 4}" text-anchor="end">{_escaped(ITEMS[item])}</text>'
        )
        for who, rate in bars:
            length = max(2.0, width * math.log10(max(rate, 1)) / math.log10(max(longest, 10)))
            parts.append(f'<rect x="{left}" y="{y}" width="{length:.0f}" height="12" fill="{SERIES[who]}"/>')
            parts.append(f'<text x="{left + length + 5:.0f}" y="{y + 10}">{_number(rate)}</text>')
            y += 14
        y += 10
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 720 {y + 20}" font-family="sans-serif" font-size="12">\n'
        f'<rect width="720" height="{y + 20}" fill="white"/>\n' + "\n".join(parts) + "\n"
        f'<text x="{left}" y="{y + 8}" fill="#666">requests per second, logarithmic scale</text>\n</svg>\n'
    )


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;")
