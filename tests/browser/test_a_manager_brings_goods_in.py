"""A catalogue manager's file in a real browser: sent, looked at, taken; and who did what."""

import pytest
from django.contrib.auth.models import Group
from selenium.webdriver.common.by import By

from storefront import groups, models
from tests.browser.page import PASSWORD, PHONE

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def manager(db):
    groups.make_missing_groups()
    user = models.User.objects.create_user("mo@example.com", PASSWORD, name="Mo Manager", is_staff=True)
    user.groups.add(Group.objects.get(name="catalogue manager"))
    return user


def test_a_manager_brings_goods_in_from_a_file(page, manager, delivered, tmp_path):
    file = tmp_path / "export.csv"
    file.write_text("Handle,Title,Variant SKU,Variant Price\nmug,Mug,MUG,14.50\ncup,Cup,CUP,much\n")
    page.open("/admin/storefront/product/")
    page.type("username", manager.email)
    page.type("password", PASSWORD + "\n")

    # Above the list of products is how to get more of them in. Mo has a look first.
    page.follow("/import/add/")
    page.browser.find_element(By.NAME, "file").send_keys(str(file))
    page.button("Upload").click()
    page.reads("Checking the file. Nothing is changed.")
    delivered()

    # The page looks again by itself, and tells of a price that is none. The rest is taken.
    page.reads("Variant Price: 'much' is not a number.")
    assert not models.Product.objects.exists()
    page.find(By.CSS_SELECTOR, "form[action$='/run/'] button").click()
    page.reads("Importing.")
    delivered()
    page.reads("Imported.")
    assert models.Product.objects.filter(slug="mug").exists()

    # What came of it is told, on a phone too.
    row = models.Import.objects.get()
    change = models.Change.objects.get(label="Mug")
    for path in ("import/", "import/add/", f"import/{row.pk}/change/", "change/", f"change/{change.pk}/change/"):
        page.open(f"/admin/storefront/{path}", size=PHONE)
        assert page.fits(), path
    page.reads("mo@example.com")
    page.reads("14.50")
    assert page.complaints() == []
