"""HTTP requests to gateways: JSON with exact decimals, and a limit on the total time."""

import json
import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from functools import lru_cache
from typing import Any

import httpx

from domain.base import transactions
from domain.payments.gateways.protocol import GatewayUnavailable

logger = logging.getLogger(__name__)

# The limit for all requests of one gateway method (a token, a look-up, an action) together, and for each of them.
_TOTAL_SECONDS = 8
_REQUEST_SECONDS = 5
# Statuses that say nothing about the payment: 401 and 403 are about our account; 408, 409 and 429 mean "try later".
_INCONCLUSIVE = {401, 403, 408, 409, 429}


@dataclass(frozen=True, slots=True)
class Response:
    """A response with status 2xx or 4xx. `body` is its JSON object; empty if it has none."""

    status: int
    body: dict[str, Any]

    @property
    def is_good(self) -> bool:
        return self.status < 300


@dataclass(slots=True)
class GatewayClient:
    """Sends requests to a gateway until a deadline that all of them share."""

    gateway: str
    base: str
    until: float = field(default_factory=lambda: time.monotonic() + _TOTAL_SECONDS)

    def request(self, method: str, path: str, *, headers: Mapping[str, str], **given: Any) -> Response:
        """Raises GatewayUnavailable if the response does not tell whether money moved."""
        transactions.raise_if_open()
        left = self.until - time.monotonic()
        try:
            if left <= 0:
                raise TimeoutError
            response = _client().request(
                method, self.base + path, headers=dict(headers), timeout=min(left, _REQUEST_SECONDS), **given
            )
            body = json.loads(response.text or "{}", parse_float=Decimal)
        except (httpx.HTTPError, OSError, ValueError) as error:
            logger.warning("%s did not answer: %s", self.gateway, type(error).__name__)
            raise GatewayUnavailable from None
        if response.status_code >= 500 or response.status_code in _INCONCLUSIVE:
            logger.warning("%s did not answer: HTTP %s", self.gateway, response.status_code)
            raise GatewayUnavailable
        return Response(response.status_code, body if isinstance(body, dict) else {})


@lru_cache(maxsize=1)
def _client() -> httpx.Client:
    # Keeps connections open; uses no proxy of the environment and follows no redirects.
    return httpx.Client(trust_env=False, headers={"user-agent": "Commercia"})
