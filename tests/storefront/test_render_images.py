"""`manage.py render_images`: every size of what an earlier version imported."""

import pytest
from django.core.management import call_command

from domain.catalog import media
from storefront import models
from tests.factories import ImageFactory
from tests.pictures import drawn

pytestmark = pytest.mark.django_db


def test_every_picture_gets_its_sizes_and_what_cannot_is_told(files, capsys, delivered):
    for name in ("products/a.png", "products/b.png"):
        media.publish(name=name, content=drawn())
        ImageFactory(file=name)
    ImageFactory(file="products/none.png")
    with pytest.raises(SystemExit):
        call_command("render_images")
    told = capsys.readouterr()
    assert told.out == "Rendered: 2. Failed: 1.\n"
    assert told.err.startswith("products/none.png: ")
    delivered()
    assert (len(files.public), len(files.originals)) == (6, 2)
    models.Image.objects.get(file="products/none.png").delete()
    call_command("render_images")
    assert capsys.readouterr().out == "Rendered: 0. Failed: 0.\n"
