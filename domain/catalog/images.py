"""Product images: upload, attach, render in each size, and delete with all files (docs/images.md)."""

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
# An upload that is not attached within this time is pruned.
_UPLOAD_LIFETIME = timedelta(days=1)
_BATCH_SIZE = 500


def url(*, image: Image, size: ImageSize) -> str:
    """The address of an image in this size. Until all sizes are rendered, that of its only file."""
    name = image.file.name if image.rendered_at is None else _public_name(image.upload_id, size)
    return media.url(name=name or "")


def _public_name(key: str | None, size: ImageSize) -> str:
    return f"products/{key}-{size.value.lower()}.webp"


# ── upload and attach ────────────────────────────────────────────────────────────────────────────────


def create_upload(
    *, filename: str, content_type: str, size: int, now: datetime
) -> tuple[ImageUpload, media.UploadForm]:
    """Creates an upload and the form to post its file with. Checks what the client declares; `attach` checks the file.

    `size` is in bytes. Raises InvalidInput, StorageUnavailable.
    """
    if content_type not in renditions.CONTENT_TYPES:
        raise InvalidInput(f"This has to be one of {', '.join(renditions.CONTENT_TYPES)}.", field=["content_type"])
    if not 0 < size <= settings.MAX_IMAGE_BYTES:
        raise InvalidInput(f"A file has from 1 to {settings.MAX_IMAGE_BYTES} bytes.", field=["bytes"])
    if len(filename) > _MAX_FILENAME:
        raise InvalidInput(f"This can have at most {_MAX_FILENAME} characters.", field=["filename"])
    upload = ImageUpload(key=secrets.token_hex(16), filename=filename, created_at=now)
    form = media.upload_form(key=upload.key, content_type=content_type, max_bytes=size, now=now)
    upload.save(force_insert=True)
    return upload, form


def receive_upload(*, key: str, policy: str, file: File[bytes], now: datetime) -> None:
    """Stores a file that was posted to this server with an upload's form. Raises InvalidInput, StorageUnavailable."""
    media.verify_upload(key=key, policy=policy, size=file.size, now=now)
    if not ImageUpload.objects.filter(pk=key, discarded_at=None).exists():
        raise InvalidInput("This upload no longer exists.", field=["key"])
    media.store_original(key=key, content=file)


def attach(
    *,
    product_id: int,
    key: str,
    alt: str = "",
    variant_ids: Collection[int] = (),
    position: int | None = None,
    now: datetime,
) -> Image:
    """Makes an uploaded file an image of the product and of these variants. Calling it again changes nothing.

    The image is visible at once, in size DETAIL; a job renders the other sizes. `position` counts from 1; without it,
    the image comes last. Raises NotFound, InvalidInput, StorageUnavailable.
    """
    _check_alt(alt)
    if not Product.objects.filter(pk=product_id).exists():
        raise NotFound("This product does not exist.", field=["product_id"])
    upload = ImageUpload.objects.filter(pk=key, discarded_at=None).first()
    if upload is None:
        raise NotFound("This upload does not exist.", field=["key"])
    rendered = None
    if not Image.objects.filter(upload=upload).exists():
        try:
            rendered = _render_upload(key)
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


def _render_upload(key: str) -> Rendered:
    content = media.read_original(key=key, max_bytes=settings.MAX_IMAGE_BYTES)
    if content is None:
        raise InvalidInput("No file was uploaded with this key yet.")
    return renditions.render(content=content, sizes=[ImageSize.DETAIL])


def import_image(
    *, product: Product, source: str, alt: str, content: bytes, position: int | None, now: datetime
) -> Image:
    """Adds an image from an import to the product. An image with the same `source` is added only once.

    Raises NotFound, InvalidInput, StorageUnavailable.
    """
    if len(source) > _MAX_SOURCE:
        raise InvalidInput(f"The image's address has more than {_MAX_SOURCE} characters.")
    if len(content) > settings.MAX_IMAGE_BYTES:
        raise InvalidInput(f"The file has more than {settings.MAX_IMAGE_BYTES} bytes.")
    rendered = renditions.render(content=content, sizes=[ImageSize.DETAIL])
    key = _store_original(content, now=now)
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


def _store_original(content: bytes, *, now: datetime) -> str:
    """Stores a new original and returns its key."""
    upload = ImageUpload.objects.create(key=secrets.token_hex(16), created_at=now)
    media.store_original(key=upload.key, content=ContentFile(content))
    return upload.key


def _publish(key: str, rendered: Rendered) -> None:
    for size, file in rendered.files.items():
        media.publish(name=_public_name(key, size), content=file)


def _check_alt(alt: str) -> None:
    if len(alt) > _MAX_ALT:
        raise InvalidInput(f"This can have at most {_MAX_ALT} characters.", field=["alt"])


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
        raise NotFound("This product does not exist.", field=["product_id"])
    upload = locks.image_upload(candidates=ImageUpload.objects.filter(pk=key, discarded_at=None))
    before = Image.objects.filter(upload=upload).first() if upload else None
    if before and before.product_id != product_id:
        raise InvalidInput("This upload is attached to another product.", field=["key"])
    if source and before is None:
        before = product.images.filter(source=source).first()
    if before:
        return before  # A concurrent request has attached it.
    if upload is None or rendered is None:
        raise NotFound("This upload does not exist.", field=["key"])
    image = Image.objects.create(
        product=product,
        upload=upload,
        file=_public_name(key, ImageSize.DETAIL),
        alt=alt,
        width=rendered.width,
        height=rendered.height,
        source=source,
    )
    _set_position(image, position)
    if variant_ids:
        _show_on_variants(image, variant_ids)
    outbox.put(kind=RENDER, payload={"image": image.pk}, now=now, priority=1)
    return image


# ── change and delete ────────────────────────────────────────────────────────────────────────────────


@transaction.atomic(durable=True)
def update(
    *,
    image_id: int,
    alt: str | None = None,
    position: int | None = None,
    variant_ids: Collection[int] | None = None,
) -> Image:
    """Changes what is not None. `variant_ids` replaces the variants that show it. Raises NotFound, InvalidInput."""
    image = _lock_image(image_id)
    if alt is not None:
        _check_alt(alt)
        image.alt = alt
        image.save(update_fields=["alt"])
    if position is not None:
        _set_position(image, position)
    if variant_ids is not None:
        image.variants.exclude(pk__in=variant_ids).update(image=None)
        _show_on_variants(image, variant_ids)
    return image


@transaction.atomic(durable=True)
def delete(*, image_id: int, now: datetime) -> None:
    """Deletes an image and queues the deletion of its files. Raises NotFound."""
    image = _lock_image(image_id)
    discard(images=Image.objects.filter(pk=image.pk), now=now)
    image.delete()


def discard(*, images: QuerySet[Image], now: datetime) -> None:
    """Queues the deletion of the images' files. Call it before deleting the rows, in the same transaction."""
    for key, file in images.values_list("upload", "file"):
        outbox.put(kind=DISCARD, payload={"key": key, "file": file}, now=now, priority=1)


def _lock_image(image_id: int) -> Image:
    """The image, with its product locked."""
    product = locks.product(candidates=Product.objects.filter(images=image_id))
    image = product.images.filter(pk=image_id).first() if product else None
    if image is None:
        raise NotFound("This image does not exist.", field=["id"])
    return image


def _set_position(image: Image, position: int | None) -> None:
    """Moves the image to a position (from 1; None: last) and renumbers the product's other images."""
    if position is not None and position < 1:
        raise InvalidInput("Positions count from 1.", field=["position"])
    others = list(Image.objects.filter(product=image.product_id).exclude(pk=image.pk))
    others.insert(len(others) if position is None else position - 1, image)
    for number, each in enumerate(others, start=1):
        each.position = number
    Image.objects.bulk_update(others, ["position"])


def _show_on_variants(image: Image, variant_ids: Collection[int]) -> None:
    variants = ProductVariant.objects.filter(product=image.product_id, pk__in=variant_ids)
    if variants.update(image=image) != len(set(variant_ids)):
        raise NotFound("One of these is not a variant of the product.", field=["variant_ids"])


# ── background jobs ──────────────────────────────────────────────────────────────────────────────────


def render(*, image_id: int, now: datetime) -> None:
    """Renders all sizes of an image that has none yet. Calling it again changes nothing.

    An image from before originals were stored gets a private original, and public files without metadata.
    Raises StorageUnavailable, InvalidInput.
    """
    image = Image.objects.filter(pk=image_id, rendered_at=None).first()
    if image is None:
        return
    if image.upload_id is None:
        content: bytes | None = media.read_public(name=image.file.name or "", max_bytes=settings.MAX_IMAGE_BYTES)
    else:
        content = media.read_original(key=image.upload_id, max_bytes=settings.MAX_IMAGE_BYTES)
    if content is None:
        raise media.StorageUnavailable("The original is missing.")
    rendered = renditions.render(content=content, sizes=ImageSize)
    key = image.upload_id or _store_original(content, now=now)
    _publish(key, rendered)
    _record(image=image, key=key, rendered=rendered, now=now)


@transaction.atomic(durable=True)
def _record(*, image: Image, key: str, rendered: Rendered, now: datetime) -> None:
    columns = {
        "upload": key,
        "file": _public_name(key, ImageSize.DETAIL),
        "width": rendered.width,
        "height": rendered.height,
        "rendered_at": now,
    }
    is_first = Image.objects.filter(pk=image.pk, rendered_at=None).update(**columns)
    if is_first and image.upload_id is None:
        outbox.put(kind=DISCARD, payload={"key": None, "file": image.file.name}, now=now, priority=1)


def unrendered() -> QuerySet[Image]:
    """The images whose sizes are not rendered yet."""
    return Image.objects.filter(rendered_at=None).order_by("pk")


def on_render(payload: Mapping[str, Any], _: str, now: datetime) -> None:
    render(image_id=payload["image"], now=now)


def on_discard(payload: Mapping[str, Any], _: str, now: datetime) -> None:
    """Outbox handler: deletes the files of a deleted image. `prune` deletes the upload's row later."""
    if payload["key"] is None:
        media.delete_public(payload["file"])
    else:
        _discard_files(payload["key"], now=now)


def prune(*, now: datetime) -> int:
    """Deletes the files of uploads without an image: never attached within a day, or with the image deleted.

    Files are deleted twice, a day apart, and the upload's row with the second time. So a process that was still
    writing, or a client that still had a form, leaves no files behind. Returns how many rows were deleted.
    Raises StorageUnavailable.
    """
    past = now - _UPLOAD_LIFETIME
    unused = ImageUpload.objects.filter(image=None)
    stale = unused.filter(discarded_at=None, created_at__lte=past).values_list("pk", flat=True)
    over = unused.filter(discarded_at__lte=past).values_list("pk", flat=True)
    gone = list(over[:_BATCH_SIZE])
    for key in gone:
        _delete_files(key)
        ImageUpload.objects.filter(pk=key).delete()
    for key in list(stale[:_BATCH_SIZE]):
        _discard_files(key, now=now)
    return len(gone)


def _discard_files(key: str, *, now: datetime) -> None:
    if _mark_discarded(key=key, now=now):
        _delete_files(key)


@transaction.atomic(durable=True)
def _mark_discarded(*, key: str, now: datetime) -> bool:
    """Marks an upload as discarded, so that it cannot be attached. False if it is attached or gone."""
    upload = locks.image_upload(candidates=ImageUpload.objects.filter(pk=key))
    if upload is None or Image.objects.filter(upload=upload).exists():
        return False
    upload.discarded_at = upload.discarded_at or now
    upload.save(update_fields=["discarded_at"])
    return True


def _delete_files(key: str) -> None:
    media.delete_public(*(_public_name(key, size) for size in ImageSize))
    media.delete_original(key=key)
