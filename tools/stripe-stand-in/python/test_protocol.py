"""What holds for every request: keys, accounts, idempotency, errors, expansions, faults."""

import pytest
import stripe


def test_the_same_key_is_answered_the_same(shop):
    again = {"idempotency_key": "one"}
    first = shop.v1.customers.create({"email": "ada@example.com"}, again)
    second = shop.v1.customers.create({"email": "ada@example.com"}, again)
    assert first.id == second.id
    assert second.last_response.headers["idempotent-replayed"] == "true"
    assert "idempotent-replayed" not in first.last_response.headers
    assert len(shop.v1.customers.list().data) == 1
    with pytest.raises(stripe.IdempotencyError) as refused:
        shop.v1.customers.create({"email": "bob@example.com"}, again)
    assert refused.value.http_status == 400


def test_an_answer_that_is_lost_is_found_again_by_the_sdk_itself(shop):
    client = shop.client_with()
    client.v1.customers.list()
    client._requestor._options.max_network_retries = 1
    fault = {"fault": "drop_after", "method": "POST", "path": "/v1/customers"}
    shop.v1.customers.create()
    shop.program.test("POST", "/faults", fault)
    customer = client.v1.customers.create({"email": "ada@example.com"})
    assert customer.last_response.headers["idempotent-replayed"] == "true"
    assert len(shop.v1.customers.list().data) == 2


@pytest.mark.parametrize(
    "status, code, kind",
    [
        (429, None, stripe.RateLimitError),
        (500, None, stripe.APIError),
        (503, None, stripe.APIError),
        (402, "card_declined", stripe.CardError),
        (409, "lock_timeout", stripe.StripeError),
    ],
)
def test_a_status_that_was_asked_for_is_the_sdks_error(shop, status, code, kind):
    shop.v1.customers.list()
    shop.program.test("POST", "/faults", {"fault": "status", "status": status, "code": code, "path": "/v1/customers"})
    with pytest.raises(kind) as failed:
        shop.v1.customers.list()
    assert failed.value.http_status == status


def test_a_key_must_be_a_test_key(shop):
    for key in ["sk_live_1", "pk_test_1"]:
        with pytest.raises(stripe.AuthenticationError) as refused:
            shop.client_with(key).v1.customers.list()
        assert refused.value.http_status == 401
    assert shop.client_with("rk_test_1").v1.customers.list().data == []


def test_an_error_says_which_parameter_it_is_about(shop):
    def refused(call):
        with pytest.raises(stripe.InvalidRequestError) as refused:
            call()
        error = refused.value
        assert error.error.type == "invalid_request_error" and error.user_message and error.request_id
        if error.code:
            assert error.code.replace("_", "-") in error.error.doc_url
        return error.http_status, error.code, error.param

    customers, prices = shop.v1.customers, shop.v1.prices
    assert refused(lambda: customers.retrieve("cus_none")) == (404, "resource_missing", "id")
    assert refused(lambda: customers.create({"nmae": "Ada"})) == (400, "parameter_unknown", "nmae")
    assert refused(lambda: customers.create({"address": {"planet": "Mars"}})) == (
        400,
        "parameter_unknown",
        "address[planet]",
    )
    assert refused(lambda: prices.create({"unit_amount": 1})) == (400, "parameter_missing", "currency")
    new = {"currency": "usd", "unit_amount": "ten", "product_data": {"name": "A"}}
    assert refused(lambda: prices.create(new)) == (400, "parameter_invalid_integer", "unit_amount")
    new = {"currency": "usd", "unit_amount": 1, "product": "prod_none"}
    assert refused(lambda: prices.create(new)) == (400, "resource_missing", "product")
    new = {"currency": "usd", "unit_amount": 1, "product_data": {"name": ""}}
    assert refused(lambda: prices.create(new)) == (400, "parameter_invalid_empty", "product_data[name]")
    assert refused(lambda: customers.list({"created": {"gte": "now"}})) == (
        400,
        "parameter_invalid_integer",
        "created[gte]",
    )


def test_a_path_that_stripe_does_not_have_is_not_found(shop):
    with pytest.raises(stripe.InvalidRequestError) as refused:
        shop.client.raw_request("get", "/v1/unheard_of")
    assert refused.value.http_status == 404
    assert "Unrecognized request URL (GET: /v1/unheard_of)" in refused.value.user_message


def test_an_expansion_that_is_refused_leaves_nothing_behind(shop):
    with pytest.raises(stripe.InvalidRequestError) as refused:
        shop.v1.customers.create({"expand": ["nothing"]})
    assert refused.value.param == "expand"
    assert shop.v1.customers.list().data == []


def test_a_connected_account_is_a_world_of_its_own(shop):
    account = shop.v1.accounts.create({"type": "standard", "country": "NL"})
    assert shop.v1.accounts.retrieve(account.id).country == "NL"
    assert shop.v1.accounts.update(account.id, {"metadata": {"agency": "a"}}).metadata["agency"] == "a"
    own = shop.v1.accounts.retrieve_current()
    assert own.id != account.id
    theirs = shop.client_with(stripe_account=account.id)
    assert theirs.v1.accounts.retrieve_current().id == account.id
    customer = theirs.v1.customers.create({"email": "ada@example.com"})
    assert [one.id for one in theirs.v1.customers.list().data] == [customer.id]
    assert shop.v1.customers.list().data == []
    with pytest.raises(stripe.InvalidRequestError) as refused:
        shop.v1.customers.retrieve(customer.id)
    assert refused.value.http_status == 404
    with pytest.raises(stripe.PermissionError) as refused:
        shop.client_with(stripe_account="acct_none").v1.customers.list()
    assert (refused.value.http_status, refused.value.error.code) == (403, "account_invalid")


def test_a_reset_goes_back_to_the_beginning_and_makes_no_id_twice(shop):
    gone = shop.customer()
    shop.program.test("POST", "/reset")
    assert shop.v1.customers.list().data == []
    assert shop.customer().id != gone.id
