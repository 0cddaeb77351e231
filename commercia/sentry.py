"""Reports errors to Sentry, if a DSN is set: operation, request id and traceback, but no data of the request."""

from typing import Any

from structlog.contextvars import get_contextvars


def options(dsn: str) -> dict[str, Any]:
    """The options of `sentry_sdk.init`. Excludes local variables, bodies and breadcrumbs, which may hold secrets."""
    return {
        "dsn": dsn,
        "send_default_pii": False,
        "include_local_variables": False,
        "max_request_body_size": "never",
        "max_breadcrumbs": 0,
        "before_send": before_send,
    }


def before_send(event: dict[str, Any], _: dict[str, Any]) -> dict[str, Any]:
    """Removes request data, adds the request id to find the request in the log, and groups by operation."""
    log_context = get_contextvars()
    event["transaction"] = log_context.get("operation") or event.get("transaction", "")
    event.setdefault("tags", {})["request_id"] = log_context.get("request_id", "")
    for key in ("request", "user", "extra", "modules"):
        event.pop(key, None)
    return event
