"""Events of PayPal wait here until PayPal has verified them."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("storefront", "0021_terms_version")]
    operations = [
        migrations.CreateModel(
            name="UnverifiedEvent",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "provider",
                    models.CharField(
                        choices=[
                            ("TEST", "test gateway (no money moves)"),
                            ("STRIPE", "Stripe"),
                            ("PAYPAL", "PayPal"),
                            ("FLUTTERWAVE", "Flutterwave"),
                        ],
                        max_length=20,
                    ),
                ),
                ("proof", models.JSONField(help_text="The headers that the gateway needs to verify the body.")),
                ("body", models.TextField()),
                ("received_at", models.DateTimeField()),
            ],
        ),
    ]
