"""A table for webhook events that wait for verification by their gateway."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("storefront", "0003_catalogue_triggers")]
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
                (
                    "signature_headers",
                    models.JSONField(help_text="The headers that the gateway needs to verify the body."),
                ),
                ("body", models.TextField()),
                ("received_at", models.DateTimeField()),
            ],
        ),
    ]
