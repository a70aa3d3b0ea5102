"""What a caller has that the contract cannot tell: keys of the right kind for each path, and Stripe's signature.

The running local stack tells both (`GET /_local`); its address is in LOCAL_STACK.
"""

import hashlib
import hmac
import json
import os
import time
import urllib.request

import schemathesis

STACK = os.environ["LOCAL_STACK"]


def ask(path: str, body: dict | None = None) -> dict:
    data = None if body is None else json.dumps(body).encode()
    with urllib.request.urlopen(urllib.request.Request(STACK + path, data=data), timeout=30) as answer:
        return json.load(answer)


LOCAL = ask("/_local")
DEMO = LOCAL["demo"]
# One account buys checkouts without end; another has what a checkout is for.
BUYER = ask("/_local/accounts", {"phoneNumbers": 2})["key"]


def key_of(kind: str) -> str:
    """The demo key of an agency or an organisation; any key where the stack has none yet."""
    holder = DEMO.get(kind) or {}
    return holder.get("key") or DEMO["account"]["key"]


def key_for(path: str) -> str:
    if path.startswith("/v1/public/stripe/connect"):
        return key_of("agency")
    if path.startswith("/checkouts"):
        return key_of("organisation")
    if path.endswith("/checkout/subscription"):
        return BUYER
    return DEMO["account"]["key"]


def subscribe() -> None:
    """The demo account subscribes and pays, so that there is something to change."""
    request = urllib.request.Request(
        STACK + "/api/v1/billing/checkout/subscription",
        data=b'{"interval":"monthly"}',
        headers={"authorization": "Bearer " + DEMO["account"]["key"], "content-type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        session = json.load(answer)["clientSecret"].split("_secret_")[0]
    paid = urllib.request.Request(
        f"{LOCAL['stripe']}/_test/checkout/sessions/{session}/complete", data=b"", method="POST"
    )
    urllib.request.urlopen(paid, timeout=30).close()


subscribe()


@schemathesis.auth()
class Keys:
    def get(self, case, context):
        return key_for(case.operation.path)

    def set(self, case, data, context):
        if case.operation.path != "/stripe/webhook":
            case.headers["Authorization"] = f"Bearer {data}"


@schemathesis.hook
def before_call(context, case, kwargs):
    """Signs what goes to the webhook, as Stripe would: most of what it does is behind that."""
    if case.operation.path != "/stripe/webhook" or "Stripe-Signature" not in (case.headers or {}):
        return
    prepared = case.as_transport_kwargs(base_url=STACK)
    body = prepared.get("data")
    if body is None and "json" in prepared:
        body = json.dumps(prepared["json"])
    if isinstance(body, str):
        body = body.encode()
    if isinstance(body, bytes):
        now = str(int(time.time()))
        secret = LOCAL["webhookSecret"].encode()
        signature = hmac.new(secret, now.encode() + b"." + body, hashlib.sha256).hexdigest()
        case.headers["Stripe-Signature"] = f"t={now},v1={signature}"
