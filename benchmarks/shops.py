"""The work items, as each shop is asked for them; and what of its catalogue they ask for."""

import json
from pathlib import Path
from urllib.parse import urlencode
from urllib.request import Request, urlopen

import psycopg

from benchmarks.load import Flow, Plan, Step, documents

HERE = Path(__file__).parent
OURS, THEIRS = HERE / "operations", HERE / "vendure/operations"
PAGE = 24
TOKEN = "vendure-auth-token"  # noqa: S105 (a header's name)
DEEP = 1_000
# Goods with so many pieces do not run out under the load.
PLENTY = 50
MIX = {"W1": 30, "W2": 30, "W5": 30, "W3": 8, "W4": 2}
# The price of what is sold out: nobody has it in a cart, where a new price would have to be shown first.
OUR_WRITE = """UPDATE storefront_productvariant SET price = price + 0.01 WHERE id = (
    SELECT variant_id FROM storefront_stock WHERE on_hand = 0 ORDER BY variant_id OFFSET %s LIMIT 1)"""
THEIR_WRITE = """UPDATE product_variant_price SET price = price + 1 WHERE "variantId" = (
    SELECT "productVariantId" FROM stock_level WHERE "stockOnHand" = 0 ORDER BY id OFFSET %s LIMIT 1)"""
FILTER = {"categorySlug": "shirt", "price": {"gte": "50", "lte": "150"}}


def commercia(url: str, *, deep: int = 0) -> tuple[dict[str, Flow], Plan]:
    """The items by name, and a plan without flows, for a shop that is up. `deep` products lie before the deep page."""
    list_, page, search, add, buy = (
        documents(OURS / f"{name}.graphql") for name in ("w1-list", "w2-product", "w5-search", "w3-add", "w4-buy")
    )
    goods = _goods(url)
    lines = [{"variantId": "%{variant}", "quantity": 1}, {"variantId": "%{other}", "quantity": 1}]
    items = '"nodes":[{'
    steps = {
        "W1": [Step(list_["List"], expect=items)],
        "W2": [Step(page["Page"], {"slug": "%{slug}"}, expect='"variants":[{')],
        "W3": [Step(add["Add"], {"lines": lines[:1]}, expect='"lines":[{')],
        "W4": [
            Step(add["Add"], {"lines": lines}, {"cart": "cartCode"}),
            Step(buy["Address"], {"cart": "%{cart}", "email": "%{buyer}@shop.example"}, {"option": "optionId"}),
            Step(buy["Ship"], {"cart": "%{cart}", "option": "%{option}"}, {"total": "total"}),
            Step(buy["Place"], {"cart": "%{cart}", "total": "%{total}"}, {"order": "orderId", "receipt": "receipt"}),
            Step(buy["Pay"], {"order": "%{order}", "receipt": "%{receipt}"}, expect='"state":"PAID"'),
        ],
        "W5": [Step(search["Search"], {"words": "shirt"}, expect=items)],
        "filtered": [Step(list_["List"], {"filter": FILTER}, expect=items)],
    }
    if deep:
        steps["deep"] = [Step(list_["List"], {"after": _cursor(url, deep)}, expect=items)]
    refusals = ['"errors":', '"userErrors":[{']
    return _flows(steps), Plan(url, values=_halves(*goods), refusals=refusals)


def vendure(url: str, database: str, *, deep: int = 0) -> tuple[dict[str, Flow], Plan]:
    """The same. W1 comes in two ways: `W1` is its search index, `products` its tables."""
    list_, products, page, search, add, buy = (
        documents(THEIRS / f"{name}.graphql")
        for name in ("w1-search", "w1-products", "w2-product", "w5-search", "w3-add", "w4-buy")
    )
    lines = [{"productVariantId": "%{variant}", "quantity": 1}, {"productVariantId": "%{other}", "quantity": 1}]
    items, order = '"items":[{', '"order":{"code"'
    steps = {
        "W1": [Step(list_["List"], expect=items)],
        "products": [Step(products["Products"], expect=items)],
        "W2": [Step(page["Page"], {"slug": "%{slug}"}, expect='"variants":[{')],
        "W3": [Step(add["Add"], {"lines": lines[:1]}, expect=order)],
        "W4": [
            Step(add["Add"], {"lines": lines}, expect=order),
            Step(buy["Address"], {"email": "%{buyer}@shop.example"}),
            Step(buy["Options"], pick={"option": "optionId"}),
            Step(buy["Ship"], {"option": ["%{option}"]}),
            Step(buy["Pay"], expect='"state":"PaymentSettled"'),
        ],
        "W5": [Step(search["Search"], {"words": "shirt"}, expect=items)],
        "deep": [Step(products["Products"], {"skip": deep}, expect=items)],
    }
    with psycopg.connect(database) as connection:
        slugs = [slug for (slug,) in connection.execute("SELECT slug FROM product_translation ORDER BY id LIMIT 1000")]
        plenty = 'SELECT "productVariantId"::text FROM stock_level WHERE "stockOnHand" >= %s ORDER BY id LIMIT 5000'
        variants = [variant for (variant,) in connection.execute(plenty, [PLENTY])]
    refusals = ['"errors":', '"errorCode":']
    return _flows(steps), Plan(url, values=_halves(slugs, variants), refusals=refusals, token=TOKEN)


def first(who: str) -> Step:
    """W1, of a shop of which nothing is known yet."""
    file = THEIRS / "w1-search.graphql" if who == "vendure" else OURS / "w1-list.graphql"
    return Step(documents(file)["List"])


def address(url: str, step: Step) -> str:
    """By which a step is asked for by GET."""
    return f"{url}?{urlencode({'query': step.document, 'variables': json.dumps(step.variables)})}"


def _flows(steps: dict[str, list[Step]]) -> dict[str, Flow]:
    return {name: Flow(name, found) for name, found in steps.items()}


def _halves(slugs: list[str], variants: list[str]) -> dict[str, list[str]]:
    """Two lists of goods without one in common, so that a cart's two lines are never one."""
    return {"slug": slugs, "variant": variants[::2], "other": variants[1::2]}


def _goods(url: str) -> tuple[list[str], list[str]]:
    """Slugs of products, and ids of variants that are no rarity."""
    query = """query($after: String) { products(first: 100, after: $after) {
        nodes { slug variants { id availability } } pageInfo { endCursor } } }"""
    slugs, variants, after = [], [], None
    for _ in range(10):
        page = _ask(url, query, after=after)["products"]
        slugs += [product["slug"] for product in page["nodes"]]
        found = [variant for product in page["nodes"] for variant in product["variants"]]
        variants += [variant["id"] for variant in found if variant["availability"] == "IN_STOCK"]
        after = page["pageInfo"]["endCursor"]
        if len(page["nodes"]) < 100:
            break
    return slugs, variants


def _cursor(url: str, number: int) -> str:
    """The cursor of the product with that number in the list."""
    query = """query($after: String, $first: Int!) {
        products(first: $first, after: $after) { pageInfo { endCursor hasNextPage } } }"""
    after = None
    while number:
        step = min(100, number)
        info = _ask(url, query, after=after, first=step)["products"]["pageInfo"]
        if not info["hasNextPage"]:
            raise RuntimeError("There are too few products for a deep page.")
        after, number = info["endCursor"], number - step
    return str(after)


def _ask(url: str, query: str, **variables: object) -> dict:
    body = json.dumps({"query": query, "variables": variables}).encode()
    with urlopen(Request(url, body, {"Content-Type": "application/json"}), timeout=60) as response:  # noqa: S310
        answer = json.load(response)
    if answer.get("errors"):
        raise RuntimeError(f"{query}: {answer['errors']}")
    return answer["data"]
