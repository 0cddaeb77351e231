"""Receives files posted with the form of `createImageUpload` if they are stored on disk. S3 gets them directly."""

from django.conf import settings
from django.core.exceptions import SuspiciousOperation
from django.core.files.storage import FileSystemStorage, storages
from django.http import Http404, HttpRequest, HttpResponse
from django.http.multipartparser import MultiPartParserError
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from domain.base.errors import InvalidInput
from domain.catalog import images
from domain.catalog.media import StorageUnavailable

# Bytes for the form's other fields and the multipart boundaries.
_FORM_OVERHEAD = 10_000


@csrf_exempt  # The form's policy is signed for this one file.
@require_POST
def upload(request: HttpRequest) -> HttpResponse:
    """204 if the file was stored; 413 if it is too large (checked before it is read); 400 with the reason."""
    if not isinstance(storages["originals"], FileSystemStorage):
        raise Http404
    if int(request.META.get("CONTENT_LENGTH") or 0) > settings.MAX_IMAGE_BYTES + _FORM_OVERHEAD:
        return _text_response(f"The file may have at most {settings.MAX_IMAGE_BYTES} bytes.", 413)
    try:
        file = request.FILES.get("file")
        if file is None:
            return _text_response("`file` is missing.", 400)
        key, policy = (request.POST.get(name, "") for name in ("key", "policy"))
        images.receive_upload(key=key, policy=policy, file=file, now=timezone.now())
    except (MultiPartParserError, SuspiciousOperation):
        return _text_response("The form is not valid.", 400)
    except InvalidInput as error:
        return _text_response(f"{', '.join(error.field)}: {error.message}", 400)
    except StorageUnavailable as error:
        return _text_response(error.message, 503)
    return HttpResponse(status=204)


def _text_response(message: str, status: int) -> HttpResponse:
    return HttpResponse(message, status=status, content_type="text/plain")
