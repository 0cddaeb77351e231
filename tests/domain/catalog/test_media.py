"""The bucket, over a real socket: who may read what, and what is told when it does not answer."""

import json
import socket
import time
from base64 import b64decode
from contextlib import contextmanager
from datetime import timedelta

import pytest
import urllib3
from moto.core.authorization import enable_iam_authentication

from commercia.settings import s3_storages
from domain.base import outbox
from domain.base.errors import InvalidInput
from domain.catalog import images, media
from domain.catalog.media import StorageUnavailable
from domain.catalog.renditions import ImageSize
from domain.jobs.handlers import HANDLERS
from storefront.models import Image, ImageUpload, OutboxMessage
from tests.factories import NOW, ProductFactory
from tests.pictures import drawn

pytestmark = pytest.mark.django_db(transaction=True)


def posted(form, content):
    """What a browser does with a form: the fields first, and then the file, by its own name."""
    file = {"file": ("../../x.png", content, "text/html")}
    with urllib3.PoolManager() as http:
        return http.request("POST", form.url, fields={**form.fields, **file}, retries=False)


def new_upload(size=10_000):
    return images.create_upload(filename="tee.png", content_type="image/png", size=size, now=NOW)


def work():
    outbox.relay(handlers=HANDLERS, clock=lambda: NOW.replace(year=2099))


def test_a_browser_puts_the_original_straight_into_the_bucket(s3):
    upload, form = new_upload()
    assert posted(form, drawn()).status == 204
    assert s3.names(s3.bucket) == [f"originals/{upload.key}"]
    images.attach(product_id=ProductFactory().pk, key=upload.key, now=NOW)
    work()
    assert s3.names(s3.bucket) == [
        f"originals/{upload.key}",
        *(f"products/{upload.key}-{size}.webp" for size in ("card", "detail", "thumbnail")),
    ]


def test_everyone_reads_the_sizes_and_nobody_the_original(s3):
    upload, form = new_upload()
    posted(form, drawn())
    image = images.attach(product_id=ProductFactory().pk, key=upload.key, now=NOW)
    work()
    image.refresh_from_db()
    for size in ImageSize:
        answer = urllib3.request("GET", images.url(image=image, size=size))
        assert (answer.status, answer.headers["content-type"]) == (200, "image/webp")
        assert "immutable" in answer.headers["cache-control"]
        assert answer.data.startswith(b"RIFF")
    assert urllib3.request("GET", f"{s3.url}/{s3.bucket}/originals/{upload.key}").status == 403


def test_a_public_domain_is_where_pictures_are_read(s3, settings):
    storages = s3_storages(**s3.options())
    storages["default"]["OPTIONS"]["custom_domain"] = "cdn.example"
    settings.STORAGES = {**settings.STORAGES, **storages}
    assert media.url(name="products/x-card.webp") == "https://cdn.example/products/x-card.webp"


def test_the_form_is_signed_for_one_key_one_type_and_no_more_bytes_than_declared(s3):
    """S3 refuses what breaks these; moto takes whatever comes, so that the policy itself is looked at."""
    upload, form = new_upload(size=1_234)
    policy = json.loads(b64decode(form.fields["policy"]))
    assert [each for each in policy["conditions"] if not str(each).startswith("{'x-amz")] == [
        {"Content-Type": "image/png"},
        ["content-length-range", 1, 1_234],
        {"bucket": s3.bucket},
        {"key": f"originals/{upload.key}"},
    ]
    assert form.fields.keys() == {
        "Content-Type",
        "key",
        "policy",
        "x-amz-algorithm",
        "x-amz-credential",
        "x-amz-date",
        "x-amz-signature",
    }
    assert "anything" not in str(form)  # the secret key


def test_what_came_past_the_policy_is_refused_unread(s3, settings):
    upload, form = new_upload()
    posted(form, drawn(size=(200, 200)))
    settings.MAX_IMAGE_BYTES = 100
    with pytest.raises(InvalidInput, match="more than 100 bytes"):
        images.attach(product_id=ProductFactory().pk, key=upload.key, now=NOW)


def test_the_shops_user_needs_no_more_rights_than_the_page_says(s3, settings):
    product, keys = ProductFactory(), s3.new_user()
    with told_of(settings, s3, **keys):
        upload, form = new_upload()
        posted(form, drawn())
        with enable_iam_authentication():
            image = images.attach(product_id=product.pk, key=upload.key, now=NOW)
            images.import_image(product=product, source="a", alt="", content=drawn(), position=None, now=NOW)
            work()
            image.refresh_from_db()
            assert image.rendered_at
            assert media.read_original(key="nobody-put-this", max_bytes=1) is None
            with pytest.raises(StorageUnavailable):
                media.publish(name="elsewhere/x.webp", content=b"x")
            images.delete(image_id=image.pk, now=NOW)
            work()
    assert len(s3.names(s3.bucket)) == 4


# ── when it does not do as asked ─────────────────────────────────────────────────────────────────────


@contextmanager
def mute():
    """The address of somebody who takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


@contextmanager
def told_of(settings, s3, **options):
    before = settings.STORAGES
    settings.STORAGES = {**before, **s3_storages(**{**s3.options(), **options})}
    try:
        yield
    finally:
        settings.STORAGES = before


@pytest.fixture(params=["it is gone", "it is mute", "the keys are wrong", "the bucket is missing"])
def away(request, s3, settings):
    """`with away():` meanwhile the storage is of no use."""

    @contextmanager
    def meanwhile():
        match request.param:
            case "it is gone":
                with s3.away():
                    yield
            case "it is mute":
                own = s3_storages()["default"]["OPTIONS"]["client_config"]
                with mute() as url, told_of(settings, s3, endpoint_url=url, client_config=own):
                    yield
            case "the keys are wrong":
                with enable_iam_authentication(), told_of(settings, s3, access_key="another"):
                    yield
            case _:
                with told_of(settings, s3, bucket_name="no-such-bucket"):
                    yield

    return meanwhile


def test_a_storage_that_is_of_no_use_is_told_within_five_seconds_and_leaves_no_row(s3, away):
    product = ProductFactory()
    upload, form = new_upload()
    posted(form, drawn())
    with away():
        began = time.monotonic()
        with pytest.raises(StorageUnavailable):
            images.attach(product_id=product.pk, key=upload.key, now=NOW)
        assert time.monotonic() - began < 5
        assert (Image.objects.count(), OutboxMessage.objects.count()) == (0, 0)
        began = time.monotonic()
        with pytest.raises(StorageUnavailable):
            images.import_image(product=product, source="a", alt="", content=drawn(), position=1, now=NOW)
        assert time.monotonic() - began < 5
        assert Image.objects.count() == 0
    assert images.attach(product_id=product.pk, key=upload.key, now=NOW).product == product
    work()
    assert len(s3.names(s3.bucket)) == 4


def test_sizes_and_deletions_wait_until_it_is_back(s3, away):
    product = ProductFactory()
    for _ in range(2):
        upload, form = new_upload()
        posted(form, drawn())
        images.attach(product_id=product.pk, key=upload.key, now=NOW)
    with away():
        images.delete(image_id=product.images.first().pk, now=NOW)
        outbox.relay(handlers=HANDLERS, clock=lambda: NOW)
        assert OutboxMessage.objects.filter(delivered_at=None, attempts=1).count() == 2
        with pytest.raises(StorageUnavailable):
            images.prune(now=NOW + timedelta(days=2))
    work()
    assert len(s3.names(s3.bucket)) == 4
    assert product.images.get().rendered_at
    assert images.prune(now=NOW.replace(year=2100)) == 1


def test_a_form_is_handed_out_while_it_is_away_and_is_good_when_it_is_back(s3):
    with s3.away():
        upload, form = new_upload()
    assert posted(form, drawn()).status == 204
    images.attach(product_id=ProductFactory().pk, key=upload.key, now=NOW)


def test_without_keys_no_form_is_handed_out_and_no_row_is_left(s3, settings, monkeypatch):
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
    with told_of(settings, s3, access_key=None, secret_key=None), pytest.raises(StorageUnavailable):
        new_upload()
    assert not ImageUpload.objects.exists()


def test_on_disk_a_full_or_locked_one_is_told_too(settings, tmp_path):
    (tmp_path / "file").touch()
    settings.MEDIA_ROOT = tmp_path / "file"
    product = ProductFactory()
    with pytest.raises(StorageUnavailable):
        images.import_image(product=product, source="a", alt="", content=drawn(), position=1, now=NOW)
    assert not product.images.exists()
