"""Reports errors to Sentry, if a DSN is set: operation, request id and traceback, but no data of the request."""

from typing import Any

from structlog.contextvars import get_contextvars


def options(dsn: str) -> dict[str, Any]:
    """The options of `sentry_sdk.init`. Without values of variables, bodies and breadcrumbs, which may hold secrets."""
    return {
        "dsn": dsn,
        "send_default_pii": False,
        "include_local_variables": False,
        "max_request_body_size": "never",
        "max_breadcrumbs": 0,
        "before_send": before_send,
    }


def before_send(event: dict[str, Any], _: dict[str, Any]) -> dict[str, Any]:
    """Removes request data and adds the request id, by which the log has the request. Groups by operation."""
    known = get_contextvars()
    event["transaction"] = known.get("operation") or event.get("transaction", "")
    event.setdefault("tags", {})["request_id"] = known.get("request_id", "")
    for removed in ("request", "user", "extra", "modules"):
        event.pop(removed, None)
    return event
