"""Limits on the size of documents and the cost of operations. A fragment is measured once, however often it is used.

A document is measured before validation, which takes time that grows with the square of some of these numbers. An
operation is measured after validation, with its variables.
"""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from django.conf import settings
from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLError,
    GraphQLObjectType,
    GraphQLSchema,
    InlineFragmentNode,
    IntValueNode,
    OperationDefinitionNode,
    SelectionSetNode,
    VariableNode,
    get_named_type,
    get_nullable_type,
    is_list_type,
)

from schema.base.connections import DEFAULT_PAGE, MAX_PAGE

MAX_DEPTH = 20
MAX_ROOT_FIELDS = 20
# Number of items that is assumed for a list without paging, such as a product's variants or a cart's lines.
_UNPAGED = 5


class Bulk(NamedTuple):
    """The size of a document. `repeats` are fields and fragment spreads with the same name as one beside them.
    `fragments` are fragment definitions, fragment spreads and inline fragments."""

    fields: int = 0
    aliases: int = 0
    directives: int = 0
    fragments: int = 0
    repeats: int = 0


MAX_BULK = Bulk(fields=500, aliases=100, directives=50, fragments=150, repeats=30)


def weigh(document: DocumentNode) -> Bulk:
    """Measures a document, which may be invalid."""
    waiting = [part.selection_set for part in document.definitions if hasattr(part, "selection_set")]
    bulk = Counter(
        directives=sum(len(getattr(part, "directives", None) or ()) for part in document.definitions),
        fragments=sum(isinstance(part, FragmentDefinitionNode) for part in document.definitions),
    )
    while waiting:
        beside, names = list(waiting.pop().selections), set()
        for node in beside:  # The list grows in the loop, by the selections of inline fragments.
            bulk["directives"] += len(node.directives)
            match node:
                case InlineFragmentNode():
                    bulk["fragments"] += 1
                    beside += node.selection_set.selections
                    continue
                case FragmentSpreadNode():
                    bulk["fragments"] += 1
                    name = f"...{node.name.value}"
                case FieldNode():
                    bulk["fields"] += 1
                    bulk["aliases"] += node.alias is not None
                    name = (node.alias or node.name).value
                    if node.selection_set:
                        waiting.append(node.selection_set)
            bulk["repeats"] += name in names
            names.add(name)
    return Bulk(**bulk)


def too_bulky(bulk: Bulk) -> GraphQLError | None:
    """The error for a document that is too large, or None."""
    for what, is_, limit in zip(Bulk._fields, bulk, MAX_BULK, strict=True):
        if is_ > limit:
            message = f"The document has too many {what}: {is_}. The limit is {limit}."
            return GraphQLError(message, extensions={"code": "OPERATION_TOO_LARGE"})
    return None


@dataclass(frozen=True, slots=True)
class Size:
    """The size of an operation. `width` is the number of root fields, `cost` an estimate of the number of values in the
    answer."""

    depth: int = 0
    width: int = 0
    cost: int = 0

    def beside(self, other: "Size") -> "Size":
        return Size(max(self.depth, other.depth), self.width + other.width, self.cost + other.cost)


def measure(
    operation: OperationDefinitionNode,
    fragments: dict[str, FragmentDefinitionNode],
    variables: dict[str, Any],
    schema: GraphQLSchema,
) -> Size:
    """Measures an operation of a validated document, so that fragments do not refer to themselves."""
    root = schema.get_root_type(operation.operation)
    return _Scale(schema, fragments, variables).of_selections(operation.selection_set, root)


def refusal(size: Size) -> GraphQLError | None:
    """The error for an operation that is too large, or None."""
    for what, is_, limit in (
        ("deep", size.depth, MAX_DEPTH),
        ("wide", size.width, MAX_ROOT_FIELDS),
        ("costly", size.cost, settings.MAX_QUERY_COST),
    ):
        if is_ > limit:
            message = f"The operation is too {what}: {is_}. The limit is {limit}."
            return GraphQLError(message, extensions={"code": "OPERATION_TOO_LARGE"})
    return None


@dataclass
class _Scale:
    schema: GraphQLSchema
    fragments: dict[str, FragmentDefinitionNode]
    variables: dict[str, Any]
    measured: dict[str, Size] = field(default_factory=dict)

    def of_selections(self, selections: SelectionSetNode | None, parent: Any) -> Size:
        size = Size()
        for selection in selections.selections if selections else ():
            match selection:
                case FieldNode():
                    size = size.beside(self.of_field(selection, parent))
                case InlineFragmentNode():
                    on = selection.type_condition
                    inner = self.schema.get_type(on.name.value) if on else parent
                    size = size.beside(self.of_selections(selection.selection_set, inner))
                case FragmentSpreadNode():
                    size = size.beside(self.of_fragment(selection.name.value))
        return size

    def of_fragment(self, name: str) -> Size:
        if name not in self.measured:
            fragment = self.fragments[name]
            on = self.schema.get_type(fragment.type_condition.name.value)
            self.measured[name] = self.of_selections(fragment.selection_set, on)
        return self.measured[name]

    def of_field(self, node: FieldNode, parent: Any) -> Size:
        definition = getattr(parent, "fields", {}).get(node.name.value)
        # Introspection fields are not data of the shop: their depth is limited, their cost is zero.
        inner_type = get_named_type(definition.type) if definition else None
        inner = self.of_selections(node.selection_set, inner_type)
        times = self.times(node, definition.type, parent) if definition else 0
        return Size(inner.depth + 1, 1, 1 + times * inner.cost)

    def times(self, node: FieldNode, type_: Any, parent: Any) -> int:
        """How many items the answer has below a field."""
        named = get_named_type(type_)
        if isinstance(named, GraphQLObjectType) and named.name.endswith("Connection"):
            sizes = [self.number(argument.value) for argument in node.arguments if argument.name.value in _PAGE_SIZES]
            return max(sizes, default=DEFAULT_PAGE)
        is_unpaged = is_list_type(get_nullable_type(type_)) and not parent.name.endswith("Connection")
        return _UNPAGED if is_unpaged else 1

    def number(self, value: Any) -> int:
        if isinstance(value, VariableNode):
            given = self.variables.get(value.name.value, MAX_PAGE)  # The variable may have a default.
        else:
            given = int(value.value) if isinstance(value, IntValueNode) else None
        # The field itself refuses a page size outside the limits.
        return min(max(given, 0), MAX_PAGE) if isinstance(given, int) else DEFAULT_PAGE


_PAGE_SIZES = {"first", "last"}
