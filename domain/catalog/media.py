"""Image files, on disk or in S3: private originals and public renditions.

Only `url` may be called inside a transaction. We choose the file names, so a repeated write replaces the same file.
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

# How long an upload form is valid.
UPLOAD_VALID_FOR = timedelta(hours=1)
_SALT = "upload"


class StorageUnavailable(DomainError):
    """The storage did not answer properly. The same call can be tried again."""

    code: ClassVar[str] = "STORAGE_UNAVAILABLE"


@dataclass(frozen=True, slots=True)
class UploadForm:
    """How to post a file: as multipart/form-data to `url`, with these fields first, then the file as `file`."""

    url: str
    fields: dict[str, str]


def upload_form(*, key: str, content_type: str, max_bytes: int, now: datetime) -> UploadForm:
    """A signed form for one original of at most `max_bytes` with this key. Raises StorageUnavailable."""
    storage = storages["originals"]
    if isinstance(storage, S3Storage):
        with _storage_errors():
            try:
                post = _client(storage).generate_presigned_post(
                    storage.bucket_name,
                    _name(storage, key),
                    Fields={"Content-Type": content_type},
                    Conditions=[{"Content-Type": content_type}, ["content-length-range", 1, max_bytes]],
                    ExpiresIn=int(UPLOAD_VALID_FOR.total_seconds()),
                )
            except AttributeError:  # Raised by botocore here if there are no credentials.
                raise NoCredentialsError from None
        return UploadForm(post["url"], post["fields"])
    until = (now + UPLOAD_VALID_FOR).timestamp()
    return UploadForm(reverse("uploads"), {"key": key, "policy": signing.dumps([key, max_bytes, until], salt=_SALT)})


def verify_upload(*, key: str, policy: str, size: int, now: datetime) -> None:
    """Checks that a file posted to this server is the one its `upload_form` was signed for. Raises InvalidInput."""
    try:
        named, most, until = signing.loads(policy, salt=_SALT)
    except signing.BadSignature:
        raise InvalidInput("The signature is invalid.", field=["policy"]) from None
    if named != key:
        raise InvalidInput("This was signed for another key.", field=["key"])
    if until < now.timestamp():
        raise InvalidInput("This form has expired. Request a new one.", field=["policy"])
    if not 0 < size <= most:
        raise InvalidInput(f"The file may have from 1 to {most} bytes.", field=["file"])


def store_original(*, key: str, content: File[bytes]) -> None:
    """Stores an original. Raises StorageUnavailable; on disk, InvalidInput if one is stored with this key already."""
    storage = storages["originals"]
    with _storage_errors():
        name = storage.save(key, content)
        if name != key:
            storage.delete(name)
            raise InvalidInput("A file was uploaded with this key before.", field=["key"])


def read_original(*, key: str, max_bytes: int) -> bytes | None:
    """The content of an original; None if there is none. Raises StorageUnavailable; InvalidInput above `max_bytes`."""
    storage = storages["originals"]
    with _storage_errors():
        if not isinstance(storage, S3Storage):
            try:
                with storage.open(key) as file:
                    return _read(file, file.size, max_bytes)
            except FileNotFoundError:
                return None
        try:
            found = _client(storage).get_object(Bucket=storage.bucket_name, Key=_name(storage, key))
        except ClientError as error:
            if error.response.get("Error", {}).get("Code") == "NoSuchKey":
                return None
            raise
        with found["Body"] as body:
            return _read(body, found["ContentLength"], max_bytes)


def read_public(*, name: str, max_bytes: int) -> bytes:
    """The content of a public file. Raises StorageUnavailable; InvalidInput above `max_bytes`."""
    with _storage_errors(), default_storage.open(name) as file:
        return _read(file, file.size, max_bytes)


class _WebP(ContentFile[bytes]):
    # For S3Storage, which otherwise guesses the type with a table that differs between machines.
    content_type = "image/webp"


def publish(*, name: str, content: bytes) -> None:
    """Stores a public WebP file. Raises StorageUnavailable."""
    with _storage_errors():
        default_storage.save(name, _WebP(content))


def delete_public(*names: str) -> None:
    """Deletes public files that exist. Raises StorageUnavailable."""
    with _storage_errors():
        for name in names:
            _delete(storages["default"], name)


def delete_original(*, key: str) -> None:
    """Deletes an original if it exists. Raises StorageUnavailable."""
    with _storage_errors():
        _delete(storages["originals"], key)


def url(*, name: str) -> str:
    """The URL of a public file; it may be relative to the shop's."""
    return default_storage.url(name)


def _delete(storage: Storage, name: str) -> None:
    if isinstance(storage, S3Storage):  # S3Storage.delete ignores a missing bucket as if the file were missing.
        _client(storage).delete_object(Bucket=storage.bucket_name, Key=_name(storage, name))
    else:
        storage.delete(name)


def _read(file: Any, size: int, most: int) -> bytes:
    if size > most:
        raise InvalidInput(f"The file has more than {most} bytes.")
    content: bytes = file.read()
    return content


def _client(storage: S3Storage) -> Any:
    return storage.connection.meta.client


def _name(storage: S3Storage, key: str) -> str:
    return f"{storage.location}/{key}".lstrip("/")


@contextmanager
def _storage_errors() -> Iterator[None]:
    try:
        yield
    except (BotoCoreError, Boto3Error, ClientError, OSError) as error:
        logger.warning("The image storage failed: %s: %s", type(error).__name__, error)
        raise StorageUnavailable("The shop's image storage does not answer. Try again.") from error
