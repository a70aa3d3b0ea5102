"""From a checkout to a subscription, its invoices and their payments."""

import pytest
import stripe

from conftest import DAY


def test_a_session_is_paid_and_becomes_a_subscription(shop):
    customer, price = shop.customer(), shop.price()
    session = shop.session(customer, price)
    assert (session.status, session.ui_mode) == ("open", "embedded_page")
    assert session.client_secret.startswith(f"{session.id}_secret_")
    assert shop.v1.checkout.sessions.update(session.id, {"metadata": {"a": "1"}}).metadata["a"] == "1"
    lines = shop.v1.checkout.sessions.line_items.list(session.id)
    assert [(line.price.id, line.quantity, line.amount_total) for line in lines.data] == [(price.id, 3, 3000)]
    paid = shop.completes(session)
    assert (paid.status, paid.payment_status) == ("complete", "paid")
    assert [found.id for found in shop.v1.checkout.sessions.list({"customer": customer.id}).data] == [session.id]

    subscription = shop.v1.subscriptions.retrieve(paid.subscription, {"expand": ["latest_invoice.payments"]})
    assert subscription.status == "active"
    assert subscription.latest_invoice.amount_paid == 3000
    items = shop.v1.subscription_items.list({"subscription": subscription.id})
    assert [item.quantity for item in items.data] == [3]


def test_a_session_that_is_declined_stays_open_until_it_expires(shop):
    session = shop.session(shop.customer(), shop.price())
    assert shop.completes(session, "decline").status == "open"
    assert shop.v1.checkout.sessions.expire(session.id).status == "expired"
    with pytest.raises(stripe.InvalidRequestError):
        shop.v1.checkout.sessions.expire(session.id)


def test_a_subscription_is_changed_renewed_and_canceled(shop):
    customer, subscription = shop.subscriber()
    changed = shop.v1.subscriptions.update(
        subscription.id, {"metadata": {"account": "ada"}, "cancel_at_period_end": True}
    )
    assert changed.cancel_at_period_end and changed.cancel_at == changed["items"].data[0].current_period_end
    shop.v1.subscriptions.update(subscription.id, {"cancel_at_period_end": False})
    shop.advance(32 * DAY)
    renewed = shop.v1.invoices.list({"subscription": subscription.id})
    assert [invoice.billing_reason for invoice in renewed.data] == ["subscription_cycle", "subscription_create"]
    assert shop.v1.subscriptions.cancel(subscription.id).status == "canceled"
    assert shop.v1.subscriptions.list({"customer": customer.id}).data == []
    assert len(shop.v1.subscriptions.list({"customer": customer.id, "status": "all"}).data) == 1


def test_an_invoice_is_followed_to_its_charge(shop):
    _, subscription = shop.subscriber()
    invoice = shop.v1.invoices.retrieve(subscription.latest_invoice)
    assert (invoice.status, invoice.total, invoice.amount_remaining) == ("paid", 3000, 0)
    assert invoice.parent.subscription_details.subscription == subscription.id
    assert [line.amount for line in shop.v1.invoices.line_items.list(invoice.id).data] == [3000]
    payments = shop.v1.invoice_payments.list({"invoice": invoice.id})
    intent = shop.v1.payment_intents.retrieve(payments.data[0].payment.payment_intent)
    assert (intent.status, intent.amount_received) == ("succeeded", 3000)
    assert shop.v1.charges.retrieve(intent.latest_charge).paid


def test_tax_is_worked_out_where_the_customer_is(shop):
    assert shop.v1.tax.settings.retrieve().status == "active"
    shop.program.test("POST", "/settings", {"taxBasisPoints": 1900})
    customer = shop.customer(address={"country": "DE"})
    session = shop.session(customer, shop.price(), automatic_tax={"enabled": True})
    assert (session.automatic_tax.status, session.total_details.amount_tax) == ("complete", 570)
    subscription = shop.v1.subscriptions.retrieve(shop.completes(session).subscription)
    invoice = shop.v1.invoices.retrieve(subscription.latest_invoice)
    assert (invoice.total_excluding_tax, invoice.total) == (3000, 3570)
    assert [tax.amount for tax in invoice.total_taxes] == [570]


def test_a_renewal_is_drafted_finalized_and_paid_or_voided_by_hand(shop):
    customer, subscription = shop.subscriber()
    period_end = subscription["items"].data[0].current_period_end
    shop.program.test("POST", f"/customers/{customer.id}/card", {"paymentMethod": "pm_card_chargeCustomerFail"})
    shop.advance(period_end - shop.now() + 60)
    draft = shop.v1.invoices.list({"subscription": subscription.id, "status": "draft"}).data[0]
    assert shop.v1.invoices.finalize_invoice(draft.id).status == "open"
    with pytest.raises(stripe.CardError) as declined:
        shop.v1.invoices.pay(draft.id)
    assert declined.value.code == "card_declined"
    card = shop.v1.payment_methods.attach("pm_card_visa", {"customer": customer.id})
    assert shop.v1.invoices.pay(draft.id, {"payment_method": card.id}).status == "paid"
    with pytest.raises(stripe.InvalidRequestError):
        shop.v1.invoices.void_invoice(draft.id)

    shop.advance(32 * DAY)
    unpaid = shop.v1.invoices.list({"subscription": subscription.id, "status": "open"}).data
    assert shop.v1.invoices.void_invoice(unpaid[0].id).status == "void"
