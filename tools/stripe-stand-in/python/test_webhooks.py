"""Events: listed, delivered, verified by the SDK; and events that the SDK signs, at our own webhook function."""

import json

import pytest
import stripe

from conftest import DAY
from program import Program, built


def test_an_event_that_is_delivered_is_one_to_the_sdk(shop, listener):
    endpoint = shop.v1.webhook_endpoints.create({"url": listener.url, "enabled_events": ["*"]})
    assert endpoint.secret.startswith("whsec_")
    customer, subscription = shop.subscriber()
    events = [stripe.Webhook.construct_event(body, signature, endpoint.secret) for body, signature in listener.heard]
    kinds = [event.type for event in events]
    assert {"customer.created", "checkout.session.completed", "invoice.paid"} <= set(kinds)
    paid = events[kinds.index("invoice.paid")]
    assert paid.data.object.parent.subscription_details.subscription == subscription.id
    assert (paid.api_version, paid.data.object.customer) == (stripe.api_version, customer.id)
    body, signature = listener.heard[0]
    for payload, secret in [(body + b" ", endpoint.secret), (body, "whsec_other")]:
        with pytest.raises(stripe.SignatureVerificationError):
            stripe.Webhook.construct_event(payload, signature, secret)


def test_an_endpoint_is_changed_and_taken_away(shop, listener):
    new = {"url": "http://127.0.0.1:1/", "enabled_events": ["customer.created"]}
    endpoint = shop.v1.webhook_endpoints.create(new)
    changed = shop.v1.webhook_endpoints.update(endpoint.id, {"url": listener.url, "metadata": {"a": "1"}})
    assert (changed.url, getattr(changed, "secret", None)) == (listener.url, None)
    shop.customer()
    shop.program.test("POST", "/deliveries", {"hold": False})
    assert [json.loads(body)["type"] for body, _ in listener.heard] == ["customer.created"]
    assert shop.v1.webhook_endpoints.retrieve(endpoint.id).status == "enabled"
    assert shop.v1.webhook_endpoints.delete(endpoint.id).deleted
    with pytest.raises(stripe.InvalidRequestError):
        shop.v1.webhook_endpoints.retrieve(endpoint.id)


def test_events_are_found_by_type_time_and_delivery(shop, listener):
    shop.v1.webhook_endpoints.create({"url": listener.url, "enabled_events": ["customer.created"]})
    first = shop.customer()
    shop.advance(60)
    listener.status = 500
    shop.customer()
    shop.price()
    shop.program.test("POST", "/deliveries", {"hold": False})

    def found(**params):
        return [event.type for event in shop.v1.events.list(params).data]

    assert found() == ["price.created", "product.created", "customer.created", "customer.created"]
    assert found(type="customer.*") == ["customer.created"] * 2
    assert found(types=["price.created", "product.created"]) == ["price.created", "product.created"]
    assert found(created={"gt": first.created}) == ["price.created", "product.created", "customer.created"]
    assert found(delivery_success=False) == ["customer.created"]
    assert [event.type for event in shop.v1.events.list({"limit": 1}).auto_paging_iter()] == found()
    event = shop.v1.events.list({"type": "customer.created"}).data[-1]
    assert shop.v1.events.retrieve(event.id).data.object.id == first.id
    assert event.request.id.startswith("req_")


def test_events_are_kept_for_thirty_days(shop):
    shop.customer()
    event = shop.v1.events.list().data[0]
    shop.advance(30 * DAY + 1)
    assert shop.v1.events.list().data == []
    with pytest.raises(stripe.InvalidRequestError) as refused:
        shop.v1.events.retrieve(event.id)
    assert refused.value.code == "resource_missing"


@pytest.fixture(scope="module")
def stack():
    """The whole product, with our webhook function in it."""
    free = ["--port", "0", "--stripe-port", "0", "--dynamodb-port", "0"]
    stack = Program(built("local-stack", "local-stack"), *free)
    yield stack
    stack.end()


def test_an_event_that_the_sdk_signs_is_taken_by_our_webhook(stack):
    secret = stack.ask("GET", "/_local")[1]["webhookSecret"]
    event = {
        "id": "evt_signed_by_the_sdk",
        "object": "event",
        "type": "customer.created",
        "api_version": stripe.api_version,
        "created": 1_800_000_000,
        "livemode": False,
        "data": {"object": {"id": "cus_of_nobody", "object": "customer", "name": "Zoë"}},
    }
    payload = json.dumps(event, ensure_ascii=False)

    def answer(body, *sign, **more):
        header = stripe.WebhookSignature.generate_signature_header(*sign, **more)
        headers = {"content-type": "application/json; charset=utf-8", "stripe-signature": header}
        return stack.ask("POST", "/stripe/webhook", body.encode(), headers)[0]

    assert answer(payload, payload, secret) == 200
    assert answer(payload + " ", payload, secret) == 400
    assert answer(payload, payload, "whsec_of_somebody_else") == 400
    assert answer(payload, payload, secret, timestamp=1_700_000_000) == 400
