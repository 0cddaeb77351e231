"""Requests with a file: the operation and the file of an import by staff, as multipart/form-data.

https://github.com/jaydenseric/graphql-multipart-request-spec
"""

from typing import Any, cast

from django.conf import settings
from django.core.exceptions import RequestDataTooBig, TooManyFieldsSent, TooManyFilesSent
from django.core.files.uploadedfile import TemporaryUploadedFile
from django.core.files.uploadhandler import TemporaryFileUploadHandler
from django.http import HttpRequest, UnreadablePostError
from django.http.multipartparser import MultiPartParserError
from graphql import GraphQLError

from domain.importing import imports
from schema.base.context import Context
from schema.base.errors import BadRequest

MULTIPART_TYPE = "multipart/form-data"
_PARTS = {"operations", "map"}


def parts(request: HttpRequest, context: Context) -> tuple[str, str, str, TemporaryUploadedFile]:
    """The texts of `operations` and `map`, the name of the file's part, and the file, which is written to disk.

    The body is read only for staff who may import, and only up to the maximum length. For all others, the media type is
    not supported. Raises BadRequest.
    """
    try:
        allowed = imports.allowed_kinds(user=context.user)
    except GraphQLError as error:
        raise BadRequest(error.message, 415, "UNAUTHENTICATED") from None
    if not allowed:
        raise BadRequest("You do not have permission to do this.", 415, "FORBIDDEN")
    # Django does not read a body without a length.
    if int(request.META.get("CONTENT_LENGTH") or 0) > settings.IMPORT_MAX_BYTES:
        raise BadRequest(f"The file is larger than {settings.IMPORT_MAX_BYTES} bytes.", 413)
    request.upload_handlers = [TemporaryFileUploadHandler(request)]
    try:
        fields, files = request.POST, request.FILES
    except RequestDataTooBig:
        raise BadRequest("The request body is too large.", 413) from None
    except (MultiPartParserError, TooManyFieldsSent, TooManyFilesSent, UnreadablePostError):
        raise BadRequest("The request body is not valid multipart/form-data with an operation and a file.") from None
    sent = [(name, file) for name in files for file in files.getlist(name)]
    if set(fields) != _PARTS or any(len(fields.getlist(name)) != 1 for name in _PARTS) or len(sent) != 1:
        raise BadRequest("The request must contain `operations`, `map` and one file, each exactly once.")
    ((name, file),) = sent
    return fields["operations"], fields["map"], name, cast("TemporaryUploadedFile", file)


def put_in(given: dict[str, Any], where: Any, name: str, file: TemporaryUploadedFile) -> dict[str, Any]:
    """The operation, with the file at the place that `map` names: a variable, or a field in one, that is null."""
    paths = where.get(name) if isinstance(where, dict) and len(where) == 1 else None
    path = paths[0] if isinstance(paths, list) and len(paths) == 1 else None
    names = path.split(".") if isinstance(path, str) else []
    holder: Any = given if names[:1] == ["variables"] and len(names) > 1 else None
    for inner in names[:-1]:
        holder = holder.get(inner) if isinstance(holder, dict) else None
    if not isinstance(holder, dict) or holder.get(names[-1], "") is not None:
        raise BadRequest('`map` must name the file and one variable that is null: {"0": ["variables.input.file"]}.')
    holder[names[-1]] = file
    return given
