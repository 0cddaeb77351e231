"""The category tree, for staff who edit it. Its type is in `schema.shop.catalog`."""

import strawberry

from domain.catalog import categories
from schema.base import crud, ids
from schema.base.context import Info
from schema.base.errors import Refusals
from schema.shop.catalog import Category
from storefront import models

# ── inputs ───────────────────────────────────────────────────────────────────────────────────────────


@strawberry.input(description="A category. Omitted fields stay unchanged. A new category needs `name`.")
class SaveCategoryInput(crud.SaveInput):
    name: str | None = strawberry.field(
        default=strawberry.UNSET, description="The name that buyers see, at most 100 characters."
    )
    slug: str | None = strawberry.field(
        default=strawberry.UNSET,
        description='Unique name for URLs: letters, digits, "-" and "_". A new category gets one from its name.',
    )
    description: str | None = strawberry.field(default=strawberry.UNSET, description="Plain text.")
    parent_id: strawberry.ID | None = strawberry.field(
        default=strawberry.UNSET, description="`Category.id` of the category above; null for a root."
    )
    position: int | None = strawberry.field(
        default=strawberry.UNSET, description="Position among the categories with the same parent, lowest first."
    )


# ── mutations ────────────────────────────────────────────────────────────────────────────────────────


@strawberry.type
class CategoryMutation:
    @strawberry.mutation(
        description="For staff: creates or changes a category. Moving it moves the categories below it too. Errors: "
        "INVALID, NOT_FOUND, STALE_VERSION."
    )
    def save_category(self, info: Info, input: SaveCategoryInput) -> crud.SavePayload[Category]:
        info.context.allow("add_category" if input.id is None else "change_category")
        with Refusals(info) as errors:
            key, values = crud.decode_input(input, models.Category)
            row = categories.save(
                key=key, version=input.version, values=values, actor=info.context.user, now=info.context.now
            )
            return crud.SavePayload(rows=models.Category.objects.filter(pk=row.pk))
        return crud.SavePayload(user_errors=errors)

    @strawberry.mutation(
        description="For staff: deletes a category without products, discounts and categories below it. Errors: "
        "NOT_FOUND, STALE_VERSION, IN_USE."
    )
    def delete_category(self, info: Info, input: crud.DeleteInput) -> crud.DeletePayload:
        info.context.allow("delete_category")
        with Refusals(info) as errors:
            key = ids.number(input.id, "Category", field=["id"])
            categories.delete(key=key, version=input.version, actor=info.context.user, now=info.context.now)
            return crud.DeletePayload(deleted_id=input.id)
        return crud.DeletePayload(user_errors=errors)
