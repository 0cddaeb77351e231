#!/usr/bin/env bash
# The whole buyer's path over HTTP, from an empty cart to a PAID order: docs/buy.sh [http://localhost:8000/graphql/]
# Runs on the demo shop. Needs curl and Python for the JSON; a storefront does the same with Apollo.
set -euo pipefail
endpoint=${1:-http://localhost:8000/graphql/}
cookies=$(mktemp)
trap 'rm -f "$cookies"' EXIT

# graphql QUERY [NAME=VALUE ...]: sends an operation with text variables; prints the answer's `data`.
graphql() {
  python3 -c 'import json, sys; print(json.dumps({"query": sys.argv[1],
    "variables": dict(pair.split("=", 1) for pair in sys.argv[2:])}))' "$@" |
    curl --silent --show-error --fail-with-body --cookie "$cookies" --cookie-jar "$cookies" \
      --header 'Content-Type: application/json' --data @- "$endpoint"
}

# pick PATH: one value out of the JSON on standard input, such as data.cart.lines.0.id; stops on any error in it.
pick() {
  python3 -c 'import json, sys
answer = value = json.load(sys.stdin)
payloads = [part for part in (answer.get("data") or {}).values() if isinstance(part, dict)]
refused = answer.get("errors") or [error for part in payloads for error in part.get("userErrors", [])]
if refused:
    sys.exit(f"Refused: {refused}")
for step in sys.argv[1].split("."):
    value = value[int(step)] if step.isdigit() else value[step]
print(value)' "$1"
}

echo "1. Find something to buy"
variant=$(graphql 'query($slug: String!) { product(slug: $slug) { title variant(sku: "HLS-SAND-M") { id } } }' \
  slug=harbour-linen-shirt | pick data.product.variant.id)

echo "2. Put two of them into a cart, which is made by that"
cart=$(graphql 'mutation($variant: ID!) {
  addToCart(input: { lines: [{ variantId: $variant, quantity: 2 }] }) { cart { code total { amount } } userErrors { message } }
}' variant="$variant" | pick data.addToCart.cart.code)

echo "3. Say who, and where to"
option=$(graphql 'mutation($cart: ID!) {
  checkout(input: { cartCode: $cart, email: "ada@example.org", shippingAddress: {
    name: "Ada Example", line1: "Am Hafen 1", postalCode: "20457", city: "Hamburg", countryCode: "DE" } }) {
    cart { checkout { shippingOptions { id name } } } userErrors { message field }
  }
}' cart="$cart" | pick data.checkout.cart.checkout.shippingOptions.0.id)

echo "4. Choose how it is shipped, and see the total"
total=$(graphql 'mutation($cart: ID!, $option: ID!) {
  checkout(input: { cartCode: $cart, shippingOptionId: $option }) {
    cart { total { amount } problems { message } } userErrors { message field }
  }
}' cart="$cart" option="$option" | pick data.checkout.cart.total.amount)

echo "5. Place the order at that total, twice: a retry gets the same order"
place='mutation($cart: ID!, $total: Decimal!) {
  placeOrder(input: { cartCode: $cart, expectedTotal: $total }) {
    order { id number receipt } replayed userErrors { message field }
  }
}'
placed=$(graphql "$place" cart="$cart" total="$total")
order=$(pick data.placeOrder.order.id <<<"$placed")
receipt=$(pick data.placeOrder.order.receipt <<<"$placed")
again=$(graphql "$place" cart="$cart" total="$total")
[ "$(pick data.placeOrder.order.id <<<"$again")" = "$order" ]
[ "$(pick data.placeOrder.replayed <<<"$again")" = True ]

echo "6. Pay"
graphql 'mutation($order: ID!, $receipt: String!) {
  startPayment(input: { orderId: $order, receipt: $receipt, provider: TEST, paymentMethod: "ok" }) {
    payment { state } userErrors { message }
  }
}' order="$order" receipt="$receipt" | pick data.startPayment.payment.state

echo "7. Follow it"
state=$(graphql 'query($receipt: String!) { order(receipt: $receipt) { number state total { amount currency } } }' \
  receipt="$receipt" | pick data.order.state)
echo "The order of $total is $state."
[ "$state" = PAID ]
