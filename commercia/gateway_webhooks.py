"""Receives the webhooks of payment gateways at /webhooks/<gateway>/. Stores each once, without calling the gateway."""

from django.http import Http404, HttpRequest, HttpResponse
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from domain.payments import gateways, payments


@csrf_exempt
@require_POST
def receive(request: HttpRequest, provider: str) -> HttpResponse:
    """Stores the event and answers 200, also if it is already stored or still has to be verified by its gateway.

    Answers 400 if the signature is wrong or too old, and 503 if too many events wait for verification: the gateway
    sends the event again later.
    """
    providers = {gateway.value.lower(): gateway for gateway in gateways.enabled()}
    if provider not in providers:
        raise Http404
    now = timezone.now()
    try:
        event = gateways.gateway_for(provider=providers[provider]).read_event(request.headers, request.body, now=now)
        if event.signature_headers:
            payments.store_unverified(provider=providers[provider], event=event, body=request.body, now=now)
        else:
            payments.receive(provider=providers[provider], event=event, now=now)
    except gateways.BadSignature:
        return HttpResponse("The signature is not valid.", status=400, content_type="text/plain")
    except payments.TooManyEvents:
        message = "Too many events wait for verification. Send this event again later."
        return HttpResponse(message, status=503, content_type="text/plain", headers={"Retry-After": "60"})
    return HttpResponse(status=200)
