"""The documented operations: GraphiQL opens with them, tests execute them, and their SQL budgets are kept."""

import re
from pathlib import Path

from schema.base import ids
from storefront import models

OPERATIONS = Path(__file__).parent.parent / "operations"


def tabs() -> list[dict[str, str]]:
    """A GraphiQL tab for each file of `operations/`, its variables' ids looked up in this shop."""
    return [
        {
            "title": path.stem,
            "query": path.read_text(),
            "variables": _with_ids(variables.read_text()) if (variables := path.with_suffix(".json")).exists() else "",
            "headers": "",
        }
        for path in sorted(OPERATIONS.glob("*.graphql"))
    ]


def _with_ids(variables: str) -> str:
    """The variables, where "variant:SKU" and "shipping:Name" are the ids of what is called so, if there is any."""

    def variant(match: re.Match[str]) -> str:
        pk = models.ProductVariant.objects.filter(sku=match[1]).values_list("pk", flat=True).first()
        return match[0] if pk is None else f'"{ids.encode("ProductVariant", pk)}"'

    def shipping(match: re.Match[str]) -> str:
        pk = models.ShippingMethod.objects.filter(name=match[1]).values_list("pk", flat=True).first()
        return match[0] if pk is None else f'"{ids.encode("ShippingOption", pk)}"'

    return re.sub(r'"shipping:([^"]+)"', shipping, re.sub(r'"variant:([^"]+)"', variant, variables))
