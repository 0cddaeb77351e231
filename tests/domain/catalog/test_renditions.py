"""Whatever is put in, what comes out is pixels, upright, in WebP, no larger than it may be."""

from io import BytesIO

import pytest
from PIL import Image, ImageCms

from domain.base.errors import InvalidInput
from domain.catalog import renditions
from domain.catalog.renditions import ImageSize
from tests.pictures import (
    NOT_PICTURES,
    animated,
    claiming,
    cmyk,
    drawn,
    encoded,
    grey_16_bits,
    located,
    see_through,
    with_profile,
)


def rendered(content, size=ImageSize.DETAIL):
    file = renditions.render(content=content, sizes=[size]).files[size]
    picture = Image.open(BytesIO(file))
    assert (picture.format, picture.n_frames, sorted(picture.info.keys() & {"exif", "xmp", "icc_profile"})) == (
        "WEBP", 1, [],
    )  # fmt: skip
    return picture


def colour(picture, x, y):
    """The nearest of black and white, or of what else is full or nothing in each channel."""
    return tuple(round(value / 255) for value in picture.convert("RGB").getpixel((x, y)))


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF"])
def test_a_picture_of_each_kind_becomes_webp(kind):
    picture = rendered(drawn(kind))
    assert (picture.size, colour(picture, 20, 15)) == ((40, 30), (1, 0, 0))


@pytest.mark.parametrize(
    ("size", "expected"),
    [(ImageSize.THUMBNAIL, (200, 100)), (ImageSize.CARD, (600, 300)), (ImageSize.DETAIL, (1600, 800))],
)
@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_a_large_one_fits_its_size_and_keeps_its_proportions(kind, size, expected):
    content = drawn(kind, size=(4000, 2000))
    assert rendered(content, size).size == expected
    told = renditions.render(content=content, sizes=[size])
    assert (told.width, told.height) == (4000, 2000)


def test_a_small_one_is_not_enlarged():
    files = renditions.render(content=drawn(size=(150, 90)), sizes=ImageSize).files
    assert [Image.open(BytesIO(file)).size for file in files.values()] == [(150, 90)] * 3


def test_one_that_is_all_width_is_still_a_picture():
    assert rendered(drawn(size=(5000, 1))).size == (1600, 1)


@pytest.mark.parametrize("content", NOT_PICTURES.values(), ids=NOT_PICTURES.keys())
def test_what_is_no_picture_is_refused(content):
    with pytest.raises(InvalidInput, match="not a readable image"):
        renditions.render(content=content, sizes=ImageSize)


@pytest.mark.parametrize("size", [(50_001, 1_000), (10_000, 10_000), (60_000, 60_000), (2**31 - 1, 2**31 - 1)])
def test_a_bomb_of_pixels_is_refused_before_it_is_drawn(size):
    with pytest.raises(InvalidInput, match="more than 50000000 pixels"):
        renditions.render(content=claiming(*size), sizes=ImageSize)


def test_the_most_pixels_are_a_setting(settings):
    settings.MAX_IMAGE_PIXELS = 1199
    with pytest.raises(InvalidInput, match="more than 1199 pixels"):
        renditions.render(content=drawn(), sizes=ImageSize)
    settings.MAX_IMAGE_PIXELS = 1200
    renditions.render(content=drawn(), sizes=ImageSize)


def test_nothing_tells_where_or_by_what_it_was_taken():
    content = located()
    assert b"CANARY" in content
    for file in renditions.render(content=content, sizes=ImageSize).files.values():
        assert not any(word in file for word in (b"CANARY", b"Exif", b"EXIF", b"GPS"))


@pytest.mark.parametrize(
    ("orientation", "size", "blue"),
    [(1, (40, 30), (2, 15)), (3, (40, 30), (38, 15)), (6, (30, 40), (15, 2)), (8, (30, 40), (15, 38))],
)
def test_a_camera_that_was_held_otherwise_is_turned_upright(orientation, size, blue):
    content = located(orientation)
    picture, told = rendered(content), renditions.render(content=content, sizes=())
    assert (picture.size, (told.width, told.height)) == (size, size)
    assert colour(picture, *blue) == (0, 0, 1)
    assert colour(picture, size[0] - 1 - blue[0], size[1] - 1 - blue[1]) == (1, 0, 0)


def test_a_large_one_that_is_turned_is_told_by_its_own_size():
    exif = Image.Exif()
    exif[0x0112] = 6
    told = renditions.render(content=drawn("JPEG", size=(8000, 4000), exif=exif), sizes=[ImageSize.CARD])
    assert (told.width, told.height) == (4000, 8000)
    assert Image.open(BytesIO(told.files[ImageSize.CARD])).size == (300, 600)


def test_of_an_animation_the_first_frame_is_shown():
    assert colour(rendered(animated()), 20, 15) == (1, 0, 0)


def test_what_was_made_for_print_has_its_colours_on_screen():
    assert colour(rendered(cmyk()), 20, 15) == (1, 0, 0)


def test_16_bits_of_grey_are_grey():
    assert rendered(grey_16_bits()).convert("L").getpixel((20, 15)) == pytest.approx(128, abs=3)


def test_what_one_could_see_through_can_be_seen_through():
    picture = rendered(see_through())
    assert picture.mode == "RGBA"
    assert picture.getpixel((3, 15))[3] == 0
    assert picture.getpixel((37, 15))[3] == 255
    assert colour(picture, 37, 15) == (1, 0, 0)


def test_grey_that_one_can_see_through_too():
    picture = rendered(encoded(Image.new("LA", (40, 30), (200, 0)), "PNG"))
    assert picture.getpixel((20, 15))[3] == 0


def _profile():
    """One in which red and green have changed places."""
    xyz = ImageCms.createProfile("sRGB")
    profile = bytearray(ImageCms.ImageCmsProfile(xyz).tobytes())
    red, green = profile.index(b"rXYZ"), profile.index(b"gXYZ")
    profile[red : red + 4], profile[green : green + 4] = b"gXYZ", b"rXYZ"
    return bytes(profile)


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P"])
def test_a_profile_is_applied_and_left_out(mode):
    picture = Image.new("RGB", (40, 30), "red").convert(mode)
    assert colour(rendered(encoded(picture, "PNG", icc_profile=_profile())), 20, 15) == (0, 1, 0)


@pytest.mark.parametrize("profile", [b"no profile", None], ids=["junk", "of another kind of picture"])
def test_a_profile_that_tells_nothing_is_left_out(profile):
    assert colour(rendered(with_profile(profile)), 20, 15) == (1, 0, 0)
