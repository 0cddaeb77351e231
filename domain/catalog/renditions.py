"""Decodes uploaded images and renders them as WebP in the shop's sizes.

Only the pixels of a file are kept: no metadata (such as the place it was taken), no colour profile, no trailing bytes.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from io import BytesIO
from threading import Lock

from django.conf import settings
from PIL import Image, ImageCms, ImageOps

from domain.base.errors import InvalidInput

CONTENT_TYPES = ("image/png", "image/jpeg", "image/webp", "image/gif")
_FORMATS = ("PNG", "JPEG", "WEBP", "GIF")


class ImageSize(Enum):
    THUMBNAIL = "THUMBNAIL"
    CARD = "CARD"
    DETAIL = "DETAIL"


# The longer side, in pixels. Smaller images are not enlarged.
SIDES = {ImageSize.THUMBNAIL: 200, ImageSize.CARD: 600, ImageSize.DETAIL: 1600}
_SRGB = ImageCms.createProfile("sRGB")
# Rendering MAX_IMAGE_PIXELS takes some hundred megabytes, so each process renders one image at a time.
_RENDERING = Lock()


@dataclass(frozen=True, slots=True)
class Rendered:
    """The original's width and height, after rotation by its EXIF data, and a file for each requested size."""

    width: int
    height: int
    files: dict[ImageSize, bytes]


def render(*, content: bytes, sizes: Iterable[ImageSize]) -> Rendered:
    """Renders a PNG, JPEG, WebP or GIF (the first frame of an animation) in these sizes.

    Raises InvalidInput for other and broken files, and for more than MAX_IMAGE_PIXELS.
    """
    with _RENDERING:
        try:
            with Image.open(BytesIO(content), formats=_FORMATS) as picture:
                width, height = picture.size
                if width * height > settings.MAX_IMAGE_PIXELS:
                    raise _too_many_pixels()
                # JPEGs can be decoded at 1/2, 1/4 or 1/8: here not below twice the largest size.
                picture.draft(None, (2 * max(SIDES.values()),) * 2)
                picture.load()
                upright = ImageOps.exif_transpose(picture)
                is_turned = _is_wide(upright.size) != _is_wide(picture.size)
                plain = _plain(upright)
            files = {size: _webp(plain, SIDES[size]) for size in sizes}
        except InvalidInput:
            raise
        except (Image.DecompressionBombError, Image.DecompressionBombWarning):
            raise _too_many_pixels() from None
        except Exception:  # Decoders raise many kinds of errors for broken files.
            raise InvalidInput("The file is not a readable image (PNG, JPEG, WebP or GIF).") from None
    return Rendered(*((height, width) if is_turned else (width, height)), files)


def _too_many_pixels() -> InvalidInput:
    return InvalidInput(f"The image has more than {settings.MAX_IMAGE_PIXELS} pixels.")


def _is_wide(size: tuple[int, int]) -> bool:
    return size[0] > size[1]


def _plain(picture: Image.Image) -> Image.Image:
    """The image in sRGB with 8 bits per channel, with its transparency."""
    if picture.mode.startswith("I"):  # 16-bit grey, which `convert` would clip at 255.
        picture = picture.point(lambda value: value * (1 / 256)).convert("L")
    mode = "RGBA" if picture.has_transparency_data else "RGB"
    if picture.mode not in {"RGB", "RGBA", "CMYK", "L"}:
        picture = picture.convert(mode)
    if profile := picture.info.get("icc_profile"):
        try:
            source = ImageCms.ImageCmsProfile(BytesIO(profile))
            picture = ImageCms.profileToProfile(picture, source, _SRGB, outputMode=mode) or picture
        except (ImageCms.PyCMSError, OSError):
            pass  # Ignore a broken or unsuitable profile.
    return picture.convert(mode)


def _webp(picture: Image.Image, side: int) -> bytes:
    small, file = picture.copy(), BytesIO()
    small.thumbnail((side, side), reducing_gap=2.0)
    small.save(file, "WEBP", quality=82, method=4)
    return file.getvalue()
