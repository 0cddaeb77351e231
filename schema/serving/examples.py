"""The documented operations: GraphiQL opens with them, and tests run them and check their SQL budgets."""

import re
from pathlib import Path

from schema.base import ids
from storefront import models

OPERATIONS = Path(__file__).parent.parent / "operations"


def tabs() -> list[dict[str, str]]:
    """One GraphiQL tab per file of `operations/`, with the ids of this shop in the variables."""
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
    """Replaces "variant:SKU" and "shipping:Name" by the ids of that variant and shipping method, if they exist."""

    def variant(match: re.Match[str]) -> str:
        pk = models.ProductVariant.objects.filter(sku=match[1]).values_list("pk", flat=True).first()
        return match[0] if pk is None else f'"{ids.encode("ProductVariant", pk)}"'

    def shipping(match: re.Match[str]) -> str:
        pk = models.ShippingMethod.objects.filter(name=match[1]).values_list("pk", flat=True).first()
        return match[0] if pk is None else f'"{ids.encode("ShippingOption", pk)}"'

    return re.sub(r'"shipping:([^"]+)"', shipping, re.sub(r'"variant:([^"]+)"', variant, variables))
