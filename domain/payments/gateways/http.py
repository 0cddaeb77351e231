"""HTTP to a gateway: JSON, amounts exact, and an answer within ten seconds or none."""

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

# What a gateway is asked in one go (a token, how it stands, what to do) takes no longer than this in all.
_SECONDS = 8
_AT_MOST = 5
# 401 and 403 are about us rather than about the payment; 408, 409 and 429 mean: not now.
_SAYS_NOTHING = {401, 403, 408, 409, 429}


@dataclass(frozen=True, slots=True)
class Answer:
    """`body` is what the JSON says; empty where it is none. Its status is 2xx or 4xx."""

    status: int
    body: dict[str, Any]

    @property
    def is_good(self) -> bool:
        return self.status < 300


@dataclass(slots=True)
class Conversation:
    """Questions to one gateway that have to be over in time."""

    gateway: str
    base: str
    until: float = field(default_factory=lambda: time.monotonic() + _SECONDS)

    def ask(self, method: str, path: str, *, headers: Mapping[str, str], **given: Any) -> Answer:
        """Raises GatewayUnavailable where the answer says nothing of the money."""
        transactions.raise_if_open()
        left = self.until - time.monotonic()
        try:
            if left <= 0:
                raise TimeoutError
            answer = _client().request(
                method, self.base + path, headers=dict(headers), timeout=min(left, _AT_MOST), **given
            )
            body = json.loads(answer.text or "{}", parse_float=Decimal)
        except (httpx.HTTPError, OSError, ValueError) as error:
            logger.warning("%s gave no answer: %s", self.gateway, type(error).__name__)
            raise GatewayUnavailable from None
        if answer.status_code >= 500 or answer.status_code in _SAYS_NOTHING:
            logger.warning("%s gave no answer: HTTP %s", self.gateway, answer.status_code)
            raise GatewayUnavailable
        return Answer(answer.status_code, body if isinstance(body, dict) else {})


@lru_cache(maxsize=1)
def _client() -> httpx.Client:
    # Kept connections; no proxy of the environment's, no redirects.
    return httpx.Client(trust_env=False, headers={"user-agent": "Commercia"})
