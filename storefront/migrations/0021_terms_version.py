"""Tax rates and ways of shipping make a new version of the catalogue too, so that a process may keep them in memory."""

from importlib import import_module

from django.db import migrations

TABLES = ["taxrate", "shippingzone", "shippingmethod", "weightband"]
catalogue = import_module("storefront.migrations.0018_catalogue_version")


def forwards(apps, schema_editor):
    for table in TABLES:
        catalogue.watch(schema_editor, table)


def backwards(apps, schema_editor):
    for table in TABLES:
        catalogue.unwatch(schema_editor, table)


class Migration(migrations.Migration):
    dependencies = [("storefront", "0020_search_names")]
    operations = [migrations.RunPython(forwards, backwards)]
