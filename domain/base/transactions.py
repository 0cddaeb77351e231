"""Refuses network calls inside a transaction, whose row locks (on SQLite, all writers) would wait for the response."""

from django.db import connections


def raise_if_open() -> None:
    """Raises RuntimeError inside a database transaction. Every client of a network service calls this first.

    The transaction around a test does not count, as with `atomic(durable=True)`.
    """
    for connection in connections.all(initialized_only=True):
        if any(not getattr(block, "_from_testcase", False) for block in connection.atomic_blocks):
            raise RuntimeError("No network call inside a database transaction: commit first, then call.")
