from django.apps import AppConfig
from django.db.models.signals import post_migrate


class StorefrontConfig(AppConfig):
    name = "storefront"
    verbose_name = "Shop"

    def ready(self) -> None:
        from storefront.groups import make_missing_groups  # noqa: PLC0415 (models are there only now)

        post_migrate.connect(make_missing_groups, sender=self)
