"""Pictures of products: put in, attached, rendered in each size, and gone with all their files (docs/images.md)."""

import secrets
from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.core.files.base import ContentFile, File
from django.db import transaction
from django.db.models import QuerySet

from domain.base import locks, outbox
from domain.base.errors import InvalidInput, NotFound
from domain.catalog import media, renditions
from domain.catalog.renditions import ImageSize, Rendered
from storefront.models import Image, ImageUpload, Product, ProductVariant

RENDER, DISCARD = "image_render", "image_discard"
_MAX_ALT, _MAX_FILENAME, _MAX_SOURCE = 500, 255, 1_000
# An upload that nobody has attached by then is pruned.
_WAITS_FOR = timedelta(days=1)
_AT_ONCE = 500


def url(*, image: Image, size: ImageSize) -> str:
    """Where a picture is in that size; until every size is rendered, where the one file is that there is."""
    name = image.file.name if image.rendered_at is None else _public_name(image.upload_id, size)
    return media.url(name=name or "")


def _public_name(key: str | None, size: ImageSize) -> str:
    return f"products/{key}-{size.value.lower()}.webp"


# ── putting in ───────────────────────────────────────────────────────────────────────────────────────


def create_upload(*, filename: str, content_type: str, size: int, now: datetime) -> tuple[ImageUpload, media.Form]:
    """A place for a picture, and the form to post it by. Raises InvalidInput, StorageUnavailable.

    What is declared here is refused early where it cannot be; what counts is what the file turns out to be.
    """
    if content_type not in renditions.CONTENT_TYPES:
        raise InvalidInput(f"One of {', '.join(renditions.CONTENT_TYPES)}.", field=["content_type"])
    if not 0 < size <= settings.MAX_IMAGE_BYTES:
        raise InvalidInput(f"From 1 to {settings.MAX_IMAGE_BYTES}.", field=["bytes"])
    if len(filename) > _MAX_FILENAME:
        raise InvalidInput(f"At most {_MAX_FILENAME} characters.", field=["filename"])
    upload = ImageUpload(key=secrets.token_hex(16), filename=filename, created_at=now)
    form = media.form(key=upload.key, content_type=content_type, most=size, now=now)
    upload.save(force_insert=True)
    return upload, form


def receive(*, key: str, policy: str, file: File[bytes], now: datetime) -> None:
    """Takes what was posted by an upload's form, on disk. Raises InvalidInput, StorageUnavailable."""
    media.verify(key=key, policy=policy, size=file.size, now=now)
    if not ImageUpload.objects.filter(pk=key, discarded_at=None).exists():
        raise InvalidInput("There is no such upload any more.", field=["key"])
    media.keep(key=key, content=file)


def attach(
    *,
    product_id: int,
    key: str,
    alt: str = "",
    variant_ids: Collection[int] = (),
    position: int | None = None,
    now: datetime,
) -> Image:
    """Makes what was uploaded a picture of the product, and of these variants of it. The same again finds it done.

    It can be seen at once, as DETAIL; the other sizes are rendered after the answer. `position` is from 1 on;
    without it, it comes last. Raises NotFound, InvalidInput, StorageUnavailable.
    """
    _check_alt(alt)
    if not Product.objects.filter(pk=product_id).exists():
        raise NotFound("There is no such product.", field=["product_id"])
    upload = ImageUpload.objects.filter(pk=key, discarded_at=None).first()
    if upload is None:
        raise NotFound("There is no such upload.", field=["key"])
    rendered = None
    if not Image.objects.filter(upload=upload).exists():
        try:
            rendered = _looked_into(key)
        except InvalidInput as refusal:
            raise refusal.at(["key"]) from None
        _publish(key, rendered)
    return _attach(
        product_id=product_id,
        key=key,
        rendered=rendered,
        alt=alt,
        variant_ids=variant_ids,
        position=position,
        now=now,
    )


def _looked_into(key: str) -> Rendered:
    content = media.original(key=key, most=settings.MAX_IMAGE_BYTES)
    if content is None:
        raise InvalidInput("Nothing was uploaded by this key yet.")
    return renditions.render(content=content, sizes=[ImageSize.DETAIL])


def take(*, product: Product, source: str, alt: str, content: bytes, position: int | None, now: datetime) -> Image:
    """As `attach`, of a picture that an import has at hand; by `source` it is known again, and taken once."""
    if len(source) > _MAX_SOURCE:
        raise InvalidInput(f"An address of at most {_MAX_SOURCE} characters.")
    if len(content) > settings.MAX_IMAGE_BYTES:
        raise InvalidInput(f"More than {settings.MAX_IMAGE_BYTES} bytes.")
    rendered = renditions.render(content=content, sizes=[ImageSize.DETAIL])
    key = _kept(content, now=now)
    _publish(key, rendered)
    return _attach(
        product_id=product.pk,
        key=key,
        rendered=rendered,
        alt=alt[:_MAX_ALT],
        variant_ids=(),
        position=position,
        source=source,
        now=now,
    )


def _kept(content: bytes, *, now: datetime) -> str:
    """The key of a new original."""
    upload = ImageUpload.objects.create(key=secrets.token_hex(16), created_at=now)
    media.keep(key=upload.key, content=ContentFile(content))
    return upload.key


def _publish(key: str, rendered: Rendered) -> None:
    for size, file in rendered.files.items():
        media.publish(name=_public_name(key, size), content=file)


def _check_alt(alt: str) -> None:
    if len(alt) > _MAX_ALT:
        raise InvalidInput(f"At most {_MAX_ALT} characters.", field=["alt"])


@transaction.atomic(durable=True)
def _attach(
    *,
    product_id: int,
    key: str,
    rendered: Rendered | None,
    alt: str,
    variant_ids: Collection[int],
    position: int | None,
    source: str = "",
    now: datetime,
) -> Image:
    product = locks.product(candidates=Product.objects.filter(pk=product_id))
    if product is None:
        raise NotFound("There is no such product.", field=["product_id"])
    upload = locks.image_upload(candidates=ImageUpload.objects.filter(pk=key, discarded_at=None))
    before = Image.objects.filter(upload=upload).first() if upload else None
    if before and before.product_id != product_id:
        raise InvalidInput("This was attached to another product.", field=["key"])
    if source and before is None:
        before = product.images.filter(source=source).first()
    if before:
        return before  # A twin of this request was first.
    if upload is None or rendered is None:
        raise NotFound("There is no such upload.", field=["key"])
    image = Image.objects.create(
        product=product,
        upload=upload,
        file=_public_name(key, ImageSize.DETAIL),
        alt=alt,
        width=rendered.width,
        height=rendered.height,
        source=source,
    )
    _place(image, position)
    if variant_ids:
        _show_on(image, variant_ids)
    outbox.put(kind=RENDER, payload={"image": image.pk}, now=now, priority=1)
    return image


# ── changing and deleting ────────────────────────────────────────────────────────────────────────────


@transaction.atomic(durable=True)
def update(
    *,
    image_id: int,
    alt: str | None = None,
    position: int | None = None,
    variant_ids: Collection[int] | None = None,
) -> Image:
    """Changes what is given. `variant_ids` are all that shall show it. Raises NotFound, InvalidInput."""
    image = _locked(image_id)
    if alt is not None:
        _check_alt(alt)
        image.alt = alt
        image.save(update_fields=["alt"])
    if position is not None:
        _place(image, position)
    if variant_ids is not None:
        image.variants.exclude(pk__in=variant_ids).update(image=None)
        _show_on(image, variant_ids)
    return image


@transaction.atomic(durable=True)
def delete(*, image_id: int, now: datetime) -> None:
    """Deletes a picture, and with the commit owes that its files go. Raises NotFound."""
    image = _locked(image_id)
    discard(images=Image.objects.filter(pk=image.pk), now=now)
    image.delete()


def discard(*, images: QuerySet[Image], now: datetime) -> None:
    """Owes that the files of these pictures go. Call it in the transaction that deletes them, before it does."""
    for key, file in images.values_list("upload", "file"):
        outbox.put(kind=DISCARD, payload={"key": key, "file": file}, now=now, priority=1)


def _locked(image_id: int) -> Image:
    """The picture, with the right to change its product's pictures."""
    product = locks.product(candidates=Product.objects.filter(images=image_id))
    image = product.images.filter(pk=image_id).first() if product else None
    if image is None:
        raise NotFound("There is no such image.", field=["id"])
    return image


def _place(image: Image, position: int | None) -> None:
    """Puts it at a position among its product's pictures, counted from 1, or last; the others make room."""
    if position is not None and position < 1:
        raise InvalidInput("From 1 on.", field=["position"])
    others = list(Image.objects.filter(product=image.product_id).exclude(pk=image.pk))
    others.insert(len(others) if position is None else position - 1, image)
    for number, each in enumerate(others, start=1):
        each.position = number
    Image.objects.bulk_update(others, ["position"])


def _show_on(image: Image, variant_ids: Collection[int]) -> None:
    variants = ProductVariant.objects.filter(product=image.product_id, pk__in=variant_ids)
    if variants.update(image=image) != len(set(variant_ids)):
        raise NotFound("One of these is no variant of the product.", field=["variant_ids"])


# ── what is owed after an answer ─────────────────────────────────────────────────────────────────────


def render(*, image_id: int, now: datetime) -> None:
    """Renders every size of a picture that has not got them; done again, it does the same.

    One that an earlier shop had imported gets what all have: a private original, and public files without metadata.
    Raises StorageUnavailable, InvalidInput.
    """
    image = Image.objects.filter(pk=image_id, rendered_at=None).first()
    if image is None:
        return
    if image.upload_id is None:
        content: bytes | None = media.public(name=image.file.name or "", most=settings.MAX_IMAGE_BYTES)
    else:
        content = media.original(key=image.upload_id, most=settings.MAX_IMAGE_BYTES)
    if content is None:
        raise media.StorageUnavailable("The original is not there.")
    rendered = renditions.render(content=content, sizes=ImageSize)
    key = image.upload_id or _kept(content, now=now)
    _publish(key, rendered)
    _record(image=image, key=key, rendered=rendered, now=now)


@transaction.atomic(durable=True)
def _record(*, image: Image, key: str, rendered: Rendered, now: datetime) -> None:
    told = {
        "upload": key,
        "file": _public_name(key, ImageSize.DETAIL),
        "width": rendered.width,
        "height": rendered.height,
        "rendered_at": now,
    }
    is_first = Image.objects.filter(pk=image.pk, rendered_at=None).update(**told)
    if is_first and image.upload_id is None:
        outbox.put(kind=DISCARD, payload={"key": None, "file": image.file.name}, now=now, priority=1)


def unrendered() -> QuerySet[Image]:
    """The pictures that are shown in one size, whatever is asked for."""
    return Image.objects.filter(rendered_at=None).order_by("pk")


def on_render(payload: Mapping[str, Any], _: str, now: datetime) -> None:
    render(image_id=payload["image"], now=now)


def on_discard(payload: Mapping[str, Any], _: str, now: datetime) -> None:
    """Deletes the files of a picture that is gone; an upload's row stays for a while, as `prune` says."""
    if payload["key"] is None:
        media.withdraw(payload["file"])
    else:
        _discard_files(payload["key"], now=now)


def prune(*, now: datetime) -> int:
    """Deletes what no picture refers to, and says of how many uploads: those that were never attached within a day,
    and those whose picture was deleted, by whatever.

    Files are deleted twice, a day apart, and the row with the second time: whoever was still writing meanwhile, or
    still had a form to upload by, leaves nothing for good. Raises StorageUnavailable.
    """
    past = now - _WAITS_FOR
    unused = ImageUpload.objects.filter(image=None)
    stale = unused.filter(discarded_at=None, created_at__lte=past).values_list("pk", flat=True)
    over = unused.filter(discarded_at__lte=past).values_list("pk", flat=True)
    gone = list(over[:_AT_ONCE])
    for key in gone:
        _delete_files(key)
        ImageUpload.objects.filter(pk=key).delete()
    for key in list(stale[:_AT_ONCE]):
        _discard_files(key, now=now)
    return len(gone)


def _discard_files(key: str, *, now: datetime) -> None:
    if _discarded(key=key, now=now):
        _delete_files(key)


@transaction.atomic(durable=True)
def _discarded(*, key: str, now: datetime) -> bool:
    """Whether nothing can become of an upload any more: nobody attaches it from now on."""
    upload = locks.image_upload(candidates=ImageUpload.objects.filter(pk=key))
    if upload is None or Image.objects.filter(upload=upload).exists():
        return False
    upload.discarded_at = upload.discarded_at or now
    upload.save(update_fields=["discarded_at"])
    return True


def _delete_files(key: str) -> None:
    media.withdraw(*(_public_name(key, size) for size in ImageSize))
    media.forget(key=key)
