"""`make mutants`: runs, for each mutant of a module, the tests that reach the changed function. docs/testing.md

The shop and its tests are loaded once for each module. Each mutant then is a fork in which one function has other code.
What is changed outside of functions needs a fork in which nothing of the shop is loaded yet.
"""

import gc
import importlib.abc
import importlib.util
import json
import math
import os
import resource
import shutil
import signal
import sys
import tempfile
import threading
import time
import tomllib
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from functools import _lru_cache_wrapper
from pathlib import Path
from types import FunctionType
from typing import Any

import pytest

from tests.mutation import mutants
from tests.mutation.mutants import Mutant

ROOT = Path(__file__).parent.parent.parent
TARGET = 0.92  # Caught, of all that are made.
CAUGHT, SURVIVED, TOO_LONG, UNREACHED = "caught", "survived", "too long", "reached by no test"


class Replaced(importlib.abc.MetaPathFinder, importlib.abc.SourceLoader):
    """Loads one module from the source of a mutant."""

    def __init__(self, mutant: Mutant) -> None:
        self._path, self._source = str(mutant.path.resolve()), mutant.source
        self._name = ".".join(mutant.path.with_suffix("").parts).removesuffix(".__init__")

    def find_spec(self, name: str, path: Any, target: Any = None) -> Any:
        return importlib.util.spec_from_file_location(name, self._path, loader=self) if name == self._name else None

    def get_filename(self, fullname: str) -> str:
        return self._path

    def get_data(self, path: str | bytes) -> bytes:
        return self._source

    def path_stats(self, path: str | bytes) -> Any:
        raise OSError  # So that no compiled file is read or written.


class Forks:
    """Once all tests are collected and have passed, tries each mutant on those that reach it."""

    def __init__(self, path: Path, found: list[Mutant], tell: Callable[[int, str], None]) -> None:
        self._path, self._found, self._tell = path, found, tell
        # By the names of functions and the numbers of lines.
        self._reaching: dict[str | int, list[pytest.Item]] = defaultdict(list)
        self._failed = False
        self._caches: list[Any] = []

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self) -> Any:
        report = yield
        self._failed |= report.failed
        return report

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        self._caches = [each for each in gc.get_objects() if type(each) is _lru_cache_wrapper and _is_ours(each)]
        seconds = {item: self._watched(item) for item in session.items}
        if self._failed or not session.items:
            return True
        from django.conf import settings  # noqa: PLC0415 (nothing of the shop is loaded before the fork)
        from django.db import connections  # noqa: PLC0415

        connections.close_all()
        database = Path(settings.DATABASES["default"]["TEST"]["NAME"])
        whole = database.with_suffix(".whole")
        if database.exists():
            shutil.copy(database, whole)
        live = _functions(self._path)
        gc.freeze()  # Else each fork would copy what it looks through for garbage.
        for number, mutant in enumerate(self._found):
            reaching = self._reaching[mutant.line] or self._reaching[mutant.function]
            items = sorted(reaching, key=seconds.__getitem__)
            limit = 5 + 3 * sum(map(seconds.__getitem__, items))
            outcome = _in_fork(lambda: self._survives(mutant, live, items), limit) if items else UNREACHED  # noqa: B023
            if outcome == TOO_LONG and whole.exists():
                for left in database.parent.glob(f"{database.name}-*"):
                    left.unlink()
                shutil.copy(whole, database)
            self._tell(number, outcome)
        return True

    def _watched(self, item: pytest.Item) -> float:
        """Runs a test, notes which functions and lines it reaches, and says how long it took."""
        path, reached = str(self._path.resolve()), set()

        def enter(frame: Any, _event: str, _: Any) -> Any:
            if frame.f_code.co_filename != path:
                return None
            reached.add(frame.f_code.co_qualname.partition(".<locals>")[0])
            return step

        def step(frame: Any, event: str, _: Any) -> Any:
            if event == "line":
                reached.add(frame.f_lineno)
            return step

        self._forget()
        began = time.monotonic()
        threading.settrace(enter)
        sys.settrace(enter)
        try:
            _run(item)
        finally:
            sys.settrace(None)
            threading.settrace(None)  # type: ignore[arg-type]
        for place in reached:
            self._reaching[place].append(item)
        return time.monotonic() - began

    def _forget(self) -> None:
        """What functions have returned before is not returned again, so that each test reaches them."""
        for cache in self._caches:
            cache.cache_clear()

    def _survives(self, mutant: Mutant, live: dict[str, list[FunctionType]], items: list[pytest.Item]) -> bool:
        code = mutant.code()
        for function in live[mutant.function]:
            function.__code__ = code
        self._forget()
        for item in items:
            _run(item)
            if self._failed:
                return False
        return True


def _is_ours(function: Any) -> bool:
    return function.__module__.partition(".")[0] in {"commercia", "domain", "schema", "storefront"}


def _run(item: pytest.Item) -> None:
    """Runs a test; what the whole session has, such as the database, stays."""
    item.config.hook.pytest_runtest_protocol(item=item, nextitem=item.session)


def _functions(path: Path) -> dict[str, list[FunctionType]]:
    """The functions of a file, by their qualified names, below all decorators."""
    found = defaultdict(list)
    for each in gc.get_objects():
        if type(each) is FunctionType and each.__code__.co_filename == str(path.resolve()):
            found[each.__code__.co_qualname].append(each)
    return found


def _in_fork(survives: Callable[[], bool], limit: float) -> str:
    """Tries a mutant in a copy of this process, which may use so many seconds of CPU, and wait ten times as long."""
    child = os.fork()
    if child == 0:
        outcome = False
        resource.setrlimit(resource.RLIMIT_CPU, (math.ceil(limit), math.ceil(limit)))
        gc.disable()
        try:
            outcome = survives()
        finally:
            os._exit(0 if outcome else 1)
    until = time.monotonic() + 10 * limit
    while time.monotonic() < until:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return TOO_LONG if os.WIFSIGNALED(status) else SURVIVED if status == 0 else CAUGHT
        time.sleep(0.005)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return TOO_LONG


def _pytest(tests: list[str], *plugins: Any) -> int:
    """Runs tests on a database that is kept for the next run."""
    quiet = os.open(os.devnull, os.O_WRONLY)
    os.dup2(quiet, 1)
    os.dup2(quiet, 2)
    options = ["--hypothesis-profile=mutants", "--reuse-db", "-x", "-q", "--capture=no", "-p", "no:cacheprovider"]
    options += ["-W", "ignore::pytest.PytestAssertRewriteWarning"]  # Of what is loaded before the fork.
    return int(pytest.main([*options, *tests], plugins=plugins))


def outcomes(path: Path, tests: list[str], found: list[Mutant]) -> dict[int, str]:
    """What became of each mutant of a file, by its number."""
    inside = [number for number, mutant in enumerate(found) if mutant.function]
    reading, writing = os.pipe()
    if os.fork() == 0:
        with os.fdopen(writing, "w") as pipe:

            def tell(number: int, outcome: str) -> None:
                print(json.dumps([inside[number], outcome]), file=pipe, flush=True)

            _pytest(tests, Forks(path, [found[number] for number in inside], tell))
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        told = dict(map(json.loads, pipe))
    os.wait()
    if len(told) != len(inside):
        sys.exit(f"{path}: its tests do not pass as they are: {' '.join(tests)}")
    for number, mutant in enumerate(found):
        if not mutant.function:

            def survives(mutant: Mutant = mutant) -> bool:
                sys.meta_path.insert(0, Replaced(mutant))
                return _pytest(tests) == 0

            told[number] = _in_fork(survives, 60)
    return told


def main(wanted: Iterable[str]) -> None:
    targets = tomllib.loads((ROOT / "tests/mutation/targets.toml").read_text())
    explained = {
        (each["file"], each["before"], each["after"]): each["reason"]
        for each in tomllib.loads((ROOT / "tests/mutation/survivors.toml").read_text()).get("survivor", [])
    }
    wanted = set(wanted) or set(targets)
    total, new, seen = Counter[str](), [], set()
    with tempfile.TemporaryDirectory() as folder:
        for name in ("REDIS_URL", "BROKER_URL", "DATABASE_REPLICA_URLS"):
            os.environ.pop(name, None)
        os.environ["DATABASE_URL"] = f"sqlite:///{folder}/shop.sqlite3"
        _load_what_is_not_ours()
        for name, tests in targets.items():
            if name not in wanted:
                continue
            began, path = time.monotonic(), Path(name)
            found = mutants.of_file(path)
            told = outcomes(path, tests, found)
            count = Counter(CAUGHT if outcome == TOO_LONG else outcome for outcome in told.values())
            total += count
            print(
                f"{name}: {len(found)} mutants, {count[CAUGHT]} caught ({time.monotonic() - began:.0f} s)", flush=True
            )
            for number, mutant in enumerate(found):
                if told[number] in {SURVIVED, UNREACHED}:
                    key = (name, mutant.before, mutant.after)
                    seen.add(key)
                    reason = explained.get(key)
                    if reason is None:
                        new.append(mutant)
                    print(f"\n{mutant}\n  {told[number]}: {reason or 'not explained'}", flush=True)
    share = total[CAUGHT] / total.total()
    print(f"\n{total.total()} mutants, {total[CAUGHT]} caught: {share:.1%}. {len(new)} survivors without a reason.")
    stale = [key for key in explained if key[0] in wanted and key not in seen]
    for key in stale:
        print("No such survivor any more:", *key, sep="\n  ")
    sys.exit(bool(new or stale or share < TARGET))


def _load_what_is_not_ours() -> None:
    """So that each fork has it already."""
    import django.test  # noqa: F401, PLC0415
    import strawberry_django  # noqa: F401, PLC0415
    import stripe  # noqa: F401, PLC0415


if __name__ == "__main__":
    main(sys.argv[1:])
