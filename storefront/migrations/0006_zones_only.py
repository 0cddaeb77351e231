import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("storefront", "0005_countries_to_zones")]
    operations = [
        migrations.RemoveField(model_name="shippingmethod", name="countries"),
        migrations.AlterField(
            model_name="shippingmethod",
            name="zone",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT, related_name="methods", to="storefront.shippingzone"
            ),
        ),
    ]
