"""Where staff may have the shop send to: public hosts alone, whatever a name says the second time, and not for long."""

import socket
import time
from contextlib import suppress
from threading import Thread

import pytest

from domain.base import public_http

REACHED = "127.0.0.1"


def found(*addresses):
    """What the name server says."""

    def look_up(host, port, *args, **kwargs):
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in addresses]

    return look_up


@pytest.fixture
def serve(settings):
    """`serve(answer)`: the address of a server that sends these pieces, a tenth of a second apart."""
    settings.WEBHOOK_PRIVATE_TARGETS = True
    listeners = []

    def start(*pieces):
        listener = socket.create_server((REACHED, 0))
        listeners.append(listener)

        def run():
            with suppress(OSError):
                while True:
                    connection = listener.accept()[0]
                    with connection, suppress(OSError):
                        connection.recv(65_536)
                        for piece in pieces:
                            connection.sendall(piece)
                            time.sleep(0.1)

        Thread(target=run, daemon=True).start()
        return f"http://{REACHED}:{listener.getsockname()[1]}/"

    yield start
    for listener in listeners:
        listener.close()


def post(url, seconds=2.0):
    return public_http.post(url=url, body=b"{}", headers={"content-type": "application/json"}, seconds=seconds)


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.1", "224.0.0.1",
        "255.255.255.255", "240.0.0.1", "198.18.0.1", "::1", "::", "fe80::1%eth0", "fc00::1", "ff02::1",
        "::ffff:10.0.0.1", "2002:7f00:1::", "64:ff9b::a00:1", "2001:0:1::1",
    ],
)  # fmt: skip
def test_a_name_that_leads_to_a_private_address_is_refused(monkeypatch, address):
    monkeypatch.setattr(socket, "getaddrinfo", found("93.184.216.34", address))
    with pytest.raises(public_http.NotPublic):
        public_http.check(url="https://erp.example/")


@pytest.mark.parametrize("address", ["93.184.216.34", "2606:2800:220:1::1", "64:ff9b::5db8:d822"])
def test_a_name_that_leads_to_public_addresses_is_not(monkeypatch, address):
    monkeypatch.setattr(socket, "getaddrinfo", found(address))
    public_http.check(url="https://erp.example:8443/hooks?shop=1")


@pytest.mark.parametrize(
    "url",
    [
        "http://erp.example/", "https://", "https:///x", "ftp://erp.example/", "https://me:word@erp.example/",
        "https://[::1/", "https://erp.example:99999/", "https://127.1/", "https://2130706433/", "https://localhost/",
        "https://[::ffff:127.0.0.1]/",
    ],
)  # fmt: skip
def test_an_address_that_is_none_or_is_ours_is_refused(url):
    with pytest.raises(public_http.NotPublic):
        public_http.check(url=url)


def test_a_name_that_leads_elsewhere_the_second_time_reaches_nobody(monkeypatch):
    """DNS rebinding: the check sees a public address, the connection would get a private one."""
    answers = [found("93.184.216.34"), found(REACHED)]

    def look_up(*given, **more):
        return answers.pop(0)(*given, **more)

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    with pytest.raises(public_http.NotPublic):
        post("https://rebind.example/")
    assert answers == []


def test_an_answer_is_its_status_and_the_beginning_of_its_body(serve):
    body = b"x" * 5000
    answer = post(serve(b"HTTP/1.1 202 Accepted\r\nContent-Length: 5000\r\n\r\n" + body))
    assert (answer.status, answer.text) == (202, "x" * 500)


def test_a_redirect_is_not_followed(serve):
    url = serve(b"HTTP/1.1 302 Found\r\nLocation: http://169.254.169.254/\r\nContent-Length: 0\r\n\r\n")
    assert post(url).status == 302


@pytest.mark.parametrize(
    "pieces",
    [[], [b"HTTP/1.1 200 OK\r\n"] + [b"a: b\r\n"] * 100, [b"HTTP/1.1 200 OK\r\n\r\n"] + [b"."] * 100],
    ids=["nothing", "headers without end", "a body without end"],
)
def test_whoever_drips_is_not_waited_for(serve, pieces):
    url = serve(*(pieces or [b""] * 100))
    began = time.monotonic()
    with pytest.raises(public_http.NoResponse, match="in time"):
        post(url, seconds=0.5)
    assert time.monotonic() - began < 1.5


@pytest.mark.parametrize("answer", [b"", b"SSH-2.0-OpenSSH\r\n"], ids=["none", "ssh"])
def test_whoever_speaks_no_http_has_not_answered(serve, answer):
    with pytest.raises(public_http.NoResponse):
        post(serve(answer))


def test_nobody_at_home_is_no_answer(settings):
    settings.WEBHOOK_PRIVATE_TARGETS = True
    with socket.create_server((REACHED, 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(public_http.NoResponse):
        post(f"http://{REACHED}:{port}/")


def test_a_name_that_is_not_known_is_no_answer(monkeypatch):
    def unknown(*given, **more):
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(public_http.NoResponse):
        post("https://erp.example/")
