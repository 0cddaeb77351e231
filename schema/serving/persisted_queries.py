"""Persisted queries: operations by their hash, as Apollo Client sends them, and lists of published operations.

https://www.apollographql.com/docs/apollo-server/performance/apq
https://www.apollographql.com/docs/graphos/platform/security/persisted-queries
"""

import hashlib
import json
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, NoReturn

from django.conf import settings

from domain.base import shared_cache
from schema.serving.execution import MAX_CACHED
from schema.serving.memory import Memory

_KEPT_SECONDS = 86_400
_MEGABYTES = 4

memory: Memory[str] = Memory(most=lambda: _MEGABYTES * 1_000_000, size=len)


class PersistedQueryError(Exception):
    """The operation cannot be found by its hash, or is not published. `status` is the HTTP status."""

    def __init__(self, message: str, code: str, status: int = 400) -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.status = status


def text(query: str | None, extensions: Mapping[str, Any] | None) -> str | None:
    """The text of the operation that a request contains, or refers to by its hash. Raises PersistedQueryError."""
    digest = _hash_stated(extensions)
    if settings.PERSISTED_QUERIES_FILE:
        return _listed(query, digest)
    if digest is None:
        return query
    if query is None:
        # 200, as Apollo's servers respond: some clients do not read the body with another status.
        return _known(digest) or _refuse("PersistedQueryNotFound", "PERSISTED_QUERY_NOT_FOUND", status=200)
    if _digest(query) != digest:
        _refuse("provided sha does not match query", "BAD_REQUEST")
    return query


def keep(query: str, extensions: Mapping[str, Any] | None) -> None:
    """Keeps the text of an executed operation for a day, if the client wants to send only its hash next time."""
    digest = _hash_stated(extensions)
    if digest is None or len(query) > MAX_CACHED or settings.PERSISTED_QUERIES_FILE or _known(digest):
        return
    memory.keep(digest, query)
    shared_cache.store(key=f"persisted:{digest}", value=query, seconds=_KEPT_SECONDS)


def forget() -> None:
    """Clears the memory, as in a process that has just started."""
    memory.clear()


def _hash_stated(extensions: Mapping[str, Any] | None) -> str | None:
    stated = (extensions or {}).get("persistedQuery")
    if stated is None:
        return None
    if not isinstance(stated, dict) or not isinstance(stated.get("sha256Hash"), str):
        _refuse("`persistedQuery` must contain a `sha256Hash`.", "BAD_REQUEST")
    if stated.get("version") != 1:
        _refuse("Unsupported persisted query version", "BAD_REQUEST")
    return str(stated["sha256Hash"])


def _known(digest: str) -> str | None:
    query = memory.get(digest)
    if query is None:
        query = shared_cache.get(key=f"persisted:{digest}")
        if query is not None:
            memory.keep(digest, query)
    return query


def _digest(query: str) -> str:
    return hashlib.sha256(query.encode()).hexdigest()


def _listed(query: str | None, digest: str | None) -> str:
    """The text, which must be one of the published operations."""
    published = read_list(settings.PERSISTED_QUERIES_FILE)
    if query is None and digest is not None:
        missing = "The shop has not published this operation."
        return published.get(digest) or _refuse(missing, "PERSISTED_QUERY_NOT_IN_LIST")
    if query is not None and _digest(query) not in published:
        _refuse("Only operations that the shop has published can be run.", "QUERY_NOT_IN_SAFELIST")
    return query or ""


@lru_cache(maxsize=1)
def read_list(path: str) -> dict[str, str]:
    """The texts in an Apollo manifest or a plain object, by their ids and hashes. Read once per process."""
    content: dict[str, Any] = json.loads(Path(path).read_text())
    if content.get("format") == "apollo-persisted-query-manifest":
        content = {operation["id"]: operation["body"] for operation in content["operations"]}
    return {_digest(body): body for body in content.values()} | content


def _refuse(message: str, code: str, *, status: int = 400) -> NoReturn:
    raise PersistedQueryError(message, code, status)


if settings.PERSISTED_QUERIES_FILE:
    read_list(settings.PERSISTED_QUERIES_FILE)  # So that a missing file fails when the process starts.
