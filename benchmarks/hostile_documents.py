"""A hundred kinds of hostile documents: `hostile.py` sends them; tests/schema/test_hostile.py has each refused."""


def fields(number: int, each: str = "a{n}: name") -> str:
    return " ".join(each.format(n=n) for n in range(number))


def nested(depth: int, opening: str, inner: str, closing: str = "}") -> str:
    return opening * depth + inner + closing * depth


def chain(depth: int, link: str, last: str, on: str = "Product") -> str:
    """Fragments, each of which spreads the next one as `link` says."""
    parts = [f"fragment F{n} on {on} {{ {link.format(next=f'...F{n + 1}')} }}" for n in range(depth)]
    return " ".join([*parts, f"fragment F{depth} on {on} {{ {last} }}"])


def products(inner: str) -> str:
    return f"{{ products(first: 100) {{ nodes {{ {inner} }} }} }}"


FAN = "a: variants {{ product {{ {next} }} }} b: variants {{ product {{ {next} }} }}"
SEARCH = 'a{n}: products(search: "x") {{ totalCount }}'
KINDS = {
    # ── fragments ──
    **{f"a fan of fragments {n} deep": products("...F0") + chain(n, FAN, "id") for n in (10, 20, 30, 60, 100, 300)},
    **{
        f"fragments {n} deep that spread the next one twice": products("...F0") + chain(n, "{next} {next}", "id")
        for n in (30, 75, 150, 300)
    },
    **{
        f"fragments {n} deep that spread the next one twice in line": products("...F0")
        + chain(n, "... {{ {next} }} ... {{ {next} }}", "id")
        for n in (20, 40, 100, 300)
    },
    **{
        f"a fragment that is spread {n} times": f"{{ shop {{ {'...F ' * n} }} }} fragment F on Shop {{ name }}"
        for n in (100, 900, 10_000)
    },
    **{
        f"{n} fragments side by side": f"{{ shop {{ {fields(n, '...F{n}')} }} }} "
        + fields(n, "fragment F{n} on Shop {{ name }}")
        for n in (80, 200, 2_000)
    },
    **{
        f"{n} fragments that nobody spreads": "{ shop { name } } " + fields(n, "fragment F{n} on Shop {{ name }}")
        for n in (10, 250, 2_000)
    },
    **{
        f"a circle of {n} fragments": "{ shop { ...F0 } } "
        + " ".join(f"fragment F{i} on Shop {{ ...F{(i + 1) % n} }}" for i in range(n))
        for n in (1, 2, 20, 200)
    },
    **{
        f"{n} fragments that all spread each other": "{ shop { ...F0 } } "
        + " ".join(f"fragment F{i} on Shop {{ {fields(n, '...F{n}')} }}" for i in range(n))
        for n in (8, 11, 28, 100)
    },
    **{f"{n} fragments in line": "{ shop { " + "... { name } " * n + "} }" for n in (40, 160, 400, 5_000)},
    **{f"fragments in line {n} deep": nested(n, "{ ... ", "{ shop { name } }") for n in (160, 500, 5_000)},
    "fragments of one name": "{ shop { ...F } } " + "fragment F on Shop { name } " * 200,
    "a fragment that is not there": "{ shop { " + fields(400, "...F{n}") + " } }",
    # ── breadth ──
    **{f"{n} aliases of one field": f"{{ shop {{ {fields(n)} }} }}" for n in (101, 400, 660, 10_000)},
    **{f"{n} aliases at the root": f"{{ {fields(n, 'a{n}: shop {{ name }}')} }}" for n in (21, 101, 280, 10_000)},
    **{f"{n} searches at once": f"{{ {fields(n, SEARCH)} }}" for n in (21, 99, 150)},
    **{f"one field {n} times": "{ shop { " + "name " * n + "} }" for n in (32, 500, 1_990, 20_000)},
    **{f"one root field {n} times": "{ " + "shop { name } " * n + "}" for n in (32, 400, 5_000)},
    **{f"one list {n} times": "{ " + "products { nodes { id } } " * n + "}" for n in (32, 200, 280, 3_000)},
    "one list in one list, 17 times 17 times": "{ " + ("products { " + "nodes { id } " * 17 + "} ") * 17 + "}",
    "one name for several fields": "{ shop { a: name " + "a: currency " * 300 + "} }",
    **{f"{n} fields that are not there": f"{{ shop {{ {fields(n, 'nam{n}')} }} }}" for n in (400, 1_900, 20_000)},
    **{f"{n} operations": fields(n, "query Q{n} {{ shop {{ name }} }}") for n in (300, 3_000)},
    "operations of one name": "query Q { shop { name } } " * 300,
    # ── depth ──
    **{
        f"{what} {n} deep": nested(n, opening, inner)
        for what, opening, inner in (
            ("fields that are not there", "{ a ", "{ b }"),
            ("categories", "{ children ", "{ name }"),
        )
        for n in (50, 500, 5_000)
    },
    **{
        f"categories {n} deep": "{ categories " + nested(n, "{ children ", "{ name }") + "}"
        for n in (21, 200, 400, 5_000)
    },
    **{
        f"lists in lists {n} deep": products(nested(n, "variants { product { ", "id", "} }")) for n in (3, 10, 100, 400)
    },
    **{
        f"a hundred times a hundred times a hundred, {n}": products(
            nested(n, "variants { product { categories { children { ", "id", "} } } }")
        )
        for n in (2, 5, 20)
    },
    **{f"an argument {n} deep": f"{{ product(slug: {'[' * n}{']' * n}) {{ id }} }}" for n in (50, 900, 5_000)},
    **{
        f"an object {n} deep": f"{{ products(filter: {'{price: ' * n}1{'}' * n}) {{ totalCount }} }}"
        for n in (50, 500, 5_000)
    },
    **{f"a type {n} deep": f"query ($a: {'[' * n}Int{']' * n}) {{ shop {{ name }} }}" for n in (50, 900, 5_000)},
    # ── directives, variables, literals ──
    **{f"{n} directives on a field": "{ shop { name " + "@include(if: true) " * n + "} }" for n in (51, 280, 5_000)},
    "directives on every field": f"{{ shop {{ {fields(60, 'a{n}: name @skip(if: false)')} }} }}",
    "directives that are not there": "{ shop { name " + fields(500, "@no{n}") + " } }",
    "directives on an operation": "query " + "@inContext " * 900 + "{ shop { name } }",
    **{f"{n} variables": f"query ({fields(n, '$a{n}: Int')}) {{ shop {{ name }} }}" for n in (100, 450, 5_000)},
    "variables that are not declared": f"{{ {fields(200, 'products(first: $a{n}) {{ totalCount }}')} }}",
    "arguments that are not there": f"{{ shop({fields(600, 'a{n}: 1')}) {{ name }} }}",
    "one argument many times": "{ product(" + 'slug: "a" ' * 600 + ") { id } }",
    "a list of many values": '{ products(filter: {tagged: ["' + '", "'.join(["a"] * 1_900) + '"]}) { totalCount } }',
    "an object of many keys": f"{{ products(filter: {{{fields(600, 'a{n}: 1')}}}) {{ totalCount }} }}",
    "a literal of 90 kB": '{ product(slug: "' + "x" * 90_000 + '", id: true) { id } }',
    "a literal of 1 MB": '{ product(slug: "' + "x" * 1_000_000 + '") { id } }',
    "a block of 90 kB": '{ product(slug: """' + " \n" * 45_000 + '""", id: 1) { id } }',
    "a number of 50,000 digits": "{ products(first: " + "9" * 50_000 + ") { totalCount } }",
    "a name of 90 kB": "{ " + "x" * 90_000 + " }",
    "90 kB of commas": "{ shop { nam" + "," * 90_000 + "} }",
    "90 kB of comments": "{ shop { nam\n" + "#x\n" * 30_000 + "} }",
    "90 kB of escapes": '{ product(slug: "' + "\\u0041" * 15_000 + '", id: 1) { id } }',
    "90 kB of opening brackets": "{" * 90_000,
    "90 kB of quotes": '"' * 90_000,
    "introspection in circles": "{ __schema { types { " + nested(20, "fields { type { ", "name", "} }") + " } } }",
}
