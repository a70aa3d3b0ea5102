"""What changes cost: subscriptions created, changed and previewed by call; coupons and promotion codes."""

import pytest
import stripe

from conftest import DAY


def subscribe(shop, customer, price, **more):
    card = shop.v1.payment_methods.attach("pm_card_visa", {"customer": customer.id})
    return shop.v1.subscriptions.create(
        {
            "customer": customer.id,
            "items": [{"price": price.id, "quantity": 3}],
            "default_payment_method": card.id,
            "expand": ["latest_invoice"],
            **more,
        }
    )


def test_a_subscription_is_created_by_call(shop):
    customer = shop.customer()
    subscription = subscribe(shop, customer, shop.price(), metadata={"account": "ada"})
    assert (subscription.status, subscription.latest_invoice.amount_paid) == ("active", 3000)
    assert subscription.metadata["account"] == "ada"
    with pytest.raises(stripe.InvalidRequestError) as refused:
        shop.v1.subscriptions.create({"customer": customer.id, "items": [{"price": "price_none"}]})
    assert (refused.value.code, refused.value.param) == ("resource_missing", "items[0][price]")


def test_a_mode_is_as_told_flexible_otherwise_and_never_classic_again(shop):
    customer = shop.customer()
    told = subscribe(shop, customer, shop.price(), billing_mode={"type": "classic"})
    assert (told.billing_mode.type, told.billing_mode.flexible) == ("classic", None)
    assert subscribe(shop, customer, shop.price()).billing_mode.flexible.proration_discounts == "included"
    migrated = shop.v1.subscriptions.migrate(told.id, {"billing_mode": {"type": "flexible"}})
    assert migrated.billing_mode.type == "flexible" and migrated.billing_mode.updated_at
    with pytest.raises(stripe.InvalidRequestError):
        shop.v1.subscriptions.migrate(told.id, {"billing_mode": {"type": "flexible"}})


def test_a_change_costs_what_its_preview_said(shop):
    """3 × 10.00 by the month become 3 × 96.00 by the year in the first second: −30.00 unused, +288.00, in either mode."""
    annual = shop.price(9600, "year")
    customer, subscription = shop.subscriber()
    item = subscription["items"].data[0]
    now = item.current_period_start
    change = {"items": [{"id": item.id, "price": annual.id, "quantity": 3}], "proration_behavior": "always_invoice"}
    asked = {"customer": customer.id, "subscription": subscription.id}
    preview = shop.v1.invoices.create_preview({**asked, "subscription_details": {**change, "proration_date": now}})
    assert preview.status == "draft" and preview.total == 28800 - 3000
    assert shop.v1.subscriptions.retrieve(subscription.id)["items"].data[0].price.id == item.price.id
    changed = shop.v1.subscriptions.update(
        subscription.id, {**change, "proration_date": now, "expand": ["latest_invoice"]}
    )
    assert changed["items"].data[0].price.id == annual.id
    assert changed.latest_invoice.total == preview.total
    assert [line.amount for line in changed.latest_invoice.lines.data] == [line.amount for line in preview.lines.data]


def test_items_are_added_changed_and_taken_away(shop):
    _, subscription = shop.subscriber()
    other = shop.price(500)
    quiet = {"proration_behavior": "none"}
    added = shop.v1.subscription_items.create({"subscription": subscription.id, "price": other.id, **quiet})
    assert shop.v1.subscription_items.retrieve(added.id).price.id == other.id
    assert shop.v1.subscription_items.update(added.id, {"quantity": 4, **quiet}).quantity == 4
    listed = shop.v1.subscription_items.list({"subscription": subscription.id})
    assert sorted(item.quantity for item in listed.data) == [3, 4]
    assert shop.v1.subscription_items.delete(added.id, quiet).deleted
    assert len(shop.v1.subscription_items.list({"subscription": subscription.id}).data) == 1


def test_a_coupon_is_redeemed_through_its_promotion_code(shop):
    coupon = shop.v1.coupons.create({"percent_off": 25, "duration": "once", "name": "Launch"})
    assert shop.v1.coupons.retrieve(coupon.id).percent_off == 25
    code = shop.v1.promotion_codes.create(
        {"promotion": {"type": "coupon", "coupon": coupon.id}, "code": "LAUNCH25", "max_redemptions": 1}
    )
    found = shop.v1.promotion_codes.list({"code": "LAUNCH25", "expand": ["data.promotion.coupon"]}).data
    assert [one.promotion.coupon.id for one in found] == [coupon.id]
    subscription = subscribe(shop, shop.customer(), shop.price(), discounts=[{"promotion_code": code.id}])
    assert subscription.latest_invoice.total == 2250
    assert shop.v1.promotion_codes.retrieve(code.id).times_redeemed == 1
    with pytest.raises(stripe.InvalidRequestError):
        subscribe(shop, shop.customer(), shop.price(), discounts=[{"promotion_code": code.id}])
    shop.advance(32 * DAY)
    renewal = shop.v1.invoices.list({"subscription": subscription.id}).data[0]
    assert renewal.total == 3000, "once is once"


def test_a_promotion_code_and_its_coupon_are_taken_away(shop):
    coupon = shop.v1.coupons.create({"amount_off": 500, "currency": "usd", "duration": "forever"})
    code = shop.v1.promotion_codes.create({"promotion": {"type": "coupon", "coupon": coupon.id}, "code": "FIVE"})
    assert not shop.v1.promotion_codes.update(code.id, {"active": False}).active
    assert [one.id for one in shop.v1.promotion_codes.list({"active": True}).data] == []
    assert [one.id for one in shop.v1.coupons.list().data] == [coupon.id]
    assert shop.v1.coupons.delete(coupon.id).deleted
    with pytest.raises(stripe.InvalidRequestError) as refused:
        shop.v1.coupons.retrieve(coupon.id)
    assert refused.value.http_status == 404
