"""Pictures, for staff: where to put one, and what it is a picture of."""

from typing import Any

import strawberry

from domain.catalog import images
from schema.base import crud, ids
from schema.base.context import Info
from schema.base.errors import Refusals, UserError
from schema.base.loading import load
from schema.shop.catalog import Image, Product
from storefront import models

# ── payloads ─────────────────────────────────────────────────────────────────────────────────────────


@strawberry.type(description="A field of a form.")
class FormField:
    name: str = strawberry.field(description="Its name.")
    value: str = strawberry.field(description="Its value, to be sent as it is.")


@strawberry.type(
    description="Where to post a picture within the hour: as multipart/form-data, `fields` first and then the file, "
    "as `file`. The answer is 204. Or why not."
)
class ImageUploadPayload:
    url: str | None = strawberry.field(default=None, description="Where to post it; null when nothing was done.")
    fields: list[FormField] | None = strawberry.field(default=None, description="What to send before the file.")
    key: strawberry.ID | None = strawberry.field(default=None, description="For `attachImage`.")
    user_errors: list[UserError] = strawberry.field(
        default_factory=list, description="Why nothing was done; empty on success."
    )


@strawberry.type(description="A picture as it is now, or why nothing was done.")
class ImagePayload:
    row: strawberry.Private[models.Image | None] = None
    user_errors: list[UserError] = strawberry.field(
        default_factory=list, description="Why nothing was done; empty on success."
    )

    @strawberry.field(graphql_type=Image | None, description="Null when nothing was done.")
    def image(self) -> models.Image | None:
        return self.row

    @strawberry.field(graphql_type=Product | None, description="What it is a picture of; null when nothing was done.")
    def product(self, info: Info) -> models.Product | None:
        return load(models.Product.objects.filter(pk=self.row.product_id), info).first() if self.row else None


# ── inputs ───────────────────────────────────────────────────────────────────────────────────────────


@strawberry.input(description="The file to come.")
class CreateImageUploadInput:
    content_type: str = strawberry.field(description="image/png, image/jpeg, image/webp or image/gif.")
    bytes: int = strawberry.field(description="How long it is; a longer one will not be taken.")
    filename: str | None = strawberry.field(
        default=None, description="What people call it; 255 characters. No path or name is made of it."
    )


@strawberry.input(description="What was uploaded, and what it is a picture of.")
class AttachImageInput:
    product_id: strawberry.ID = strawberry.field(description="`Product.id`.")
    key: strawberry.ID = strawberry.field(description="That of `createImageUpload`, once the file is there.")
    alt: str | None = strawberry.field(default=None, description="What it shows, in words; 500 characters.")
    variant_ids: list[strawberry.ID] | None = strawberry.field(
        default=None, description="Variants of the product that show it as their own."
    )
    position: int | None = strawberry.field(
        default=None, description="Among the product's pictures, from 1 on; null: the last."
    )


@strawberry.input(description="What to change of a picture; what is left out stays.")
class UpdateImageInput:
    id: strawberry.ID = strawberry.field(description="Its `id`.")
    alt: str | None = strawberry.field(default=None, description="What it shows, in words; 500 characters.")
    position: int | None = strawberry.field(default=None, description="Among the product's pictures, from 1 on.")
    variant_ids: list[strawberry.ID] | None = strawberry.field(
        default=None, description="All variants that shall show it as their own."
    )


# ── mutations ────────────────────────────────────────────────────────────────────────────────────────


@strawberry.type
class ImageMutation:
    @strawberry.mutation(
        description="For staff: a place for a picture, and the form to post it by. "
        "Errors: INVALID, STORAGE_UNAVAILABLE."
    )
    def create_image_upload(self, info: Info, input: CreateImageUploadInput) -> ImageUploadPayload:
        info.context.allow("add_image")
        with Refusals(info) as errors:
            upload, form = images.create_upload(
                filename=input.filename or "", content_type=input.content_type, size=input.bytes, now=info.context.now
            )
            fields = [FormField(name=name, value=value) for name, value in form.fields.items()]
            return ImageUploadPayload(url=info.context.absolute(form.url), fields=fields, key=strawberry.ID(upload.key))
        return ImageUploadPayload(user_errors=errors)

    @strawberry.mutation(
        description="For staff: makes what was uploaded a picture of a product; the same again finds it done. A PNG, "
        "JPEG, WebP or GIF (of an animation, its first frame) is taken for what it is, whatever it is called. "
        "Errors: NOT_FOUND, INVALID, STORAGE_UNAVAILABLE."
    )
    def attach_image(self, info: Info, input: AttachImageInput) -> ImagePayload:
        info.context.allow("add_image")
        with Refusals(info) as errors:
            image = images.attach(
                product_id=ids.number(input.product_id, "Product", field=["product_id"]),
                key=input.key,
                alt=input.alt or "",
                variant_ids=_variants(input.variant_ids or ()),
                position=input.position,
                now=info.context.now,
            )
            return ImagePayload(row=image)
        return ImagePayload(user_errors=errors)

    @strawberry.mutation(description="For staff: changes a picture's words or place. Errors: NOT_FOUND, INVALID.")
    def update_image(self, info: Info, input: UpdateImageInput) -> ImagePayload:
        info.context.allow("change_image")
        with Refusals(info) as errors:
            image = images.update(
                image_id=ids.number(input.id, "Image", field=["id"]),
                alt=input.alt,
                position=input.position,
                variant_ids=None if input.variant_ids is None else _variants(input.variant_ids),
            )
            return ImagePayload(row=image)
        return ImagePayload(user_errors=errors)

    @strawberry.mutation(description="For staff: deletes a picture and its files. Errors: NOT_FOUND.")
    def delete_image(self, info: Info, input: crud.DeleteInput) -> crud.DeletePayload:
        info.context.allow("delete_image")
        with Refusals(info) as errors:
            images.delete(image_id=ids.number(input.id, "Image", field=["id"]), now=info.context.now)
            return crud.DeletePayload(deleted_id=input.id)
        return crud.DeletePayload(user_errors=errors)


def _variants(given: Any) -> list[int]:
    return [ids.number(each, "ProductVariant", field=["variant_ids", str(index)]) for index, each in enumerate(given)]
