"""What payment gateways tell us at /webhooks/<gateway>/: verified, noted once, and answered at once."""

from django.http import Http404, HttpRequest, HttpResponse
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from domain import gateways, payments


@csrf_exempt
@require_POST
def receive(request: HttpRequest, provider: str) -> HttpResponse:
    """200 when the event is noted, now or before, or kept until its gateway has verified it; 400 for one that was not
    signed by the gateway, or too long ago.

    503 where too many wait to be verified: the gateway sends it again. No gateway is asked before the answer.
    """
    known = {each.value.lower(): each for each in gateways.enabled()}
    if provider not in known:
        raise Http404
    now = timezone.now()
    try:
        event = gateways.by_provider(known[provider]).read_event(request.headers, request.body, now=now)
        if event.proof:
            payments.keep_unverified(provider=known[provider], event=event, body=request.body, now=now)
        else:
            payments.receive(provider=known[provider], event=event, now=now)
    except gateways.BadSignature:
        return HttpResponse("The signature is not good.", status=400, content_type="text/plain")
    except payments.TooManyEvents:
        message = "Too many events wait to be verified: send it again later."
        return HttpResponse(message, status=503, content_type="text/plain", headers={"Retry-After": "60"})
    return HttpResponse(status=200)
