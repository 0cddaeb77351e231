"""Pictures as bytes: looked into, whatever they are said to be, and rendered anew, as WebP, in the sizes of the shop.

Nothing of a file comes out but its pixels: no metadata (where it was taken), no profile, no trailing bytes.
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


# The longer side, in pixels; a smaller picture stays as it is.
SIDES = {ImageSize.THUMBNAIL: 200, ImageSize.CARD: 600, ImageSize.DETAIL: 1600}
_SRGB = ImageCms.createProfile("sRGB")
# A picture of MAX_IMAGE_PIXELS takes some hundred megabytes while it is rendered: one at a time in a process.
_RENDERING = Lock()


@dataclass(frozen=True, slots=True)
class Rendered:
    """A picture's own width and height, turned upright, and the file of each size asked for."""

    width: int
    height: int
    files: dict[ImageSize, bytes]


def render(*, content: bytes, sizes: Iterable[ImageSize]) -> Rendered:
    """Reads a PNG, JPEG, WebP or GIF (of an animation, its first frame) and renders it in these sizes.

    Raises InvalidInput for anything else, for what is cut off, and for more than MAX_IMAGE_PIXELS.
    """
    with _RENDERING:
        try:
            with Image.open(BytesIO(content), formats=_FORMATS) as picture:
                width, height = picture.size
                if width * height > settings.MAX_IMAGE_PIXELS:
                    raise _too_many_pixels()
                # A JPEG can be read at a half, a quarter or an eighth: but not smaller than twice what is wanted.
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
        except Exception:  # Decoders trip over a broken file in ways of their own.
            raise InvalidInput("Not a picture that can be read (PNG, JPEG, WebP, GIF).") from None
    return Rendered(*((height, width) if is_turned else (width, height)), files)


def _too_many_pixels() -> InvalidInput:
    return InvalidInput(f"More than {settings.MAX_IMAGE_PIXELS} pixels.")


def _is_wide(size: tuple[int, int]) -> bool:
    return size[0] > size[1]


def _plain(picture: Image.Image) -> Image.Image:
    """The picture in sRGB, with 8 bits a channel, transparent where it was."""
    if picture.mode.startswith("I"):  # 16 bits of grey, which `convert` would cut off at 255.
        picture = picture.point(lambda value: value * (1 / 256)).convert("L")
    mode = "RGBA" if picture.has_transparency_data else "RGB"
    if picture.mode not in {"RGB", "RGBA", "CMYK", "L"}:
        picture = picture.convert(mode)
    if profile := picture.info.get("icc_profile"):
        try:
            source = ImageCms.ImageCmsProfile(BytesIO(profile))
            picture = ImageCms.profileToProfile(picture, source, _SRGB, outputMode=mode) or picture
        except (ImageCms.PyCMSError, OSError):
            pass  # A profile that is broken, or of another kind of picture, tells nothing.
    return picture.convert(mode)


def _webp(picture: Image.Image, side: int) -> bytes:
    small, file = picture.copy(), BytesIO()
    small.thumbnail((side, side), reducing_gap=2.0)
    small.save(file, "WEBP", quality=82, method=4)
    return file.getvalue()
