"""No network inside a transaction: its locks, and on SQLite every writer, would wait for somebody else's server."""

from django.db import connections


def forbid() -> None:
    """Raises RuntimeError inside a database transaction. Every client of a network service calls it first.

    The transaction that a test is wrapped in does not count, as it does not for `atomic(durable=True)`.
    """
    for connection in connections.all(initialized_only=True):
        if any(not getattr(block, "_from_testcase", False) for block in connection.atomic_blocks):
            raise RuntimeError("No network call inside a database transaction: commit first, then ask.")
