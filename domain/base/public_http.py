"""HTTP requests to addresses that staff entered: only to public hosts, and with a limit on the total time.

A name is resolved once, each of its addresses is checked, and the connection uses one of these. So a second DNS
look-up cannot return a private address. Redirects are not followed.
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

_MAX_TEXT_LENGTH = 500
# IPv6 addresses in this network lead to IPv4 addresses.
_NAT64 = ipaddress.ip_network("64:ff9b::/96")


class NotPublic(Exception):
    """The address is not an https address on the public Internet."""


class NoResponse(Exception):
    """The host was not reachable, or did not send a valid response in time."""


@dataclass(frozen=True, slots=True)
class Response:
    """`text` is the start of the body, at most 500 characters."""

    status: int
    text: str


def check(*, url: str) -> None:
    """Raises NotPublic unless the URL is a public https address. Accepts unknown names: they may exist later."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port or 443
    except ValueError:
        raise NotPublic("This is not a valid address.") from None
    if not host or parts.username or parts.password:
        raise NotPublic("The address needs a host, and may not contain a user name or password.")
    if settings.WEBHOOK_PRIVATE_TARGETS:
        return
    if parts.scheme != "https":
        raise NotPublic("The address has to begin with https://.")
    try:
        _addresses(host, port)
    except OSError:
        return


def post(*, url: str, body: bytes, headers: Mapping[str, str], seconds: float) -> Response:
    """Sends a POST request that may take `seconds` in total. Raises NotPublic, NoResponse."""
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
            ) as response,
        ):
            text = b""
            for part in response.iter_stream():
                text += part
                if len(text) >= _MAX_TEXT_LENGTH:
                    break
            return Response(response.status, text.decode(errors="replace").replace("\0", "")[:_MAX_TEXT_LENGTH])
    except (httpcore.TimeoutException, TimeoutError):
        raise NoResponse("There was no response in time.") from None
    except (httpcore.NetworkError, httpcore.ProtocolError, OSError, ValueError) as error:
        raise NoResponse(f"{type(error).__name__}: {error}"[:_MAX_TEXT_LENGTH]) from None


def _addresses(host: str, port: int) -> list[str]:
    """The host's IP addresses. Raises NotPublic if any is not public, OSError if the name is unknown."""
    found = {str(info[4][0]) for info in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)}
    if not settings.WEBHOOK_PRIVATE_TARGETS and not all(_is_public(address) for address in found):
        raise NotPublic("The address has to be on the public Internet.")
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
        failure: Exception = OSError("The host has no IP address.")
        for address in _addresses(host, port):
            left = _remaining(self._until, timeout)
            try:
                stream = self._plain.connect_tcp(address, port, left, local_address, socket_options)
            except httpcore.NetworkError as error:
                failure = error
            else:
                return _Limited(stream, self._until)
        raise failure


class _Limited(httpcore.NetworkStream):
    """A stream with a deadline, which also ends a response that arrives very slowly."""

    def __init__(self, stream: httpcore.NetworkStream, until: float) -> None:
        self._stream, self._until = stream, until

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, _remaining(self._until, timeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, _remaining(self._until, timeout))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        left = _remaining(self._until, timeout)
        return _Limited(self._stream.start_tls(ssl_context, server_hostname, left), self._until)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


def _remaining(until: float, timeout: float | None) -> float:
    left = until - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left if timeout is None else min(left, timeout)
