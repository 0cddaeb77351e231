"""Pictures of every kind that comes in, and of some that must not."""

import struct
import zlib
from io import BytesIO

from PIL import Image, ImageCms


def encoded(picture, kind, **options):
    file = BytesIO()
    picture.save(file, kind, **options)
    return file.getvalue()


def drawn(kind="PNG", size=(40, 30), colour="red", **options):
    return encoded(Image.new("RGB", size, colour), kind, **options)


def located(orientation=1):
    """A JPEG, 40 pixels wide and 30 high as it is stored, that tells where it was taken; blue on the left."""
    picture = Image.new("RGB", (40, 30), "red")
    picture.paste("blue", (0, 0, 20, 30))
    exif = Image.Exif()
    exif[0x0112] = orientation
    exif[0x010F] = "CANARY-camera"
    exif.get_ifd(0x8825).update({1: "N", 2: (53.0, 33.0, 6.0), 3: "E", 4: (9.0, 59.0, 36.0)})
    return encoded(picture, "JPEG", exif=exif, quality=95, comment=b"CANARY-comment")


def claiming(width, height):
    """A PNG of a few bytes that says it is so large."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(b"\0" * 1000))
        + chunk(b"IEND", b"")
    )


def animated():
    frames = [Image.new("P", (40, 30), index) for index in range(3)]
    for frame in frames:
        frame.putpalette([255, 0, 0, 0, 255, 0, 0, 0, 255])
    return encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])


def cmyk():
    return encoded(Image.new("CMYK", (40, 30), (0, 255, 255, 0)), "JPEG", quality=95)


def grey_16_bits():
    return encoded(Image.new("I;16", (40, 30), 0x8000), "PNG")


def see_through():
    """A palette whose first colour is transparent; the second, on the right, is red."""
    picture = Image.new("P", (40, 30), 0)
    picture.putpalette([0, 255, 0, 255, 0, 0])
    picture.paste(1, (20, 0, 40, 30))
    return encoded(picture, "PNG", transparency=0)


def with_profile(profile=None):
    return drawn("PNG", icc_profile=profile or ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes())


HTML = b"<!doctype html><script>alert(1)</script>"
SVG = b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>"
NOT_PICTURES = {
    "nothing": b"",
    "HTML": HTML,
    "SVG": SVG,
    "a GIF that is HTML": b"GIF89a<script>alert(1)</script>",
    "a truncated PNG": drawn(size=(300, 300))[:-40],
    "a truncated JPEG": drawn("JPEG", size=(300, 300))[:-40],
    "a beginning": b"\x89PNG\r\n\x1a\n",
    "BMP": drawn("BMP"),
    "TIFF": drawn("TIFF"),
    "ICO": drawn("ICO"),
    "PDF": drawn("PDF"),
    "PostScript": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n",
    "noise": bytes(range(256)) * 40,
}
