"""Customers, products, prices, payment methods."""

import pytest
import stripe


def test_a_customer_is_made_changed_and_deleted(shop):
    customer = shop.customer(name="Ada", metadata={"account": "ada"}, address={"country": "NL"})
    assert (customer.object, customer.email, customer.metadata["account"]) == ("customer", "ada@example.com", "ada")
    changed = shop.v1.customers.update(customer.id, {"name": "Ada L.", "metadata": {"account": "", "plan": "b"}})
    assert (changed.name, changed.metadata.to_dict()) == ("Ada L.", {"plan": "b"})
    assert shop.v1.customers.delete(customer.id).deleted
    assert shop.v1.customers.retrieve(customer.id).deleted
    with pytest.raises(stripe.InvalidRequestError) as refused:
        shop.v1.customers.update(customer.id, {"name": "Nobody"})
    assert refused.value.code == "resource_missing"


def test_a_product_has_prices_that_are_found_by_their_key(shop):
    product = shop.v1.products.create({"name": "Number", "unit_label": "number"})
    assert shop.v1.products.update(product.id, {"description": "A phone number"}).description == "A phone number"
    assert shop.v1.products.retrieve(product.id).name == "Number"
    price = shop.v1.prices.create(
        {
            "product": product.id,
            "currency": "usd",
            "unit_amount": 1000,
            "recurring": {"interval": "month"},
            "lookup_key": "monthly",
        }
    )
    assert shop.v1.prices.retrieve(price.id, {"expand": ["product"]}).product.name == "Number"
    assert [found.id for found in shop.v1.prices.list({"lookup_keys": ["monthly"]}).data] == [price.id]
    assert not shop.v1.prices.update(price.id, {"active": False}).active
    assert shop.v1.prices.list({"product": product.id, "active": True}).data == []


def test_tiers_are_told_when_they_are_asked_for(shop):
    price = shop.v1.prices.create(
        {
            "product_data": {"name": "Number"},
            "currency": "usd",
            "billing_scheme": "tiered",
            "tiers_mode": "graduated",
            "tiers": [{"up_to": 5, "unit_amount": 1000}, {"up_to": "inf", "unit_amount": 800}],
            "recurring": {"interval": "month"},
        }
    )
    assert getattr(price, "tiers", None) is None
    tiers = shop.v1.prices.retrieve(price.id, {"expand": ["tiers"]}).tiers
    assert [(tier.up_to, tier.unit_amount) for tier in tiers] == [(5, 1000), (None, 800)]


def test_a_test_card_is_attached_to_a_customer(shop):
    customer = shop.customer()
    card = shop.v1.payment_methods.attach("pm_card_visa", {"customer": customer.id})
    assert (card.card.last4, card.customer) == ("4242", customer.id)
    assert shop.v1.payment_methods.retrieve(card.id).id == card.id
    assert [found.id for found in shop.v1.payment_methods.list({"customer": customer.id}).data] == [card.id]
    assert shop.v1.payment_methods.detach(card.id).customer is None
    with pytest.raises(stripe.InvalidRequestError):
        shop.v1.payment_methods.attach(card.id, {"customer": customer.id})
    with pytest.raises(stripe.CardError) as declined:
        shop.v1.payment_methods.attach("pm_card_chargeDeclined", {"customer": customer.id})
    assert (declined.value.http_status, declined.value.code) == (402, "card_declined")
    assert declined.value.error.decline_code == "generic_decline"
