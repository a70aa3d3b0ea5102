//! Every promise in every one of the possible Stripes: what is not known of the real one is a setting of the stand-in.

use billing_tests::{Account, Moment, World, at_every_death};
use serde_json::{Value, json};
use stripe_stand_in::{NewPeriodStart, Settings};

use crate::changes::nothing_changed;

/// A Stripe that refuses to let a change with discounts wait for its payment.
fn nothing_waits_with_a_code() -> Settings {
    Settings {
        pending_updates_take_discounts: false,
        ..Settings::default()
    }
}

fn with_code() -> Value {
    json!({ "interval": "annual", "promotionCode": "SPRING20" })
}

/// An account that pays 10.00 for April since ten days, and a code for a fifth off.
async fn ten_days_later(world: &World) -> (Account<'_>, String) {
    let ada = world.subscriber(1, "monthly").await;
    world.advance("10d").await;
    let code = world
        .stripe
        .makes_code("percent_off=20&duration=once", "code=SPRING20")
        .await;
    (ada, code)
}

async fn redeemed(world: &World, code: &str) -> Value {
    let path = format!("/v1/promotion_codes/{code}");
    world.stripe.operator("GET", &path, "").await["times_redeemed"].clone()
}

/// 20/30 of 10.00 back, 96.00 for the year less a fifth: −667 + 9600 − 1920 = 7013. Paid at once in either Stripe, once, as quoted.
#[tokio::test]
async fn a_change_with_a_code_is_paid_as_quoted_whether_it_may_wait_or_not() {
    for settings in [Settings::default(), nothing_waits_with_a_code()] {
        let world = World::at("2026-04-01T00:00:00Z").await;
        world.stripe.is(settings);
        let (ada, code) = ten_days_later(&world).await;
        ada.cancels().await;
        let preview = ada.previews(&with_code()).await;
        assert_eq!(preview.body["amountDueCents"], 7013, "{preview}");
        let mut wish = with_code();
        wish["prorationDate"] = preview.body["prorationDate"].clone();
        assert_eq!(
            ada.changes(&wish).await,
            r#"200 {"changed":true,"interval":"annual"}"#
        );
        world.stripe.stand_in().settle().await;
        assert_eq!(world.stripe.payments(&ada).await, [1000, 7013]);
        assert_eq!(redeemed(&world, &code).await, 1);
        assert_eq!(ada.covered_until().await, "2027-04-11T00:00:00Z");
        assert_eq!(
            ada.billing().await.body["subscription"]["cancelAtPeriodEnd"],
            false
        );
        assert_eq!(
            ada.changes(&wish).await,
            r#"200 {"changed":false,"interval":"annual"}"#
        );
    }
}

/// Where it may not wait, a declined card is told in Stripe's words for the payer, and one whose bank wants the payer in ours. Nothing
/// is changed, covered, un-cancelled or used up; with another card it goes through.
#[tokio::test]
async fn where_a_change_with_a_code_may_not_wait_it_is_paid_or_refused() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    world.stripe.is(nothing_waits_with_a_code());
    let (ada, code) = ten_days_later(&world).await;
    ada.cancels().await;
    for (card, told) in [
        ("pm_card_chargeCustomerFail", "Your card was declined."),
        (
            "pm_card_authenticationRequired",
            "the payment has to be confirmed with the bank, which a change with a promotion code cannot wait for",
        ),
    ] {
        world.stripe.gives_card(&ada, card).await;
        let answer = ada.changes(&with_code()).await;
        assert_eq!((answer.status, &answer.body), (402, &json!({ "error": told })));
        nothing_changed(&world, &ada, &[1000]).await;
        let billing = ada.billing().await;
        assert_eq!(
            (
                &billing.body["subscription"]["interval"],
                &billing.body["subscription"]["cancelAtPeriodEnd"],
                &billing.body["coveredUntil"]
            ),
            (&json!("monthly"), &json!(true), &json!("2026-05-01T00:00:00Z"))
        );
        assert_eq!(redeemed(&world, &code).await, 0);
    }
    let waits = ada.changes(&json!({ "interval": "annual" })).await;
    assert_eq!(
        waits.body["payment"]["status"], "requires_action",
        "without a code it may wait: {waits}"
    );
    world.advance("1d").await;
    world.stripe.gives_card(&ada, "pm_card_visa").await;
    assert_eq!(ada.changes(&with_code()).await.status, 200);
    assert_eq!(redeemed(&world, &code).await, 1);
}

/// Where it may not wait, the change is two requests to Stripe. Whichever step a machine dies over, the change is made once.
#[tokio::test]
async fn where_a_change_with_a_code_may_not_wait_it_converges_after_a_crash_at_any_step() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    world.stripe.is(nothing_waits_with_a_code());
    let code = world
        .stripe
        .makes_code("percent_off=20&duration=once", "code=SPRING20")
        .await;
    let mut made = 0;
    for moment in [Moment::Before, Moment::After] {
        let mut finished = false;
        for step in 1..40 {
            let ada = world.subscriber(1, "monthly").await;
            let machine = world.machine().await;
            machine.network.stops(moment, step);
            let wish = with_code();
            tokio::select! {
                answer = ada.changes_on(&machine, &wish) => {
                    assert_eq!(answer.unwrap().body["changed"], true);
                    finished = true;
                }
                () = machine.network.reached() => {}
            }
            machine.dies();
            let answer = ada.changes(&with_code()).await;
            assert_eq!(answer.status, 200, "died {moment:?} step {step}: {answer}");
            world.stripe.stand_in().settle().await;
            made += 1;
            // All of 10.00 back on the first day: 9600 − 1000 − 1920.
            assert_eq!(
                world.stripe.payments(&ada).await,
                [1000, 6680],
                "died {moment:?} step {step}"
            );
            assert_eq!(redeemed(&world, &code).await, made, "died {moment:?} step {step}");
            assert_eq!(ada.stored().await.profile.change, None);
            if finished {
                break;
            }
        }
        assert!(finished);
    }
}

/// Quoted on the 11th, taken on the 12th. Whether the year begins at the call or at the quoted second, and whether its charge is
/// labelled a proration, which a code does not touch: the charge is the quote, and what is covered is what Stripe says is billed.
#[tokio::test]
async fn a_quote_is_what_is_charged_wherever_the_new_period_begins_and_however_it_is_labelled() {
    for (starts_at, until) in [
        (NewPeriodStart::Call, "2027-04-12T00:00:00Z"),
        (NewPeriodStart::ProrationDate, "2027-04-11T00:00:00Z"),
    ] {
        for (new_period_is_proration, due) in [(false, 7013), (true, 8933)] {
            let world = World::at("2026-04-01T00:00:00Z").await;
            world.stripe.is(Settings {
                new_period_starts_at: starts_at,
                new_period_is_proration,
                ..Settings::default()
            });
            let (ada, _) = ten_days_later(&world).await;
            let preview = ada.previews(&with_code()).await;
            assert_eq!(preview.body["amountDueCents"], due, "{starts_at:?} {preview}");
            world.advance("1d").await;
            let mut wish = with_code();
            wish["prorationDate"] = preview.body["prorationDate"].clone();
            let answer = ada.changes(&wish).await;
            assert_eq!(answer.body["changed"], true, "{starts_at:?} {answer}");
            world.stripe.stand_in().settle().await;
            assert_eq!(world.stripe.payments(&ada).await, [1000, due]);
            assert_eq!(ada.covered_until().await, until, "{starts_at:?}");
            assert_eq!(ada.billing().await.body["subscription"]["periodEnd"], until);
        }
    }
}

/// A year, and months quoted on its second day and taken ten weeks later: what was quoted is charged.
#[tokio::test]
async fn a_month_that_was_quoted_months_ago_is_taken_as_quoted() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let ada = world.subscriber(1, "annual").await;
    world.advance("1d").await;
    let preview = ada.previews(&json!({ "interval": "monthly" })).await.body;
    world.advance("80d").await;
    let quoted = json!({ "interval": "monthly", "prorationDate": preview["prorationDate"] });
    let answer = ada.changes(&quoted).await;
    assert_eq!(answer.body["changed"], true, "{answer}");
    let lines = preview["lines"].as_array().unwrap();
    let quoted: i64 = lines.iter().filter_map(|line| line["amountCents"].as_i64()).sum();
    assert_eq!(world.stripe.invoices(&ada).await[0]["total"], quoted);
}

/// A year, a month quoted on its second day, and the year cancelled. Where the month begins at the quoted second, and would be over when it is taken, the
/// subscription would end with it. Four weeks later it is not over.
#[tokio::test]
async fn a_month_that_was_quoted_a_month_ago_is_not_taken_wherever_it_begins() {
    for (new_period_starts_at, until) in [
        (NewPeriodStart::Call, "2026-05-30T00:00:00Z"),
        (NewPeriodStart::ProrationDate, "2026-05-02T00:00:00Z"),
    ] {
        for (days, is_taken) in [("80d", false), ("30d", false), ("29d", false), ("28d", true)] {
            let world = World::at("2026-04-01T00:00:00Z").await;
            world.stripe.is(Settings {
                new_period_starts_at,
                ..Settings::default()
            });
            let ada = world.subscriber(1, "annual").await;
            world.advance("1d").await;
            let preview = ada.previews(&json!({ "interval": "monthly" })).await;
            let date = preview.body["prorationDate"].clone();
            ada.cancels().await;
            world.advance(days).await;
            let quoted = json!({ "interval": "monthly", "prorationDate": date });
            let answer = ada.changes(&quoted).await;
            world.stripe.stand_in().settle().await;
            if is_taken {
                assert_eq!(answer.body["changed"], true, "{new_period_starts_at:?} {answer}");
                assert_eq!(ada.covered_until().await, until);
                continue;
            }
            assert_eq!(answer.status, 400, "{new_period_starts_at:?} {days} {answer}");
            let told = answer.body.to_string();
            assert!(
                told.contains("prorationDate")
                    && told.contains("must not be so long ago that the new period would be over"),
                "{told}"
            );
            assert_eq!(ada.stored().await.profile.change, None);
            assert_eq!(world.stripe.invoices(&ada).await.len(), 1);
            let standing = ada.billing().await.body["subscription"].take();
            assert_eq!(
                (&standing["interval"], &standing["cancelAtPeriodEnd"]),
                (&json!("annual"), &json!(true)),
                "{days}"
            );
            // Without the old date it is.
            let changed = ada.changes(&json!({ "interval": "monthly" })).await;
            assert_eq!(changed.body["changed"], true, "{changed}");
        }
    }
}

/// The card that paid a contract is named for another of the same customer: whether Stripe gives it to its customer again or refuses to, it pays. Another
/// customer's does not.
#[tokio::test]
async fn a_payment_method_that_the_customer_has_is_taken_whether_it_may_be_given_again_or_not() {
    for attaching_again_is_refused in [false, true] {
        let world = World::at("2026-04-01T00:00:00Z").await;
        world.stripe.is(Settings {
            attaching_again_is_refused,
            ..Settings::default()
        });
        let acme = world.organisation("acme").await;
        acme.sells(&acme.order("starter")).await;
        let card = world.stripe.all_subscriptions().await.remove(0)["default_payment_method"].clone();
        let named = json!({ "payment_method_id": card });
        let own = acme
            .confirms(&acme.session(&acme.order("starter")).await, &named)
            .await;
        assert_eq!(own.body["checkout_status"], "contract_created", "{own}");
        // Twice at once.
        let twice = acme.session(&acme.order("starter")).await;
        let (machine, other) = (world.machine().await, world.machine().await);
        let answers = tokio::join!(
            acme.confirms_on(&machine, &twice, &named),
            acme.confirms_on(&other, &twice, &named)
        );
        assert!(
            [answers.0, answers.1]
                .into_iter()
                .flatten()
                .any(|told| told.status == 200)
        );
        let guest = acme.session(&acme.guest_order("eve@example.com")).await;
        let others = acme.confirms(&guest, &named).await;
        assert_eq!(others.status, 400, "{others}");
        assert_eq!(world.stripe.charges().await, [3500, 3500, 3500]);
    }
}

/// A year is over, so that the subscription has begun before its period, when a downgrade is confirmed; the machine lives, or dies between its
/// two requests. Wherever Stripe has the phase of the new schedule begin, the downgrade is made once, and billed once.
#[tokio::test]
async fn a_downgrade_is_made_wherever_its_schedule_begins() {
    for (phases_begin_with_subscriptions, dies) in
        [(false, false), (false, true), (true, false), (true, true)]
    {
        let context = format!("with subscriptions: {phases_begin_with_subscriptions}, dies: {dies}");
        let world = World::at("2026-04-01T00:00:00Z").await;
        world.stripe.is(Settings {
            phases_begin_with_subscriptions,
            ..Settings::default()
        });
        let acme = world.organisation("acme").await;
        let contract = acme.sells(&acme.order("team-annual")).await;
        world.advance("366d").await;
        let less = json!({ "contract_id": contract, "plan_id": acme.plan("starter") });
        let id = acme.session(&less).await;
        if dies {
            let machine = world.machine().await;
            machine
                .network
                .stops_named(Moment::Before, "POST /v1/subscription_schedules/");
            machine
                .dies_over(acme.confirms_on(&machine, &id, &Value::Null))
                .await;
        }
        let sold = acme.confirms(&id, &Value::Null).await;
        assert_eq!(
            sold.body["checkout_status"], "contract_created",
            "{context}: {sold}"
        );
        assert_eq!(world.stripe.phases_of_latest_schedule().await, 2, "{context}");
        world.advance("366d").await;
        assert_eq!(world.stripe.charges().await, [75000, 75000, 3500], "{context}");
        let stored = acme.contract(&contract).await;
        assert_eq!(
            (stored.contract.scheduled, stored.history.len()),
            (None, 2),
            "{context}"
        );
    }
}

/// A year waits for its payment when the account cancels, or resumes what it had cancelled before. Where Stripe drops the year over that, its bill
/// is void, nothing is changed or charged, and whoever asks for it once more pays another bill, once; whoever dies over that, and whether or not
/// the news of it has arrived.
#[tokio::test]
async fn a_change_that_waits_is_made_once_whether_an_end_drops_it_or_not() {
    for (ends_expire_pending_updates, cancels_before, holds_events) in [
        (false, false, false),
        (false, true, false),
        (true, false, false),
        (true, true, false),
        (true, false, true),
    ] {
        let world = World::at("2026-04-01T00:00:00Z").await;
        world.stripe.is(Settings {
            ends_expire_pending_updates,
            ..Settings::default()
        });
        let wish = json!({ "interval": "annual" });
        at_every_death(async |death| {
            let context = format!(
                "{death}, drops: {ends_expire_pending_updates}, cancels before: {cancels_before}, holds: {holds_events}"
            );
            let ada = world.subscriber(1, "monthly").await;
            if cancels_before {
                ada.cancels().await;
            }
            let card = "pm_card_authenticationRequired";
            world.stripe.gives_card(&ada, card).await;
            let first = ada.changes(&wish).await;
            world.stripe.stand_in().settle().await;
            world.stripe.holds_events(holds_events).await;
            let ends = if cancels_before {
                ada.resumes().await
            } else {
                ada.cancels().await
            };
            assert_eq!(ends.body["cancelAtPeriodEnd"], !cancels_before, "{context}");
            world.stripe.stand_in().settle().await;
            let pending = world.stripe.subscription(&ada).await["pending_update"].clone();
            assert_eq!(pending.is_null(), ends_expire_pending_updates, "{context}");
            assert_eq!(
                ada.billing().await.body["subscription"]["interval"],
                "monthly",
                "{context}"
            );
            let told = world
                .dies_over(death, async |machine| ada.changes_on(machine, &wish).await)
                .await;
            let again = ada.changes(&wish).await;
            assert_eq!(
                again.body["payment"]["status"], "requires_action",
                "{context}: {again}"
            );
            assert_eq!(
                again.body == first.body,
                !ends_expire_pending_updates,
                "{context}"
            );
            let bills = world.stripe.invoices(&ada).await;
            let open = bills.iter().filter(|bill| bill["status"] == "open").count();
            assert_eq!(open, 1, "{context}");
            world.stripe.holds_events(false).await;
            world.stripe.pays_open_invoice(&ada).await;
            let paid = ada.billing().await.body;
            assert_eq!(
                (
                    &paid["subscription"]["interval"],
                    &paid["subscription"]["cancelAtPeriodEnd"]
                ),
                (&json!("annual"), &json!(false)),
                "{context}"
            );
            assert_eq!(paid["coveredUntil"], "2027-04-01T00:00:00Z", "{context}");
            assert_eq!(world.stripe.payments(&ada).await, [1000, 8600], "{context}");
            assert_eq!(ada.stored().await.profile.change, None, "{context}");
            told.is_some()
        })
        .await;
    }
}
