"""Where pictures are posted on the disk default: the form as it was handed out, by a real HTTP client, or nothing."""

import socket
from urllib.parse import urlsplit

import pytest
import urllib3
from django.core import signing
from django.test.testcases import LiveServerThread
from django.utils import timezone

from domain.catalog import images, media
from storefront.models import Image, ImageUpload
from tests.conftest import Files
from tests.factories import ProductFactory
from tests.pictures import HTML, drawn

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def address():
    """Of a shop over a real socket."""
    server = LiveServerThread("127.0.0.1", lambda handler: handler)
    server.start()
    assert server.is_ready.wait(10)
    yield f"http://127.0.0.1:{server.port}"
    server.terminate()


@pytest.fixture
def handed_out():
    def create(size=10_000):
        told = {"filename": "x.png", "content_type": "image/png"}
        return images.create_upload(**told, size=size, now=timezone.now())

    return create


@pytest.fixture
def post(address):
    """`post(fields, content)`: the status of the answer, and what it says."""

    def send(fields, content=None, name="../../x.png"):
        file = {} if content is None else {"file": (name, content, "text/html")}
        # A connection that was kept alive would keep the server's to the database.
        with urllib3.PoolManager() as http:
            answer = http.request("POST", f"{address}/uploads/", fields={**fields, **file}, retries=False)
        return answer.status, answer.data.decode()

    return send


def test_a_form_takes_one_file_and_its_name_is_ours(post, handed_out):
    upload, form = handed_out()
    assert form.url == "/uploads/"
    assert post(form.fields, drawn()) == (204, "")
    assert Files().originals == [upload.key]
    assert images.attach(product_id=ProductFactory().pk, key=upload.key, now=timezone.now()).upload == upload


@pytest.mark.parametrize("name", ["../../x.png", "/etc/passwd", "..\\..\\x.png", "x\0.png", "", ".htaccess"])
def test_a_files_name_leads_nowhere(post, handed_out, tmp_path, name):
    upload, form = handed_out()
    status, _ = post(form.fields, drawn(), name)
    written = [str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()]
    assert (status, written) in [(204, [f"originals/{upload.key}"]), (400, [])]


def test_what_is_there_stays(post, handed_out):
    upload, form = handed_out()
    post(form.fields, drawn())
    assert post(form.fields, HTML)[0] == 400
    assert Files().originals == [upload.key]
    assert Files().original(upload.key) == drawn()


def test_a_form_is_good_for_its_key_and_its_length_and_for_an_hour(post, handed_out, monkeypatch):
    upload, form = handed_out(size=50)
    other, others = handed_out()
    assert post(form.fields, b"x" * 51) == (400, "file: The file may have from 1 to 50 bytes.")
    assert post(form.fields, b"")[0] == 400
    assert post(form.fields | {"key": other.key}, b"x")[0] == 400
    assert post(form.fields | {"key": "../x"}, b"x")[0] == 400
    assert post({"key": upload.key}, b"x")[0] == 400
    assert post(form.fields | {"policy": form.fields["policy"][:-1] + "!"}, b"x")[0] == 400
    assert post(form.fields | {"policy": signing.dumps([upload.key, 50, 1e12], salt="another")}, b"x")[0] == 400
    assert post(form.fields) == (400, "`file` is missing.")
    assert post({"key": "a\0b", "policy": "\0"}, b"x")[0] == 400
    later = timezone.now() + media.UPLOAD_VALID_FOR
    monkeypatch.setattr("commercia.uploads.timezone.now", lambda: later)
    assert post(others.fields, b"x") == (400, "policy: This form has expired. Request a new one.")
    assert Files().originals == []


def test_an_upload_that_was_pruned_takes_nothing(post, handed_out):
    _, form = handed_out()
    ImageUpload.objects.all().delete()
    assert post(form.fields, drawn()) == (400, "key: This upload no longer exists.")


def test_100_megabytes_are_refused_before_they_are_read(address):
    """Over a socket that sends no more than the beginning: the answer does not wait for the rest."""
    where = urlsplit(address)
    head = (
        "POST /uploads/ HTTP/1.1\r\nHost: localhost\r\nContent-Type: multipart/form-data; boundary=x\r\n"
        "Content-Length: 100000000\r\n\r\n--x\r\n"
    )
    with socket.create_connection((where.hostname, where.port), timeout=5) as client:
        client.sendall(head.encode())
        assert client.recv(1_000).startswith(b"HTTP/1.1 413")
    assert Files().originals == []


def test_a_full_disk_is_told(post, handed_out, settings, tmp_path):
    _, form = handed_out()
    (tmp_path / "full").touch()
    disk = {**settings.STORAGES["originals"], "OPTIONS": {"location": tmp_path / "full"}}
    settings.STORAGES = {**settings.STORAGES, "originals": disk}
    assert post(form.fields, drawn())[0] == 503


@pytest.mark.parametrize("body", [b"", b"--x--", b"--x\r\nnonsense"])
def test_what_is_no_form_is_refused(client, body):
    assert client.post("/uploads/", body, content_type="multipart/form-data; boundary=x").status_code == 400
    assert client.post("/uploads/", body, content_type="multipart/form-data").status_code == 400
    assert client.post("/uploads/", {"a": "b"}, content_type="application/json").status_code == 400


def test_it_is_posted_to_and_nothing_else(client):
    assert client.get("/uploads/").status_code == 405


def test_with_s3_files_do_not_come_here(client, s3):
    assert client.post("/uploads/", {"key": "x"}).status_code == 404


def test_originals_are_not_served(client, handed_out, settings):
    settings.SERVE_MEDIA = True
    upload, _ = handed_out()
    Files().put(upload.key, drawn())
    image = images.attach(product_id=ProductFactory().pk, key=upload.key, now=timezone.now())
    assert Image.objects.get() == image
    for path in (upload.key, f"originals/{upload.key}", f"../originals/{upload.key}", f"..%2foriginals%2f{upload.key}"):
        assert client.get(f"/media/{path}").status_code in {400, 404}
