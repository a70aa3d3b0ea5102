"""How lists are cut and paged, which is the same for all of them."""

import pytest
import stripe


def made(shop, what):
    """Five objects of a kind, newest first, and the list that they are in."""
    if what == "customers":
        objects = [shop.customer(name=str(number)) for number in range(5)]
    elif what == "products":
        objects = [shop.v1.products.create({"name": str(number)}) for number in range(5)]
    elif what == "prices":
        objects = [shop.price(unit_amount=number) for number in range(5)]
    elif what == "coupons":
        objects = [shop.v1.coupons.create({"percent_off": 5, "duration": "once"}) for _ in range(5)]
    elif what == "promotion_codes":
        promotion = {"type": "coupon", "coupon": shop.v1.coupons.create({"percent_off": 5, "duration": "once"}).id}
        objects = [shop.v1.promotion_codes.create({"promotion": promotion}) for _ in range(5)]
    elif what == "checkout.sessions":
        customer, price = shop.customer(), shop.price()
        objects = [shop.session(customer, price) for _ in range(5)]
    elif what == "webhook_endpoints":
        new = {"url": "http://127.0.0.1:1/", "enabled_events": ["invoice.paid"]}
        objects = [shop.v1.webhook_endpoints.create(new) for _ in range(5)]
    else:
        price = shop.price()
        pairs = [shop.subscriber(price) for _ in range(5)]
        objects = [subscription for _, subscription in pairs]
    service = shop.v1
    for name in what.split("."):
        service = getattr(service, name)
    return [one.id for one in reversed(objects)], service


KINDS = [
    "customers",
    "products",
    "prices",
    "coupons",
    "promotion_codes",
    "checkout.sessions",
    "subscriptions",
    "webhook_endpoints",
]


@pytest.mark.parametrize("what", KINDS)
def test_a_list_is_paged_forwards_and_backwards(shop, what):
    ids, service = made(shop, what)

    def page(**params):
        page = service.list(params)
        return [one.id for one in page.data], page.has_more

    assert page() == (ids, False)
    assert page(limit=2) == (ids[:2], True)
    assert page(limit=2, starting_after=ids[1]) == (ids[2:4], True)
    assert page(limit=2, starting_after=ids[3]) == (ids[4:], False)
    assert page(limit=2, ending_before=ids[4]) == (ids[2:4], True)
    assert page(limit=2, ending_before=ids[2]) == (ids[:2], False)
    assert page(limit=5) == (ids, False)
    assert [one.id for one in service.list({"limit": 2}).auto_paging_iter()] == ids
    backwards = service.list({"limit": 2, "ending_before": ids[4]}).auto_paging_iter()
    assert [one.id for one in backwards] == ids[3::-1]


@pytest.mark.parametrize("what", ["customers", "prices"])
@pytest.mark.parametrize(
    "params, param",
    [
        ({"limit": 0}, "limit"),
        ({"limit": 101}, "limit"),
        ({"limit": "many"}, "limit"),
        ({"starting_after": "none"}, "starting_after"),
        ({"ending_before": "none"}, "ending_before"),
        ({"starting_after": "a", "ending_before": "b"}, None),
    ],
)
def test_a_page_that_cannot_be_is_refused(shop, what, params, param):
    with pytest.raises(stripe.InvalidRequestError) as refused:
        getattr(shop.v1, what).list(params)
    assert refused.value.http_status == 400
    assert param is None or refused.value.param == param


def test_a_list_is_cut_by_time(shop):
    first = shop.customer()
    shop.advance(60)
    second = shop.customer()
    found = lambda **bounds: [one.id for one in shop.v1.customers.list({"created": bounds}).data]
    assert found(gte=second.created) == [second.id]
    assert found(lt=second.created) == [first.id]
    assert found(gt=first.created, lte=second.created) == [second.id]
    assert [one.id for one in shop.v1.customers.list({"created": first.created}).data] == [first.id]


def test_what_is_listed_can_be_expanded(shop):
    customer, subscription = shop.subscriber()
    listed = shop.v1.subscriptions.list({"expand": ["data.customer", "data.items.data.price.product"]}).data[0]
    assert listed.customer.email == "ada@example.com"
    assert listed["items"].data[0].price.product.name == "Number"
    whole = shop.v1.customers.retrieve(customer.id, {"expand": ["subscriptions"]})
    assert [one.id for one in whole.subscriptions.data] == [subscription.id]
