"""Public operations: those that select only root fields marked PUBLIC. Their answers are the same for everyone."""

from collections.abc import Mapping
from typing import Any

from graphql import (
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLField,
    GraphQLSchema,
    InlineFragmentNode,
    OperationDefinitionNode,
    OperationType,
    SelectionNode,
)

# `metadata` of a root field whose answer depends only on its arguments, the catalogue and the settings.
# tests/schema/base/test_public.py checks every field that can be reached from one.
PUBLIC = {"commercia": "public"}


def fields(schema: GraphQLSchema) -> set[str]:
    """The names of the root fields that are marked, and `__typename`."""
    root = schema.query_type
    return {"__typename", *(name for name, field in root.fields.items() if _is_marked(field))} if root else set()


def _is_marked(field: GraphQLField) -> bool:
    definition: Any = field.extensions.get("strawberry-definition")
    return bool(definition) and definition.metadata.items() >= PUBLIC.items()


def is_public(
    operation: OperationDefinitionNode, fragments: Mapping[str, FragmentDefinitionNode], names: set[str]
) -> bool:
    """Whether an operation of a valid document is a query that selects only root fields with these names."""
    waiting: list[SelectionNode] = list(operation.selection_set.selections)
    seen: set[str] = set()
    if operation.operation is not OperationType.QUERY:
        return False
    while waiting:
        match waiting.pop():
            case FieldNode(name=name) if name.value not in names:
                return False
            case InlineFragmentNode(selection_set=inner):
                waiting += inner.selections
            case FragmentSpreadNode(name=name) if name.value not in seen:
                seen.add(name.value)
                waiting += fragments[name.value].selection_set.selections
    return True
