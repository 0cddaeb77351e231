"""Pictures of products, on disk and in S3: from the upload to the last file that goes."""

from datetime import timedelta
from functools import partial

import pytest
from django.db import transaction

from domain.base import locks, outbox
from domain.base.errors import InvalidInput, NotFound
from domain.catalog import images, media, products
from domain.catalog.media import StorageUnavailable
from domain.catalog.renditions import ImageSize
from domain.jobs import clocks
from domain.jobs.handlers import HANDLERS
from storefront.models import Image, ImageUpload, OutboxMessage, Product
from tests.domain.sales.test_races import together
from tests.factories import NOW, ImageFactory, ProductFactory, VariantFactory
from tests.pictures import HTML, NOT_PICTURES, claiming, drawn, located

pytestmark = pytest.mark.django_db(transaction=True)
LATER = NOW + timedelta(days=1)


@pytest.fixture(autouse=True)
def _no_file_is_touched_in_a_transaction(monkeypatch):
    def outside(touch):
        def checked(*given, **named):
            assert not transaction.get_connection().in_atomic_block
            return touch(*given, **named)

        return checked

    for name in (
        "upload_form",
        "store_original",
        "read_original",
        "read_public",
        "publish",
        "delete_public",
        "delete_original",
    ):
        monkeypatch.setattr(media, name, outside(getattr(media, name)))


@pytest.fixture
def uploaded(files):
    """`uploaded(content)`: the key of what was put there."""

    def put(content=None, **declared):
        told = {"filename": "tee.png", "content_type": "image/png", "size": 1_000_000, **declared}
        upload, _ = images.create_upload(**told, now=NOW)
        files.put(upload.key, drawn() if content is None else content)
        return upload.key

    return put


@pytest.fixture
def attached(uploaded):
    def attach(product=None, content=None, **given):
        product = product or ProductFactory()
        return images.attach(product_id=product.pk, key=uploaded(content), now=NOW, **given)

    return attach


def work(now=NOW):
    outbox.relay(handlers=HANDLERS, clock=lambda: now)


def named(key, *sizes):
    return sorted(f"{key}-{size}.webp" for size in sizes)


EVERY = ("thumbnail", "card", "detail")

# ── putting in ───────────────────────────────────────────────────────────────────────────────────────


def test_what_was_uploaded_is_shown_at_once_and_in_every_size_soon(files, uploaded):
    product, key = ProductFactory(), uploaded(located(6))
    image = images.attach(product_id=product.pk, key=key, alt="A tee", now=NOW)
    image.refresh_from_db()
    assert (image.product, image.alt, image.width, image.height) == (product, "A tee", 30, 40)
    assert files.public == named(key, "detail")
    assert {images.url(image=image, size=size) for size in ImageSize} == {media.url(name=f"products/{key}-detail.webp")}
    work()
    image.refresh_from_db()
    assert image.rendered_at == NOW
    assert files.public == named(key, *EVERY)
    assert [images.url(image=image, size=size) for size in ImageSize] == [
        media.url(name=f"products/{key}-{size}.webp") for size in EVERY
    ]
    assert files.originals == [key]
    assert files.original(key) == located(6)
    assert not any(b"CANARY" in files.read(name) for name in files.public)


@pytest.mark.parametrize("content", NOT_PICTURES.values(), ids=NOT_PICTURES.keys())
def test_what_is_no_picture_is_not_attached_whatever_it_was_said_to_be(files, uploaded, content):
    with pytest.raises(InvalidInput):
        images.attach(product_id=ProductFactory().pk, key=uploaded(content), now=NOW)
    assert (Image.objects.count(), files.public) == (0, [])


def test_a_bomb_of_pixels_is_not_attached(files, attached):
    with pytest.raises(InvalidInput, match="pixels"):
        attached(content=claiming(50_001, 1_000))
    assert (Image.objects.count(), files.public) == (0, [])


def test_a_longer_one_than_may_be_is_not_read(files, uploaded, settings, monkeypatch):
    key = uploaded(drawn(size=(300, 300)))
    settings.MAX_IMAGE_BYTES = 100
    monkeypatch.setattr("domain.catalog.renditions.render", lambda *given: pytest.fail("It was read."))
    with pytest.raises(InvalidInput, match="more than 100 bytes"):
        images.attach(product_id=ProductFactory().pk, key=key, now=NOW)


@pytest.mark.parametrize(
    ("declared", "field"),
    [
        ({"content_type": "image/svg+xml"}, "content_type"),
        ({"content_type": "text/html"}, "content_type"),
        ({"content_type": ""}, "content_type"),
        ({"size": 100_000_000}, "bytes"),
        ({"size": 0}, "bytes"),
        ({"size": -1}, "bytes"),
        ({"filename": "x" * 256}, "filename"),
    ],
)
def test_what_cannot_be_a_picture_is_refused_before_it_comes(files, uploaded, declared, field):
    with pytest.raises(InvalidInput) as refused:
        uploaded(**declared)
    assert refused.value.field == (field,)
    assert not ImageUpload.objects.exists()


@pytest.mark.parametrize("filename", ["../../x.png", "/etc/passwd", "..\\x.png", "a/b.png", ".htaccess", "x.svg"])
def test_no_path_is_made_of_a_files_name(files, uploaded, filename):
    key = uploaded(filename=filename)
    assert (len(key), key.isalnum(), files.originals) == (32, True, [key])
    assert ImageUpload.objects.get().filename == filename


@pytest.mark.parametrize("key", ["", "nobody's", "../../x.png", "originals/x", "0" * 32])
def test_a_key_that_was_not_handed_out_opens_nothing(files, key):
    files.put("secret", drawn())
    with pytest.raises(NotFound):
        images.attach(product_id=ProductFactory().pk, key=key, now=NOW)


def test_before_the_file_is_there_nothing_is_attached_and_then_it_is(files):
    product = ProductFactory()
    upload, _ = images.create_upload(filename="", content_type="image/png", size=1_000, now=NOW)
    with pytest.raises(InvalidInput, match="yet"):
        images.attach(product_id=product.pk, key=upload.key, now=NOW)
    files.put(upload.key, drawn())
    assert images.attach(product_id=product.pk, key=upload.key, now=NOW).product == product


def test_the_same_upload_attached_twice_is_one_picture(files, uploaded):
    product, key = ProductFactory(), uploaded()
    first = images.attach(product_id=product.pk, key=key, alt="first", now=NOW)
    assert images.attach(product_id=product.pk, key=key, alt="second", now=NOW) == first
    work()
    assert images.attach(product_id=product.pk, key=key, now=NOW) == first
    assert Image.objects.get().alt == "first"
    assert OutboxMessage.objects.filter(kind=images.RENDER).count() == 1


def test_an_upload_is_a_picture_of_one_product(files, uploaded):
    key = uploaded()
    images.attach(product_id=ProductFactory().pk, key=key, now=NOW)
    with pytest.raises(InvalidInput, match="another product"):
        images.attach(product_id=ProductFactory().pk, key=key, now=NOW)


def test_a_product_that_is_not_there_has_no_pictures(files, uploaded):
    key = uploaded()
    with pytest.raises(NotFound) as refused:
        images.attach(product_id=1, key=key, now=NOW)
    assert (refused.value.field, files.public) == (("product_id",), [])


def test_words_that_are_too_long_are_refused(files, attached):
    with pytest.raises(InvalidInput) as refused:
        attached(alt="x" * 501)
    assert (refused.value.field, files.public) == (("alt",), [])


# ── where it is shown ────────────────────────────────────────────────────────────────────────────────


def alts(product):
    return [image.alt for image in product.images.all()]


def test_pictures_come_in_their_order_and_make_room(files, attached):
    product = ProductFactory()
    for alt, position in (("b", None), ("c", None), ("a", 1), ("d", 99)):
        attached(product, alt=alt, position=position)
    assert alts(product) == ["a", "b", "c", "d"]
    images.update(image_id=product.images.get(alt="d").pk, position=2)
    assert alts(product) == ["a", "d", "b", "c"]
    images.update(image_id=product.images.get(alt="a").pk, position=4)
    assert alts(product) == ["d", "b", "c", "a"]
    assert list(product.images.values_list("position", flat=True)) == [1, 2, 3, 4]
    for position in (0, -1):
        with pytest.raises(InvalidInput):
            images.update(image_id=product.images.first().pk, position=position)


def test_variants_show_it_as_their_own(files, attached):
    product = ProductFactory(option1_name="Size")
    small, large = (VariantFactory(product=product, option1=size) for size in "SL")
    image = attached(product, variant_ids=[small.pk])
    small.refresh_from_db()
    assert (small.image, product.variants.get(option1="L").image) == (image, None)
    images.update(image_id=image.pk, variant_ids=[large.pk])
    assert list(image.variants.all()) == [large]
    images.update(image_id=image.pk, alt="L")
    assert list(image.variants.all()) == [large]
    images.update(image_id=image.pk, variant_ids=[])
    assert not image.variants.exists()


def test_a_variant_of_another_product_does_not_show_it_and_nothing_is_half_done(files, attached):
    product, stranger = ProductFactory(), VariantFactory()
    own = VariantFactory(product=product)
    with pytest.raises(NotFound):
        attached(product, variant_ids=[own.pk, stranger.pk])
    assert not Image.objects.exists()
    image = attached(product)
    with pytest.raises(NotFound):
        images.update(image_id=image.pk, alt="x", variant_ids=[own.pk, stranger.pk])
    image.refresh_from_db()
    assert (image.alt, image.variants.count()) == ("", 0)


def test_words_are_changed(files, attached):
    image = attached(alt="A tee")
    assert images.update(image_id=image.pk, alt="A blue tee").alt == "A blue tee"
    assert images.update(image_id=image.pk, alt="").alt == ""
    with pytest.raises(InvalidInput):
        images.update(image_id=image.pk, alt="x" * 501)
    with pytest.raises(NotFound):
        images.update(image_id=image.pk + 1, alt="x")


# ── what goes ────────────────────────────────────────────────────────────────────────────────────────


def test_a_deleted_picture_goes_with_all_its_files_after_the_commit(files, attached):
    kept, image = attached(), attached()
    variant = VariantFactory(product=image.product, image=image)
    work()
    assert len(files.public) == 6
    images.delete(image_id=image.pk, now=NOW)
    assert len(files.public) == 6
    work()
    assert files.public == named(kept.upload_id, *EVERY)
    assert files.originals == [kept.upload_id]
    variant.refresh_from_db()
    assert variant.image is None
    with pytest.raises(NotFound):
        images.delete(image_id=image.pk, now=NOW)
    with pytest.raises(NotFound):  # What its upload was good for is over.
        images.attach(product_id=kept.product_id, key=image.upload_id, now=NOW)


def test_the_pictures_of_a_deleted_product_go_with_it(files, attached):
    product = ProductFactory()
    attached(product)
    attached(product)
    work()
    products.delete(product_id=product.pk, actor=None, now=NOW)
    assert len(files.public) == 6
    work()
    assert (files.public, files.originals) == ([], [])


def test_a_deletion_that_is_taken_back_takes_no_file(files, attached):
    image = attached()
    with transaction.atomic():
        images.discard(images=Image.objects.all(), now=NOW)
        transaction.set_rollback(True)
    images.on_discard({"key": image.upload_id, "file": ""}, "", NOW)
    work()
    assert len(files.public) == 3


def test_files_of_a_picture_that_was_deleted_past_the_domain_are_found(files, attached):
    attached()
    work()
    Product.objects.all().delete()
    images.prune(now=NOW)
    assert len(files.public) == 3
    images.prune(now=LATER)
    assert (files.public, files.originals) == ([], [])


def test_what_is_never_attached_is_pruned_after_a_day_and_what_is_attached_stays(files, uploaded, attached):
    kept, left = attached(), uploaded()
    images.create_upload(filename="", content_type="image/png", size=1, now=NOW)
    images.prune(now=LATER - timedelta(seconds=1))
    assert len(files.originals) == 2
    clocks.run(name="prune_images", now=LATER)
    assert files.originals == [kept.upload_id]
    with pytest.raises(NotFound):
        images.attach(product_id=kept.product_id, key=left, now=LATER)


def test_what_is_written_while_it_is_pruned_is_pruned_a_day_later(files, uploaded):
    key = uploaded()
    images.prune(now=LATER)
    files.put(key, drawn())
    media.publish(name=f"products/{key}-detail.webp", content=b"late")
    assert images.prune(now=LATER + timedelta(hours=23)) == 0
    assert images.prune(now=LATER + timedelta(days=1)) == 1
    assert (files.public, files.originals, ImageUpload.objects.count()) == ([], [], 0)


def test_a_crash_before_the_row_leaves_files_that_are_pruned(files, uploaded, monkeypatch):
    key = uploaded()
    product = ProductFactory()
    monkeypatch.setattr(locks, "product", lambda **given: pytest.fail("the process dies here"))
    with pytest.raises(pytest.fail.Exception):
        images.attach(product_id=product.pk, key=key, now=NOW)
    assert files.public == named(key, "detail")
    images.prune(now=LATER)
    assert (files.public, files.originals) == ([], [])


# ── sizes ────────────────────────────────────────────────────────────────────────────────────────────


def test_rendering_again_does_the_same(files, attached):
    image = attached()
    work()
    before = {name: files.read(name) for name in files.public}
    Image.objects.update(rendered_at=None)
    images.render(image_id=image.pk, now=NOW)
    assert {name: files.read(name) for name in files.public} == before
    images.render(image_id=image.pk, now=NOW)
    images.render(image_id=image.pk + 1, now=NOW)


def test_a_picture_that_is_deleted_while_it_is_rendered_stays_deleted(files, attached, monkeypatch):
    image = attached()
    publish = media.publish

    def deleting(*, name, content):
        publish(name=name, content=content)
        if Image.objects.exists():
            images.delete(image_id=image.pk, now=NOW)

    monkeypatch.setattr("domain.catalog.media.publish", deleting)
    images.render(image_id=image.pk, now=NOW)
    work()
    assert (Image.objects.count(), files.public) == (0, [])


@pytest.fixture
def old_image(files):
    """As an earlier version imported them: the original itself is public, and there is no other size."""
    media.publish(name="products/tee-1.png", content=located(6))
    return ImageFactory(file="products/tee-1.png", source="tee.png", width=40, height=30)


def test_one_that_was_imported_before_there_were_sizes_is_shown_as_it_is(files, old_image):
    assert {images.url(image=old_image, size=size) for size in ImageSize} == {media.url(name="products/tee-1.png")}


def test_one_that_was_imported_before_there_were_sizes_gets_them_and_its_original_is_taken_in(files, old_image):
    images.render(image_id=old_image.pk, now=NOW)
    old_image.refresh_from_db()
    key = old_image.upload_id
    assert (old_image.width, old_image.height, old_image.rendered_at) == (30, 40, NOW)
    assert files.original(key) == located(6)
    work()
    assert files.public == named(key, *EVERY)
    assert not any(b"CANARY" in files.read(name) for name in files.public)


def test_one_that_was_imported_before_there_were_sizes_is_deleted_with_its_file(files, old_image):
    images.delete(image_id=old_image.pk, now=NOW)
    work()
    assert files.public == []


def test_a_file_that_is_missing_is_told_and_tried_again(files, attached):
    image = attached()
    media.delete_original(key=image.upload_id)
    work()
    assert "StorageUnavailable" in OutboxMessage.objects.get(kind=images.RENDER).error
    gone = ImageFactory(file="products/none.png")
    with pytest.raises(StorageUnavailable):
        images.render(image_id=gone.pk, now=NOW)


# ── by an import ─────────────────────────────────────────────────────────────────────────────────────


def test_an_import_takes_the_same_way(files):
    product = ProductFactory()
    given = {"product": product, "source": "tee.png", "alt": "A tee", "position": 1, "now": NOW}
    image = images.import_image(content=drawn(), **given)
    work()
    assert files.public == named(image.upload_id, *EVERY)
    assert images.import_image(content=drawn(), **given) == image
    assert images.import_image(content=drawn("JPEG"), **given | {"source": "other.jpg"}) != image
    images.prune(now=LATER)
    assert len(files.originals) == 2


def test_an_import_keeps_no_file_of_what_it_refuses(files, settings):
    given = {"product": ProductFactory(), "alt": "", "position": 1, "now": NOW}
    settings.MAX_IMAGE_BYTES = 1_000
    for content, source in ((HTML, "a"), (drawn() + b"\0" * 1_000, "b"), (drawn(), "c" * 1_001)):
        with pytest.raises(InvalidInput):
            images.import_image(content=content, source=source, **given)
    assert (files.public, files.originals, ImageUpload.objects.count()) == ([], [], 0)


# ── at the same moment ───────────────────────────────────────────────────────────────────────────────


def test_the_same_upload_attached_by_many_at_once_is_one_picture(files, uploaded):
    product, key = ProductFactory(), uploaded()
    attach = partial(images.attach, product_id=product.pk, key=key, now=NOW)
    assert len({image.pk for image in together(*[attach] * 8)}) == 1
    work()
    assert (Image.objects.count(), files.public) == (1, named(key, *EVERY))
    assert OutboxMessage.objects.filter(kind=images.RENDER).count() == 1


def test_many_pictures_of_a_product_at_once_have_a_place_each(files, uploaded):
    product = ProductFactory()
    keys = [uploaded() for _ in range(8)]
    together(*(partial(images.attach, product_id=product.pk, key=key, position=1, now=NOW) for key in keys))
    assert sorted(product.images.values_list("position", flat=True)) == list(range(1, 9))


def test_an_upload_is_attached_or_pruned_and_never_half(files, uploaded):
    product = ProductFactory()
    keys = [uploaded() for _ in range(6)]
    calls = [partial(images.attach, product_id=product.pk, key=key, now=LATER) for key in keys]
    together(*calls[:3], partial(images.prune, now=LATER), *calls[3:])
    work(LATER)
    kept = set(Image.objects.values_list("upload_id", flat=True))
    assert set(files.originals) == kept
    images.prune(now=LATER + timedelta(days=1))
    assert files.public == sorted(name for key in kept for name in named(key, *EVERY))


def test_the_same_picture_imported_twice_at_once_is_one(files):
    product = ProductFactory()
    take = partial(images.import_image, product=product, source="a", alt="", content=drawn(), position=1, now=NOW)
    assert len({image.pk for image in together(take, take, take)}) == 1


def test_sizes_rendered_by_two_workers_are_the_same(files, attached):
    image = attached()
    old = ImageFactory(file="products/old.png")
    media.publish(name="products/old.png", content=drawn())
    render = [partial(images.render, image_id=each.pk, now=NOW) for each in (image, old)]
    assert together(*render * 3) == [None] * 6
    work()
    images.prune(now=LATER)
    assert (len(files.public), len(files.originals)) == (6, 2)
