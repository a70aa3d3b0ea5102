"""What time brings: schedules that begin, lead and end, and customers who live by a clock of their own."""

import pytest
import stripe

from conftest import DAY


def customer_with_card(shop, **more):
    card = "pm_card_visa"
    return shop.customer(payment_method=card, invoice_settings={"default_payment_method": card}, **more)


def schedule(shop, customer, price, start_date, quantity=3):
    phase = {
        "items": [{"price": price.id, "quantity": quantity}],
        "duration": {"interval": "month", "interval_count": 2},
    }
    return shop.v1.subscription_schedules.create(
        {"customer": customer.id, "start_date": start_date, "phases": [phase]}
    )


def test_a_schedule_begins_when_its_time_has_come(shop):
    customer = customer_with_card(shop)
    made = schedule(shop, customer, shop.price(), shop.now() + 10 * DAY)
    assert (made.status, made.subscription) == ("not_started", None)
    shop.advance(10 * DAY)
    begun = shop.v1.subscription_schedules.retrieve(made.id, {"expand": ["subscription"]})
    assert (begun.status, begun.subscription.status) == ("active", "active")
    assert begun.subscription["items"].data[0].quantity == 3
    changed = shop.v1.subscription_schedules.update(made.id, {"end_behavior": "cancel", "metadata": {"a": "1"}})
    assert (changed.end_behavior, changed.metadata["a"]) == ("cancel", "1")
    shop.advance(70 * DAY)
    assert shop.v1.subscription_schedules.retrieve(made.id).status == "completed"
    assert shop.v1.subscriptions.retrieve(begun.subscription.id).status == "canceled"


def test_a_schedule_is_released_or_canceled(shop):
    customer, price = customer_with_card(shop), shop.price()
    released = schedule(shop, customer, price, "now")
    assert shop.v1.subscription_schedules.release(released.id).status == "released"
    assert shop.v1.subscriptions.retrieve(released.subscription).status == "active"
    canceled = schedule(shop, customer, price, shop.now() + DAY)
    assert shop.v1.subscription_schedules.cancel(canceled.id).status == "canceled"
    with pytest.raises(stripe.InvalidRequestError):
        shop.v1.subscription_schedules.release(canceled.id)
    listed = shop.v1.subscription_schedules.list({"customer": customer.id}).data
    assert [one.id for one in listed] == [canceled.id, released.id]


def test_a_customer_lives_by_a_test_clock(shop):
    start = shop.now()
    clock = shop.v1.test_helpers.test_clocks.create({"frozen_time": start, "name": "Ada's year"})
    customer = customer_with_card(shop, test_clock=clock.id)
    subscription = shop.v1.subscriptions.create(
        {"customer": customer.id, "items": [{"price": shop.price().id, "quantity": 3}]}
    )
    shop.v1.test_helpers.test_clocks.advance(clock.id, {"frozen_time": start + 40 * DAY})
    assert shop.v1.test_helpers.test_clocks.retrieve(clock.id).status == "ready"
    assert len(shop.v1.invoices.list({"subscription": subscription.id}).data) == 2
    with pytest.raises(stripe.InvalidRequestError):
        shop.v1.test_helpers.test_clocks.advance(clock.id, {"frozen_time": start})
