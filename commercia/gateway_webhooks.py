"""What payment gateways tell us at /webhooks/<gateway>/: verified, noted once, and answered at once."""

from django.http import Http404, HttpRequest, HttpResponse
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from domain.payments import gateways, payments


@csrf_exempt
@require_POST
def receive(request: HttpRequest, provider: str) -> HttpResponse:
    """200 when the event is noted, now or before; 400 for one that was not signed by the gateway, or too long ago.

    503 where nobody can tell at the moment.
    """
    known = {each.value.lower(): each for each in gateways.enabled()}
    if provider not in known:
        raise Http404
    now = timezone.now()
    try:
        event = gateways.gateway_for(provider=known[provider]).read_event(request.headers, request.body, now=now)
    except gateways.BadSignature:
        return HttpResponse("The signature is not good.", status=400, content_type="text/plain")
    except gateways.GatewayUnavailable:  # Only the gateway can tell, and it does not answer: it is to send it again.
        return HttpResponse(status=503)
    payments.receive(provider=known[provider], event=event, now=now)
    return HttpResponse(status=200)
