"""The cache of public answers, which are the same for everyone. It is looked up before anything is executed.

An answer is stored with the catalogue version that it was made from, in this process and in Redis if there is one. It
is served while that version is current, and while another request makes the next answer, but never longer than
CATALOG_STALE_SECONDS after the write that made it stale: docs/adr/0023.
"""

import hashlib
import json
import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from threading import Event, Lock
from typing import Any, Literal, NamedTuple

from django.conf import settings
from django.db import Error as DatabaseFailure
from django.utils import timezone
from structlog.contextvars import bind_contextvars

from domain.accounts.throttle import RateLimited
from domain.base import replicas, shared_cache
from domain.base.replicas import PRIMARY
from domain.catalog import catalog_version
from domain.catalog.catalog_version import Version
from schema.base.context import Context
from schema.serving import execution
from schema.serving.execution import GraphQLResponse, NotAllowedByGet, Prepared
from schema.serving.memory import Memory

# Nothing is kept longer, even if nothing changed, so that the answers of a new release appear.
_KEPT_SECONDS = 300
# Requests wait at most this long, in seconds, for another request that makes the same answer. Then they make it too.
PATIENCE = 2.0
_CLAIM_SECONDS = 5
# The cost that is charged for reading the version, to clients who need it more often than others.
_VERSION_COST = 10


class Entry(NamedTuple):
    """A stored answer, valid until a time of the clock."""

    version: Version
    until: float
    cost: int
    etag: str
    content: bytes


class Known(NamedTuple):
    """The current and the former version of the catalogue, and when they were read, by the monotonic clock."""

    version: Version
    at: float
    former: Version
    former_at: float

    def may_serve(self, version: Version) -> bool:
        """Whether an answer of this older version was current a moment ago."""
        return version >= self.former and time.monotonic() < self.former_at + settings.CATALOG_STALE_SECONDS


_sorted_json = json.JSONEncoder(sort_keys=True).encode
memory: Memory[Entry] = Memory(
    most=lambda: settings.CATALOG_CACHE_MEGABYTES * 1_000_000, size=lambda entry: len(entry.content)
)


def answer(
    *,
    query: str,
    operation_name: str | None,
    variables: dict[str, Any] | None,
    context: Context,
    queries_only: bool,
) -> GraphQLResponse:
    """Runs one operation, or takes its answer from the cache. Raises NotAllowedByGet, execution.Refused."""
    prepared = execution.prepare(query, operation_name, pay=context.pay_for_parsing)
    if queries_only and not prepared.is_query:
        raise NotAllowedByGet
    context.log_fields |= {"operation": prepared.name[:100], "hash": prepared.hash}
    bind_contextvars(operation=context.log_fields["operation"])  # For every log line from here on.
    if prepared.is_public:
        return _public(prepared, variables, context)
    made = execution.execute(prepared, variables, context)
    if not prepared.is_query:  # The client wants to see what it has just written.
        _versions_of(PRIMARY).forget()
        context.remember_write()
    return made


def _public(prepared: Prepared, variables: dict[str, Any] | None, context: Context) -> GraphQLResponse:
    if context.has_just_written:
        return _from_one_database(prepared, variables, context)
    return replicas.read(query=lambda: _from_one_database(prepared, variables, context))


def _from_one_database(prepared: Prepared, variables: dict[str, Any] | None, context: Context) -> GraphQLResponse:
    """Reads the version from the same database as the answer, and before it."""
    context.forget_catalog()
    known = _known_version(context) if settings.CATALOG_CACHE_MEGABYTES else None
    if known is None:
        return execution.execute(prepared, variables, context)
    key = _key(prepared, variables or {}, context)
    entry, state = _get_or_make(key, known, lambda: _make(prepared, variables, context, known.version))
    context.log_fields |= {"cache": state}
    if isinstance(entry, GraphQLResponse):
        return entry
    context.log_fields["cost"] = entry.cost
    return GraphQLResponse(entry.content, etag=entry.etag)


def _known_version(context: Context) -> Known | None:
    """The version; None while the primary does not answer, so that nothing is stored. `replicas.read` handles the
    failure of a replica. For a client that has just written, the primary is read each time, and the client is charged
    for it."""
    database = replicas.current()
    try:
        if not context.has_just_written:
            return _versions_of(database).known()
        context.pay(_VERSION_COST)
        return _read_version(PRIMARY, None)
    except RateLimited as limited:
        raise execution.too_much(limited) from None
    except DatabaseFailure:
        if database != PRIMARY:
            raise
        return None


def _key(prepared: Prepared, variables: dict[str, Any], context: Context) -> str:
    """A key of all that an answer depends on, besides the catalogue. The currency is in the text or the variables."""
    used = {name: variables[name] for name in prepared.variables if name in variables}
    parts = "\n".join((prepared.hash, prepared.name, _sorted_json(used), context.site, _shop()))
    return f"answer:{hashlib.sha256(parts.encode()).hexdigest()}"


@lru_cache(maxsize=1)
def _shop() -> str:
    """A hash of the settings that public answers depend on, because several releases may share one Redis."""
    values = {name: str(value) for name in _SETTINGS if (value := getattr(settings, name))}
    return hashlib.sha256(_sorted_json(values).encode()).hexdigest()


_SETTINGS = (
    "DEBUG",
    "SECRET_KEY",  # It signs cursors.
    "SHOP_NAME",
    "SHOP_CURRENCY",
    "SHOP_COUNTRIES",
    "SHOP_LOW_STOCK",
    "PRICES_INCLUDE_TAX",
    "PAYMENT_PROVIDERS",
    "MEDIA_URL",
    "STORAGES",
)


def _make(
    prepared: Prepared, variables: dict[str, Any] | None, context: Context, version: Version
) -> Entry | GraphQLResponse:
    """An entry for the cache; or the plain response, if it has errors or depends on the client."""
    made = execution.execute(prepared, variables, context)
    if made.has_errors or context.is_personal:
        return made
    etag = f'W/"{hashlib.sha256(made.content).hexdigest()[:32]}"'
    return Entry(version, time.time() + _KEPT_SECONDS, context.log_fields["cost"], etag, made.content)


State = Literal["hit", "stale", "miss"]


def _get_or_make(
    key: str, known: Known, make: Callable[[], Entry | GraphQLResponse]
) -> tuple[Entry | GraphQLResponse, State]:
    """The stored answer, or the one that `make` returns. Only one of several concurrent requests calls `make`."""
    entry, state = _judge(memory.get(key), known)
    if entry and state == "hit":
        return entry, state
    with _fills.claimed(key) as is_ours:
        if not is_ours:
            if entry is None:
                _fills.wait(key)
                entry, state = _judge(memory.get(key), known)
            return (entry, state) if entry else (make(), "miss")
        entry, state = _judge(memory.get(key), known)
        if state != "hit":
            entry, state = _from_other_process(key, known, entry)
        if entry:
            return entry, state
        try:
            made = make()
            if isinstance(made, Entry):
                memory.keep(key, made)
                shared_cache.store(key=key, value=tuple(made), seconds=_KEPT_SECONDS)
        finally:
            shared_cache.delete(key=f"making:{key}")
        return made, "miss"


def _from_other_process(key: str, known: Known, stale: Entry | None) -> tuple[Entry | None, State]:
    """The answer that another process has made or is making; None if this process has to make it."""
    until = time.monotonic() + PATIENCE
    while True:
        entry, state = _judge(_shared(key), known)
        if entry and (state == "hit" or stale is None):
            memory.keep(key, entry)
        if state == "hit" or shared_cache.claim(key=f"making:{key}", seconds=_CLAIM_SECONDS):
            return (entry if state == "hit" else None), state
        if stale or entry:
            return stale or entry, "stale"
        if time.monotonic() > until:
            return None, "miss"
        time.sleep(0.02)


def _judge(entry: Entry | None, known: Known) -> tuple[Entry | None, State]:
    """The entry if it may be served, and whether it is current, stale or missing."""
    if entry is None or entry.until <= time.time():
        return None, "miss"
    if entry.version >= known.version:
        return entry, "hit"
    return (entry, "stale") if known.may_serve(entry.version) else (None, "miss")


def _shared(key: str) -> Entry | None:
    found = shared_cache.get(key=key)
    return Entry(Version(*found[0]), *found[1:]) if found else None


class _Versions:
    """The version of the catalogue in one database, read as rarely as CATALOG_STALE_SECONDS allows.

    For half of that time, the known version is used. For the other half, one request reads it again, while the others
    still use the known one. So no answer is stale for longer than that time.
    """

    def __init__(self, database: str) -> None:
        self._database = database
        self._reading = Lock()
        self._known: Known | None = None

    def known(self) -> Known | None:
        """The version; None if another thread has been reading it for too long. Raises DatabaseFailure."""
        known = self._known
        if _age(known) < settings.CATALOG_STALE_SECONDS / 2:
            return known
        if _age(known) < settings.CATALOG_STALE_SECONDS:
            if not self._reading.acquire(blocking=False):
                return known
        elif not self._reading.acquire(timeout=PATIENCE):
            return None
        try:
            known = self._known
            if _age(known) >= settings.CATALOG_STALE_SECONDS / 2:  # Otherwise another thread has read it meanwhile.
                self._known = known = _read_version(self._database, known)
            return known
        finally:
            self._reading.release()

    def forget(self) -> None:
        """Makes the next request read the version."""
        self._known = None


def _versions_of(database: str) -> _Versions:
    return _versions.setdefault(database, _Versions(database))


def _age(known: Known | None) -> float:
    return time.monotonic() - known.at if known else math.inf


def _read_version(database: str, known: Known | None) -> Known:
    at = time.monotonic()
    version = catalog_version.current(now=timezone.now(), database=database)
    if known is None:
        return Known(version, at, version, at)
    if version == known.version:
        return known._replace(at=at)
    return Known(version, at, known.version, known.at)


class _Fills:
    """The keys of the answers that this process is making."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._running: dict[str, Event] = {}

    @contextmanager
    def claimed(self, key: str) -> Iterator[bool]:
        """Yields whether this thread has to make the answer."""
        with self._lock:
            is_ours = key not in self._running
            if is_ours:
                self._running[key] = Event()
        try:
            yield is_ours
        finally:
            if is_ours:
                with self._lock:
                    self._running.pop(key).set()

    def wait(self, key: str) -> None:
        with self._lock:
            running = self._running.get(key)
        if running:
            running.wait(PATIENCE)


def forget() -> None:
    """Clears everything, as in a process that has just started."""
    memory.clear()
    _versions.clear()
    _shop.cache_clear()


_versions: dict[str, _Versions] = {}
_fills = _Fills()
