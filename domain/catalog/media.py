"""The files of pictures, on disk or in S3: originals, which are private, and what is made of them, which is public.

Nothing here is called inside a transaction, but for `url`. Names are ours, so that writing twice writes the same.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, ClassVar

from boto3.exceptions import Boto3Error
from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError
from django.core import signing
from django.core.files.base import ContentFile, File
from django.core.files.storage import Storage, default_storage, storages
from django.urls import reverse
from storages.backends.s3 import S3Storage

from domain.base.errors import DomainError, InvalidInput

logger = logging.getLogger(__name__)

# How long what was handed out to upload by is good.
GOOD_FOR = timedelta(hours=1)
_SALT = "upload"


class StorageUnavailable(DomainError):
    """The storage gave no answer, or not one that can be used: nothing was done, and the same can be tried again."""

    code: ClassVar[str] = "STORAGE_UNAVAILABLE"


@dataclass(frozen=True, slots=True)
class Form:
    """What to post a file by: multipart, these fields first, and then the file as `file`."""

    url: str
    fields: dict[str, str]


def form(*, key: str, content_type: str, most: int, now: datetime) -> Form:
    """Signed, for one original of so many bytes at most, under this key and no other. Raises StorageUnavailable."""
    storage = storages["originals"]
    if isinstance(storage, S3Storage):
        with _asking():
            try:
                post = _client(storage).generate_presigned_post(
                    storage.bucket_name,
                    _name(storage, key),
                    Fields={"Content-Type": content_type},
                    Conditions=[{"Content-Type": content_type}, ["content-length-range", 1, most]],
                    ExpiresIn=int(GOOD_FOR.total_seconds()),
                )
            except AttributeError:  # What botocore comes to here without credentials.
                raise NoCredentialsError from None
        return Form(post["url"], post["fields"])
    until = (now + GOOD_FOR).timestamp()
    return Form(reverse("uploads"), {"key": key, "policy": signing.dumps([key, most, until], salt=_SALT)})


def verify(*, key: str, policy: str, size: int, now: datetime) -> None:
    """Whether what was posted is what a `form` was signed for, where the disk is the storage. Raises InvalidInput."""
    try:
        named, most, until = signing.loads(policy, salt=_SALT)
    except signing.BadSignature:
        raise InvalidInput("This was not signed here.", field=["policy"]) from None
    if named != key:
        raise InvalidInput("This was signed for another key.", field=["key"])
    if until < now.timestamp():
        raise InvalidInput("This has expired: ask for another.", field=["policy"])
    if not 0 < size <= most:
        raise InvalidInput(f"From 1 to {most} bytes.", field=["file"])


def keep(*, key: str, content: File[bytes]) -> None:
    """Stores an original. On disk, one that is there stays. Raises StorageUnavailable."""
    storage = storages["originals"]
    with _asking():
        name = storage.save(key, content)
        if name != key:
            storage.delete(name)
            raise InvalidInput("Something was uploaded by this key before.", field=["key"])


def original(*, key: str, most: int) -> bytes | None:
    """None where nothing was put. Raises StorageUnavailable; InvalidInput for more than so many bytes, unread."""
    storage = storages["originals"]
    with _asking():
        if not isinstance(storage, S3Storage):
            try:
                with storage.open(key) as file:
                    return _read(file, file.size, most)
            except FileNotFoundError:
                return None
        try:
            found = _client(storage).get_object(Bucket=storage.bucket_name, Key=_name(storage, key))
        except ClientError as error:
            if error.response.get("Error", {}).get("Code") == "NoSuchKey":
                return None
            raise
        with found["Body"] as body:
            return _read(body, found["ContentLength"], most)


def public(*, name: str, most: int) -> bytes:
    """A public file's content. Raises StorageUnavailable, InvalidInput as `original` does."""
    with _asking(), default_storage.open(name) as file:
        return _read(file, file.size, most)


class _WebP(ContentFile[bytes]):
    # Read by S3Storage, which would guess it by the name and a table that differs from machine to machine.
    content_type = "image/webp"


def publish(*, name: str, content: bytes) -> None:
    """Stores a WebP for everyone. Raises StorageUnavailable."""
    with _asking():
        default_storage.save(name, _WebP(content))


def withdraw(*names: str) -> None:
    """Deletes public files, if they are there. Raises StorageUnavailable."""
    with _asking():
        for name in names:
            _delete(storages["default"], name)


def forget(*, key: str) -> None:
    """Deletes an original, if it is there. Raises StorageUnavailable."""
    with _asking():
        _delete(storages["originals"], key)


def url(*, name: str) -> str:
    """The address of a public file, which may be relative to the shop's."""
    return default_storage.url(name)


def _delete(storage: Storage, name: str) -> None:
    if isinstance(storage, S3Storage):  # Its own `delete` takes a bucket that is missing for a file that is.
        _client(storage).delete_object(Bucket=storage.bucket_name, Key=_name(storage, name))
    else:
        storage.delete(name)


def _read(file: Any, size: int, most: int) -> bytes:
    if size > most:
        raise InvalidInput(f"More than {most} bytes.")
    content: bytes = file.read()
    return content


def _client(storage: S3Storage) -> Any:
    return storage.connection.meta.client


def _name(storage: S3Storage, key: str) -> str:
    return f"{storage.location}/{key}".lstrip("/")


@contextmanager
def _asking() -> Iterator[None]:
    try:
        yield
    except (BotoCoreError, Boto3Error, ClientError, OSError) as error:
        logger.warning("The storage did not do as asked: %s: %s", type(error).__name__, error)
        raise StorageUnavailable("The shop's storage of pictures does not answer: try again.") from error
