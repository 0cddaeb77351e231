"""Errors to Sentry, where a DSN is set: which operation, which request, which traceback, and nothing that was sent."""

from typing import Any

from structlog.contextvars import get_contextvars


def options(dsn: str) -> dict[str, Any]:
    """For `sentry_sdk.init`. Values of variables, bodies and breadcrumbs stay here: among them are secrets."""
    return {
        "dsn": dsn,
        "send_default_pii": False,
        "include_local_variables": False,
        "max_request_body_size": "never",
        "max_breadcrumbs": 0,
        "before_send": before_send,
    }


def before_send(event: dict[str, Any], _: dict[str, Any]) -> dict[str, Any]:
    """Takes out what was sent: the log has the request, by the id that is left. The operation is the transaction."""
    known = get_contextvars()
    event["transaction"] = known.get("operation") or event.get("transaction", "")
    event.setdefault("tags", {})["request_id"] = known.get("request_id", "")
    for removed in ("request", "user", "extra", "modules"):
        event.pop(removed, None)
    return event
