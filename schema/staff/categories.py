"""The category tree as staff write it; `schema.shop.catalog` shows it."""

import strawberry

from domain.catalog import categories
from schema.base import crud, ids
from schema.base.context import Info
from schema.base.errors import Refusals
from schema.shop.catalog import Category
from storefront import models

# ── inputs ───────────────────────────────────────────────────────────────────────────────────────────


@strawberry.input(description="A category. What is left out stays; a new one needs `name`.")
class SaveCategoryInput(crud.SaveInput):
    name: str | None = strawberry.field(default=strawberry.UNSET, description="What the buyer reads; 100 characters.")
    slug: str | None = strawberry.field(
        default=strawberry.UNSET, description="Unique; letters, digits, - and _. A new one has one of its name."
    )
    description: str | None = strawberry.field(default=strawberry.UNSET, description="Plain text.")
    parent_id: strawberry.ID | None = strawberry.field(
        default=strawberry.UNSET, description="`Category.id` of what it hangs below; null: a root."
    )
    position: int | None = strawberry.field(
        default=strawberry.UNSET, description="The lower, the earlier it is shown among its siblings."
    )


# ── mutations ────────────────────────────────────────────────────────────────────────────────────────


@strawberry.type
class CategoryMutation:
    @strawberry.mutation(
        description="For staff: makes a category, or changes one, with all below it. Errors: INVALID, NOT_FOUND, "
        "STALE_VERSION."
    )
    def save_category(self, info: Info, input: SaveCategoryInput) -> crud.SavePayload[Category]:
        info.context.allow("add_category" if input.id is None else "change_category")
        with Refusals(info) as errors:
            key, values = crud.decoded(input, models.Category)
            row = categories.save(
                key=key, version=input.version, values=values, actor=info.context.user, now=info.context.now
            )
            return crud.SavePayload(rows=models.Category.objects.filter(pk=row.pk))
        return crud.SavePayload(user_errors=errors)

    @strawberry.mutation(
        description="For staff: deletes a category on which nothing hangs: no product, discount or category. "
        "Errors: NOT_FOUND, STALE_VERSION, IN_USE."
    )
    def delete_category(self, info: Info, input: crud.DeleteInput) -> crud.DeletePayload:
        info.context.allow("delete_category")
        with Refusals(info) as errors:
            key = ids.number(input.id, "Category", field=["id"])
            categories.delete(key=key, version=input.version, actor=info.context.user, now=info.context.now)
            return crud.DeletePayload(deleted_id=input.id)
        return crud.DeletePayload(user_errors=errors)
