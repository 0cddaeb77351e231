"""The offline gateway: no money moves. The token, or else the amount, says how it answers."""

from domain.gateways.protocol import Charge, GatewayUnavailable, Outcome
from storefront.models import PaymentState

# Amounts by their last two digits, for clients that pass no token.
_BY_AMOUNT = {"02": "decline", "03": "action"}


class TestGateway:
    """Tokens: `ok` succeeds, `decline` fails, `action` asks the buyer to confirm, `confirm` is their answer,
    `timeout` gives no answer. Without a token, an amount that ends in 02 declines, in 03 asks for action.
    """

    __test__ = False

    def charge(self, charge: Charge) -> Outcome:
        reference = charge.reference or f"test_{charge.key.hex}"
        wish = charge.method or _BY_AMOUNT.get(str(charge.amount)[-2:], "ok")
        if wish == "timeout":
            raise GatewayUnavailable
        if wish == "action":
            return Outcome(
                state=PaymentState.REQUIRES_ACTION,
                reference=reference,
                client_secret=f"{reference}_secret",
                redirect_url=charge.return_url,
            )
        if wish in {"ok", "confirm"}:
            return Outcome(state=PaymentState.SUCCEEDED, reference=reference)
        failure = "The card was declined." if wish == "decline" else "This payment method is unknown."
        return Outcome(state=PaymentState.FAILED, reference=reference, failure=failure)
