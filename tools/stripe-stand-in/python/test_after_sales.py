"""What comes after a payment: refunds, credit notes, disputes. And what is billed beside a subscription: items and usage."""

import pytest
import stripe

from conftest import DAY


def charge_of(shop, subscription):
    payment = shop.v1.invoice_payments.list({"invoice": subscription.latest_invoice}).data[0].payment
    return shop.v1.payment_intents.retrieve(payment.payment_intent, {"expand": ["latest_charge"]}).latest_charge


def test_a_charge_is_refunded_in_parts_and_no_further(shop):
    _, subscription = shop.subscriber()
    charge = charge_of(shop, subscription)
    refund = shop.v1.refunds.create({"charge": charge.id, "amount": 1000, "reason": "requested_by_customer"})
    assert (refund.status, refund.amount) == ("succeeded", 1000)
    shop.v1.refunds.create({"payment_intent": charge.payment_intent})
    assert [one.amount for one in shop.v1.refunds.list({"charge": charge.id}).data] == [2000, 1000]
    assert shop.v1.charges.retrieve(charge.id).refunded
    with pytest.raises(stripe.InvalidRequestError) as refused:
        shop.v1.refunds.create({"charge": charge.id})
    assert refused.value.code == "charge_already_refunded"


def test_a_paid_invoice_is_credited(shop):
    customer, subscription = shop.subscriber()
    invoice = shop.v1.invoices.retrieve(subscription.latest_invoice)
    line = {"type": "invoice_line_item", "invoice_line_item": invoice.lines.data[0].id, "amount": 1000}
    note = shop.v1.credit_notes.create({"invoice": invoice.id, "lines": [line], "credit_amount": 1000})
    assert (note.status, note.total) == ("issued", 1000)
    assert shop.v1.credit_notes.retrieve(note.id).invoice == invoice.id
    assert [one.id for one in shop.v1.credit_notes.list({"invoice": invoice.id}).data] == [note.id]
    assert shop.v1.customers.retrieve(customer.id).balance == -1000


def test_a_dispute_takes_a_charge_back(shop):
    _, subscription = shop.subscriber()
    charge = charge_of(shop, subscription)
    dispute = shop.program.test("POST", f"/charges/{charge.id}/dispute", {"reason": "fraudulent"})
    assert shop.v1.disputes.retrieve(dispute["id"]).amount == 3000
    assert shop.v1.charges.retrieve(charge.id).disputed
    shop.program.test("POST", f"/disputes/{dispute['id']}/close", {"won": False})
    assert shop.v1.disputes.retrieve(dispute["id"]).status == "lost"
    assert [one.id for one in shop.v1.disputes.list({"charge": charge.id}).data] == [dispute["id"]]


def test_an_item_waits_for_the_next_invoice(shop):
    customer, subscription = shop.subscriber()
    new = {"customer": customer.id, "amount": 250, "currency": "usd", "description": "A letter"}
    item = shop.v1.invoice_items.create(new)
    assert shop.v1.invoice_items.retrieve(item.id).amount == 250
    assert [one.id for one in shop.v1.invoice_items.list({"customer": customer.id, "pending": True}).data] == [item.id]
    shop.advance(32 * DAY)
    renewal = shop.v1.invoices.list({"subscription": subscription.id}).data[0]
    assert sorted(line.amount for line in renewal.lines.data) == [250, 3000]


def test_what_a_meter_has_counted_is_billed_at_the_end(shop):
    meter = shop.v1.billing.meters.create(
        {"display_name": "Calls", "event_name": "calls", "default_aggregation": {"formula": "sum"}}
    )
    assert shop.v1.billing.meters.retrieve(meter.id).event_name == "calls"
    assert [one.id for one in shop.v1.billing.meters.list().data] == [meter.id]
    price = shop.v1.prices.create(
        {
            "product_data": {"name": "Calls"},
            "currency": "usd",
            "unit_amount": 10,
            "recurring": {"interval": "month", "usage_type": "metered", "meter": meter.id},
        }
    )
    customer = shop.customer()
    card = shop.v1.payment_methods.attach("pm_card_visa", {"customer": customer.id})
    subscription = shop.v1.subscriptions.create(
        {"customer": customer.id, "items": [{"price": price.id}], "default_payment_method": card.id}
    )
    used = {"event_name": "calls", "payload": {"stripe_customer_id": customer.id, "value": "42"}}
    assert shop.v1.billing.meter_events.create(used).payload["value"] == "42"
    minute = subscription.created // 60 * 60
    span = {"customer": customer.id, "start_time": minute, "end_time": minute + 3600}
    assert [one.aggregated_value for one in shop.v1.billing.meters.event_summaries.list(meter.id, span).data] == [42]
    shop.advance(32 * DAY)
    assert shop.v1.invoices.list({"subscription": subscription.id}).data[0].total == 420
