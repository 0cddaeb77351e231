"""Images of products, for staff: uploading, attaching, changing and deleting them."""

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
    name: str = strawberry.field(description="The name of the field.")
    value: str = strawberry.field(description="The value. Send it unchanged.")


@strawberry.type(
    description="Where to upload an image within one hour, or errors. Send a POST request as multipart/form-data: "
    "first `fields`, then the file as `file`. The response is 204."
)
class ImageUploadPayload:
    url: str | None = strawberry.field(
        default=None, description="The URL for the POST request; null if the mutation failed."
    )
    fields: list[FormField] | None = strawberry.field(
        default=None, description="The fields to send before the file; null if the mutation failed."
    )
    key: strawberry.ID | None = strawberry.field(
        default=None, description="The key for `attachImage`; null if the mutation failed."
    )
    user_errors: list[UserError] = strawberry.field(
        default_factory=list, description="Errors that stopped the mutation; empty on success."
    )


@strawberry.type(description="The result of changing an image: the image, or errors.")
class ImagePayload:
    row: strawberry.Private[models.Image | None] = None
    user_errors: list[UserError] = strawberry.field(
        default_factory=list, description="Errors that stopped the mutation; empty on success."
    )

    @strawberry.field(graphql_type=Image | None, description="The image as it is now; null if the mutation failed.")
    def image(self) -> models.Image | None:
        return self.row

    @strawberry.field(graphql_type=Product | None, description="The product of the image; null if the mutation failed.")
    def product(self, info: Info) -> models.Product | None:
        return load(models.Product.objects.filter(pk=self.row.product_id), info).first() if self.row else None


# ── inputs ───────────────────────────────────────────────────────────────────────────────────────────


@strawberry.input(description="The file to upload.")
class CreateImageUploadInput:
    content_type: str = strawberry.field(description="The media type: image/png, image/jpeg, image/webp or image/gif.")
    bytes: int = strawberry.field(description="The size of the file in bytes. A larger file is refused.")
    filename: str | None = strawberry.field(
        default=None,
        description="The name of the file, for people, at most 255 characters. It is not used in a path or URL.",
    )


@strawberry.input(description="The uploaded file, and its product.")
class AttachImageInput:
    product_id: strawberry.ID = strawberry.field(description="`Product.id`.")
    key: strawberry.ID = strawberry.field(description="The key from `createImageUpload`, after the file is uploaded.")
    alt: str | None = strawberry.field(default=None, description="Alternative text, at most 500 characters.")
    variant_ids: list[strawberry.ID] | None = strawberry.field(
        default=None, description="`ProductVariant.id` of the product's variants that use it as their own image."
    )
    position: int | None = strawberry.field(
        default=None, description="Position among the product's images, starting at 1; null for the last."
    )


@strawberry.input(description="Changes to an image. Omitted fields stay unchanged.")
class UpdateImageInput:
    id: strawberry.ID = strawberry.field(description="`Image.id`.")
    alt: str | None = strawberry.field(default=None, description="Alternative text, at most 500 characters.")
    position: int | None = strawberry.field(
        default=None, description="Position among the product's images, starting at 1."
    )
    variant_ids: list[strawberry.ID] | None = strawberry.field(
        default=None, description="`ProductVariant.id` of all variants that use it as their own image."
    )


# ── mutations ────────────────────────────────────────────────────────────────────────────────────────


@strawberry.type
class ImageMutation:
    @strawberry.mutation(
        description="For staff: returns a form for uploading an image. Errors: INVALID, STORAGE_UNAVAILABLE."
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
        description="For staff: adds an uploaded image to a product. Calling it again changes nothing. PNG, JPEG, "
        "WebP and GIF (the first frame) are recognised by their content, not by their name. Errors: NOT_FOUND, "
        "INVALID, STORAGE_UNAVAILABLE."
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

    @strawberry.mutation(
        description="For staff: changes the alternative text, position or variants of an image. Errors: NOT_FOUND, "
        "INVALID."
    )
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

    @strawberry.mutation(description="For staff: deletes an image and its files. Errors: NOT_FOUND.")
    def delete_image(self, info: Info, input: crud.DeleteInput) -> crud.DeletePayload:
        info.context.allow("delete_image")
        with Refusals(info) as errors:
            images.delete(image_id=ids.number(input.id, "Image", field=["id"]), now=info.context.now)
            return crud.DeletePayload(deleted_id=input.id)
        return crud.DeletePayload(user_errors=errors)


def _variants(given: Any) -> list[int]:
    return [ids.number(each, "ProductVariant", field=["variant_ids", str(index)]) for index, each in enumerate(given)]
