"""The schema as a front-end developer reads it."""

from graphql import GraphQLEnumType, GraphQLInputObjectType, GraphQLInterfaceType, GraphQLObjectType

from schema.root import graphql_schema

TYPES = [type_ for name, type_ in graphql_schema.type_map.items() if not name.startswith("__")]
ROOTS = {"Query", "Mutation"}


def test_everything_is_described():
    missing = [type_.name for type_ in TYPES if not type_.description and type_.name not in ROOTS]
    for type_ in TYPES:
        if isinstance(type_, GraphQLEnumType):
            missing += [f"{type_.name}.{name}" for name, value in type_.values.items() if not value.description]
        if isinstance(type_, GraphQLObjectType | GraphQLInterfaceType | GraphQLInputObjectType):
            for name, field in type_.fields.items():
                if not field.description:
                    missing.append(f"{type_.name}.{name}")
                for argument, definition in getattr(field, "args", {}).items():
                    if argument != "input" and not definition.description:
                        missing.append(f"{type_.name}.{name}({argument})")
    assert missing == []


def test_a_mutation_takes_one_input_and_returns_a_payload_with_user_errors():
    for name, mutation in graphql_schema.mutation_type.fields.items():
        assert list(mutation.args) == ["input"], name
        payload = mutation.type.of_type
        assert payload.name.endswith("Payload"), name
        assert str(payload.fields["userErrors"].type) == "[UserError!]!", name


def test_a_mutation_names_the_errors_it_can_answer():
    for name, mutation in graphql_schema.mutation_type.fields.items():
        assert "Errors: " in mutation.description, name
