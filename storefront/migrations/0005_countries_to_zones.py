from django.db import migrations
from django.db.models import F


def move(apps, schema_editor):
    """Each list of countries that shipping methods had becomes a zone; orders show net amounts."""
    ShippingMethod = apps.get_model("storefront", "ShippingMethod")
    ShippingZone = apps.get_model("storefront", "ShippingZone")
    zones = {}
    for method in ShippingMethod.objects.order_by("pk"):
        countries = sorted(set(method.countries or []))
        key = tuple(countries)
        if key not in zones:
            name = f"Zone {len(zones) + 1}" if countries else "Everywhere"
            zones[key] = ShippingZone.objects.create(name=name, countries=countries)
        method.zone = zones[key]
        method.save(update_fields=["zone"])
    # Until now nothing was taken for tax.
    apps.get_model("storefront", "Order").objects.update(net=F("total") - F("tax"))
    apps.get_model("storefront", "OrderLine").objects.update(net=F("total"))


def move_back(apps, schema_editor):
    for method in apps.get_model("storefront", "ShippingMethod").objects.select_related("zone"):
        method.countries = method.zone.countries if method.zone else []
        method.save(update_fields=["countries"])
    apps.get_model("storefront", "ShippingMethod").objects.update(zone=None)
    apps.get_model("storefront", "ShippingZone").objects.all().delete()


class Migration(migrations.Migration):
    dependencies = [("storefront", "0004_checkout")]
    operations = [migrations.RunPython(move, move_back)]
