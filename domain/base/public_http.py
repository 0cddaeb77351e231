"""HTTP to addresses that somebody typed in: to public hosts alone, and never for longer than it is given.

A name is resolved once, each of its addresses is judged, and the connection goes to one of those: there is no second
look-up that could answer otherwise. Redirects are answers, not followed.
"""

import ipaddress
import socket
import ssl
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import httpcore
from django.conf import settings

from domain.base import transactions

_KEPT = 500
# Through these, an address of IPv6 leads to one of IPv4.
_NAT64 = ipaddress.ip_network("64:ff9b::/96")


class NotPublic(Exception):
    """The address is not one on the public Internet, by HTTPS."""


class NoAnswer(Exception):
    """The host could not be reached, or did not answer properly in time."""


@dataclass(frozen=True, slots=True)
class Answer:
    """`text` is the body's beginning, 500 characters at most."""

    status: int
    text: str


def check(*, url: str) -> None:
    """Raises NotPublic for an address that leads nowhere public. A name that is not known yet may be so later."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port or 443
    except ValueError:
        raise NotPublic("This is no address.") from None
    if not host or parts.username or parts.password:
        raise NotPublic("An address without a name and a password in it.")
    if settings.WEBHOOK_PRIVATE_TARGETS:
        return
    if parts.scheme != "https":
        raise NotPublic("An address that begins with https://.")
    try:
        _addresses(host, port)
    except OSError:
        return


def post(*, url: str, body: bytes, headers: Mapping[str, str], seconds: float) -> Answer:
    """Posts, and waits for so many seconds in all. Raises NotPublic, NoAnswer."""
    transactions.raise_if_open()
    check(url=url)
    until = time.monotonic() + seconds
    timeout = dict.fromkeys(("connect", "read", "write", "pool"), seconds)
    backend = _Guarded(until)
    try:
        with (
            httpcore.ConnectionPool(network_backend=backend, ssl_context=ssl.create_default_context()) as pool,
            pool.stream(
                "POST", url, headers=list(headers.items()), content=body, extensions={"timeout": timeout}
            ) as answer,
        ):
            text = b""
            for part in answer.iter_stream():
                text += part
                if len(text) >= _KEPT:
                    break
            return Answer(answer.status, text.decode(errors="replace").replace("\0", "")[:_KEPT])
    except (httpcore.TimeoutException, TimeoutError):
        raise NoAnswer("No answer in time.") from None
    except (httpcore.NetworkError, httpcore.ProtocolError, OSError, ValueError) as error:
        raise NoAnswer(f"{type(error).__name__}: {error}"[:_KEPT]) from None


def _addresses(host: str, port: int) -> list[str]:
    """Where a name leads. Raises NotPublic if any of it is not public, OSError if it is not known."""
    found = {str(info[4][0]) for info in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)}
    if not settings.WEBHOOK_PRIVATE_TARGETS and not all(_is_public(address) for address in found):
        raise NotPublic("An address on the public Internet.")
    return sorted(found, key=lambda address: ":" in address)


def _is_public(text: str) -> bool:
    address = ipaddress.ip_address(text.partition("%")[0])
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour
        if address in _NAT64:
            inner = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        if inner is not None:
            address = inner
        elif address.teredo:
            return False
    return address.is_global and not (address.is_multicast or address.is_reserved)


class _Guarded(httpcore.NetworkBackend):
    def __init__(self, until: float) -> None:
        self._plain, self._until = httpcore.SyncBackend(), until

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        failure: Exception = OSError("There is no address.")
        for address in _addresses(host, port):
            left = _left(self._until, timeout)
            try:
                stream = self._plain.connect_tcp(address, port, left, local_address, socket_options)
            except httpcore.NetworkError as error:
                failure = error
            else:
                return _Limited(stream, self._until)
        raise failure


class _Limited(httpcore.NetworkStream):
    """A stream that ends at a time, however often it gives a little."""

    def __init__(self, stream: httpcore.NetworkStream, until: float) -> None:
        self._stream, self._until = stream, until

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, _left(self._until, timeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, _left(self._until, timeout))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        left = _left(self._until, timeout)
        return _Limited(self._stream.start_tls(ssl_context, server_hostname, left), self._until)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


def _left(until: float, timeout: float | None) -> float:
    left = until - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left if timeout is None else min(left, timeout)
