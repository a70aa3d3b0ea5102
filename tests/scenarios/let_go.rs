//! An operator gave the first bill up and ended its subscription, and Stripe does not let the bill be made void: it can be paid for as long
//! as its page is shown. The sale is let go, so that the same can be sold again, and whatever is paid for the old bill goes back, once.

use billing_core::contract::Status;
use billing_tests::{Account, Machine, Organisation, World, at_every_death, at_every_step, path_of};
use serde_json::{Value, json};
use stripe_stand_in::Settings;

use crate::reconciling::tick;

const NOW: &str = "2026-04-01T00:00:00Z";

fn visa() -> Value {
    json!({ "payment_method_id": "pm_card_visa" })
}

/// A Stripe that makes no bill void that was given up.
pub(crate) async fn world() -> World {
    let world = World::at(NOW).await;
    world.stripe.is(Settings {
        given_up_bills_can_be_voided: false,
        ..Settings::default()
    });
    world
}

/// An operator gives the latest bill up and ends its subscription; the news is held back.
async fn gives_up(world: &World) -> Value {
    let bill = world.stripe.latest_invoice().await;
    gives_up_bill(world, &bill).await;
    bill
}

async fn gives_up_bill(world: &World, bill: &Value) {
    world.stripe.holds_events(true).await;
    let id = bill["id"].as_str().unwrap();
    world.stripe.stand_in().write_off_invoice(id).await.unwrap();
    let latest = world.stripe.all_subscriptions().await.remove(0);
    let path = path_of(&latest);
    world.stripe.operator("DELETE", &path, "").await;
}

/// All news arrives.
pub(crate) async fn hears(world: &World) {
    world.stripe.holds_events(false).await;
    world.stripe.stand_in().settle().await;
}

/// A session of the starter plan, 35.00, whose debit failed and whose bill was given up; everybody has heard of it.
pub(crate) async fn let_go(world: &World, acme: &Organisation<'_>) -> (String, Value) {
    let (id, _) = acme.session_whose_debit_failed().await;
    let bill = gives_up(world).await;
    hears(world).await;
    assert_eq!(acme.reads(&id).await.body["checkout_status"], "open");
    (id, bill)
}

/// What Stripe has been paid and has not given back.
async fn kept(world: &World) -> i64 {
    let paid: i64 = world.stripe.charges().await.iter().sum();
    let given_back: i64 = world.stripe.refunded().await.iter().sum();
    paid - given_back
}

/// The latest news that a bill was paid.
fn paid(world: &World) -> String {
    world.stripe.event("invoice.paid")
}

async fn hears_on(world: &World, machine: &Machine, event: &str) -> Option<billing_tests::Answer> {
    machine.call(world.stripe.signed_event(event)).await
}

/// The session is sold again, and covers what that paid for alone.
async fn buys(world: &World, acme: &Organisation<'_>, id: &str) -> String {
    let sold = acme.confirms(id, &visa()).await;
    assert_eq!(sold.body["checkout_status"], "contract_created", "{sold}");
    world.stripe.stand_in().settle().await;
    sold.body["contract_id"].as_str().unwrap().to_owned()
}

/// Every event once more, in whatever order, after months.
async fn replays(world: &World) {
    for kind in [
        "charge.refunded",
        "invoice.paid",
        "customer.subscription.deleted",
        "checkout.session.completed",
    ] {
        for event in world.stripe.events(kind) {
            assert_eq!(world.stripe.delivers(&event).await, 200, "{kind}");
        }
    }
}

/// Paid after the session was sold again, before it was, and with nothing sold: by a card, and by a bank that takes days.
#[tokio::test]
async fn what_is_paid_for_a_bill_that_was_let_go_goes_back_once() {
    for method in ["pm_card_visa", "pm_usBankAccount"] {
        for sold_when in ["before", "after", "never"] {
            let context = format!("{method} {sold_when}");
            let world = world().await;
            let acme = world.organisation("acme").await;
            let (id, bill) = let_go(&world, &acme).await;
            let mut contract = None;
            if sold_when == "before" {
                contract = Some(buys(&world, &acme, &id).await);
            }
            world.stripe.pays_invoice(&bill, method).await;
            if sold_when == "after" {
                contract = Some(buys(&world, &acme, &id).await);
            }
            world.advance("5d").await;
            assert_eq!(world.stripe.refunded().await, [3500], "{context}");
            replays(&world).await;
            assert_eq!(world.stripe.refunded().await, [3500], "{context}");
            let expected = if contract.is_some() { 3500 } else { 0 };
            assert_eq!(kept(&world).await, expected, "{context}");
            if let Some(contract) = contract {
                let stored = acme.contract(&contract).await;
                assert_eq!(stored.contract.status, Status::Active, "{context}");
                let bill = bill["id"].as_str().unwrap();
                let of_bill = |invoice: &str| invoice == bill;
                assert!(
                    !stored
                        .ledger
                        .entries
                        .iter()
                        .any(|entry| of_bill(entry.invoice.as_str())),
                    "{context}"
                );
                assert_eq!(
                    acme.covered_until(&contract).await,
                    "2026-05-01T00:00:00Z",
                    "{context}"
                );
            }
        }
    }
}

/// An operator marks the bill as paid outside of Stripe: there is nothing that could be given back here, and somebody is told.
#[tokio::test]
async fn what_was_paid_outside_of_stripe_is_told_as_kept() {
    let world = world().await;
    let acme = world.organisation("acme").await;
    let (_, bill) = let_go(&world, &acme).await;
    world.stripe.holds_events(true).await;
    let path = format!("/v1/invoices/{}/pay", bill["id"].as_str().unwrap());
    world
        .stripe
        .operator("POST", &path, "paid_out_of_band=true")
        .await;
    let machine = world.machine().await;
    let told = hears_on(&world, &machine, &paid(&world)).await.unwrap();
    assert_eq!(told.status, 200);
    let counted = ["LatePaymentsKept", "LatePaymentsRefunded"].map(|metric| machine.metric(metric));
    assert_eq!(counted, [1, 0]);
    assert_eq!(world.stripe.refunded().await, [0_i64; 0]);
    hears(&world).await;
}

/// The machine that lets it go dies at any step; whoever hears of it next lets it go, and the payment goes back all the same.
#[tokio::test]
async fn a_sale_is_let_go_whole() {
    let world = world().await;
    let acme = world.organisation("acme").await;
    let mut sold = 0;
    at_every_death(async |death| {
        let (id, _) = acme.session_whose_debit_failed().await;
        let bill = gives_up(&world).await;
        let ended = world.stripe.event("customer.subscription.deleted");
        let hear = async |machine: &Machine| hears_on(&world, machine, &ended).await;
        let told = world.dies_over(death, hear).await;
        world.advance("5m").await;
        hears(&world).await;
        assert_eq!(acme.reads(&id).await.body["checkout_status"], "open", "{death}");
        buys(&world, &acme, &id).await;
        world.stripe.pays_invoice(&bill, "pm_card_visa").await;
        world.stripe.stand_in().settle().await;
        sold += 1;
        assert_eq!(kept(&world).await, 3500 * sold, "{death}");
        told.is_some()
    })
    .await;
}

/// Whoever confirms first, before any news, lets it go, and the next confirmation buys: there is no failure in between.
#[tokio::test]
async fn a_confirmation_lets_it_go() {
    let world = world().await;
    let acme = world.organisation("acme").await;
    let (id, _) = acme.session_whose_debit_failed().await;
    let bill = gives_up(&world).await;
    let open = acme.confirms(&id, &visa()).await;
    assert_eq!(open.body["checkout_status"], "open", "{open}");
    let sold = acme.confirms(&id, &visa()).await;
    assert_eq!(sold.body["checkout_status"], "contract_created", "{sold}");
    world.stripe.pays_invoice(&bill, "pm_card_visa").await;
    hears(&world).await;
    assert_eq!(kept(&world).await, 3500);
    assert_eq!(world.stripe.refunded().await, [3500]);
}

/// The machine that gives back dies at any step, or its answer of any step is lost.
#[tokio::test]
async fn it_goes_back_once_whatever_dies_or_is_lost() {
    let world = world().await;
    let acme = world.organisation("acme").await;
    let mut given_back = 0;
    let check = async |given_back: usize, context: &str| {
        world.advance("5m").await;
        hears(&world).await;
        assert_eq!(world.stripe.refunded().await.len(), given_back, "{context}");
        assert_eq!(kept(&world).await, 0, "{context}");
    };
    at_every_death(async |death| {
        let (_, bill) = let_go(&world, &acme).await;
        world.stripe.holds_events(true).await;
        world.stripe.pays_invoice(&bill, "pm_card_visa").await;
        let event = paid(&world);
        let hear = async |machine: &Machine| hears_on(&world, machine, &event).await;
        let told = world.dies_over(death, hear).await;
        given_back += 1;
        check(given_back, &death.to_string()).await;
        told.is_some()
    })
    .await;
    at_every_step(async |step| {
        let (_, bill) = let_go(&world, &acme).await;
        world.stripe.holds_events(true).await;
        world.stripe.pays_invoice(&bill, "pm_card_visa").await;
        let event = paid(&world);
        let hear = async |machine: &Machine| hears_on(&world, machine, &event).await;
        let (_, was_lost) = world.loses_over(step, hear).await;
        given_back += 1;
        check(given_back, &format!("lost {step}")).await;
        !was_lost
    })
    .await;
}

/// One machine is at giving it back, and too slow for its lease: another does the same meanwhile. It rings for both, and goes back once.
#[tokio::test]
async fn two_machines_give_it_back_once() {
    let world = world().await;
    let acme = world.organisation("acme").await;
    let mut given_back = 0;
    at_every_step(async |step| {
        let (_, bill) = let_go(&world, &acme).await;
        world.stripe.holds_events(true).await;
        world.stripe.pays_invoice(&bill, "pm_card_visa").await;
        let event = paid(&world);
        let hear = async |machine: &Machine| hears_on(&world, machine, &event).await;
        let held = world
            .held_over(step, hear, async {
                world.advance("5m").await;
                let machine = world.machine().await;
                let told = hears_on(&world, &machine, &event).await.unwrap();
                assert_eq!(told.status, 200, "{step}: {told}");
            })
            .await;
        given_back += 1;
        hears(&world).await;
        assert_eq!(world.stripe.refunded().await.len(), given_back, "{step}");
        assert_eq!(kept(&world).await, 0, "{step}");
        !held.was_held
    })
    .await;
}

/// It is paid while somebody is about to let it go: either that was bought, and is over, or it goes back. Never both, and never neither.
#[tokio::test]
async fn a_payment_while_it_is_let_go_is_honoured_or_goes_back() {
    let world = world().await;
    let acme = world.organisation("acme").await;
    let (mut bought, mut given_back) = (0, 0);
    at_every_step(async |step| {
        let (id, _) = acme.session_whose_debit_failed().await;
        let bill = gives_up(&world).await;
        let ended = world.stripe.event("customer.subscription.deleted");
        let hear = async |machine: &Machine| hears_on(&world, machine, &ended).await;
        let held = world
            .held_over(step, hear, async {
                world.stripe.pays_invoice(&bill, "pm_card_visa").await;
                let machine = world.machine().await;
                hears_on(&world, &machine, &paid(&world)).await.unwrap()
            })
            .await;
        assert_eq!(held.other.status, 200, "{step}: {}", held.other);
        assert_eq!(held.answer.status, 200, "{step}: {}", held.answer);
        hears(&world).await;
        match acme.reads(&id).await.body["checkout_status"].as_str() {
            Some("contract_created") => bought += 1,
            Some("open") => given_back += 1,
            other => panic!("{step}: {other:?}"),
        }
        assert_eq!(world.stripe.refunded().await.len(), given_back, "{step}");
        assert_eq!(kept(&world).await, 3500 * bought, "{step}");
        !held.was_held
    })
    .await;
    assert!(bought > 0 && given_back > 0, "{bought} {given_back}");
}

/// Nothing is left of session and contract when it is paid at last, and the first news of that is lost: `reconcile` finds it.
#[tokio::test]
async fn what_is_paid_when_everything_else_is_deleted_goes_back() {
    let world = world().await;
    let acme = world.organisation("acme").await;
    let (id, bill) = let_go(&world, &acme).await;
    let contract = acme.stored(&id).await.contract;
    world.advance("40d").await;
    assert_eq!(acme.reads(&id).await.status, 404);
    assert!(
        acme.contract_if_any(contract.as_str())
            .await
            .is_none_or(|left| left.contract.sale.is_none())
    );
    world.stripe.holds_events(true).await;
    world.stripe.pays_invoice(&bill, "pm_card_visa").await;
    world.advance("1h").await;
    for _ in 0..2 {
        world.hands("reconcile", &tick()).await;
        assert_eq!(world.stripe.refunded().await, [3500]);
    }
    hears(&world).await;
    assert_eq!(kept(&world).await, 0);
}

/// The session had run out before anybody let it go: `expire-checkouts` does, and neither fails for ever nor keeps what is paid then.
#[tokio::test]
async fn a_session_that_runs_out_is_let_go() {
    let world = world().await;
    let acme = world.organisation("acme").await;
    let (id, _) = acme.session_whose_debit_failed().await;
    let bill = gives_up(&world).await;
    world.advance("2d").await;
    assert_eq!(acme.reads(&id).await.body["checkout_status"], "expired");
    let contract = acme.stored(&id).await.contract;
    assert_eq!(acme.contract_if_any(contract.as_str()).await, None);
    hears(&world).await;
    acme.sells(&acme.order("starter")).await;
    world.stripe.pays_invoice(&bill, "pm_card_visa").await;
    world.stripe.stand_in().settle().await;
    assert_eq!(world.stripe.refunded().await, [3500]);
    assert_eq!(kept(&world).await, 3500);
}

/// An account whose first debit failed, with the bill given up and the subscription ended.
async fn given_up_account(world: &World) -> (Account<'_>, Value) {
    let ada = world.account(1).await;
    let secret = ada.starts_checkout("monthly").await.client_secret();
    world.stripe.checks_out_by_bank(&secret, "decline").await;
    let bill = world.stripe.latest_invoice().await;
    world.advance("4d").await;
    gives_up_bill(world, &bill).await;
    hears(world).await;
    (ada, bill)
}

/// The account checks out again and pays, and the old bill is paid before that, after it, and by a bank that takes days.
#[tokio::test]
async fn what_an_account_pays_for_a_bill_that_was_let_go_goes_back() {
    for method in ["pm_card_visa", "pm_usBankAccount"] {
        for first in ["old", "new"] {
            let world = world().await;
            let (ada, bill) = given_up_account(&world).await;
            let secret = ada.starts_checkout("monthly").await.client_secret();
            if first == "old" {
                world.stripe.pays_invoice(&bill, method).await;
                world.stripe.stand_in().settle().await;
            }
            world.stripe.pays(&secret).await;
            if first == "new" {
                world.stripe.pays_invoice(&bill, method).await;
            }
            world.advance("5d").await;
            replays(&world).await;
            assert_eq!(world.stripe.refunded().await, [1000], "{method} {first}");
            assert_eq!(kept(&world).await, 1000, "{method} {first}");
            assert_eq!(ada.ledger().await.len(), 1, "{method} {first}");
            assert_eq!(
                ada.covered_until().await,
                "2026-05-05T00:00:00Z",
                "{method} {first}"
            );
        }
    }
}

/// The machine of the checkout dies at any step, and the old bill is paid beside what is bought then.
#[tokio::test]
async fn an_accounts_bill_is_let_go_with_the_reservation() {
    let world = world().await;
    let mut sold = 0;
    at_every_death(async |death| {
        let (ada, bill) = given_up_account(&world).await;
        let start = async |machine: &Machine| ada.starts_checkout_on(machine, "monthly").await;
        let told = world.dies_over(death, start).await;
        let again = ada.starts_checkout("monthly").await;
        assert_eq!(again.status, 200, "{death}: {again}");
        world.stripe.pays(&again.client_secret()).await;
        world.stripe.pays_invoice(&bill, "pm_card_visa").await;
        world.stripe.stand_in().settle().await;
        sold += 1;
        // By now earlier ones have been renewed.
        assert_eq!(world.stripe.payments(&ada).await, [1000, 1000], "{death}");
        assert_eq!(world.stripe.refunded().await.len(), sold, "{death}");
        told.is_some()
    })
    .await;
}

/// The old bill is paid, and heard of, at any step of the checkout: it covers what it is for, or it goes back.
#[tokio::test]
async fn what_an_account_pays_during_its_checkout_covers_or_goes_back() {
    let world = world().await;
    let (mut covers, mut given_back) = (0, 0);
    at_every_step(async |step| {
        let (ada, bill) = given_up_account(&world).await;
        let start = async |machine: &Machine| ada.starts_checkout_on(machine, "monthly").await;
        let held = world
            .held_over(step, start, async {
                world.stripe.pays_invoice(&bill, "pm_card_visa").await;
                world.stripe.stand_in().settle().await;
            })
            .await;
        assert_eq!(held.answer.status, 200, "{step}: {}", held.answer);
        match ada.ledger().await.len() {
            0 => given_back += 1,
            _ => covers += 1,
        }
        assert_eq!(world.stripe.payments(&ada).await, [1000], "{step}");
        assert_eq!(world.stripe.refunded().await.len(), given_back, "{step}");
        !held.was_held
    })
    .await;
    assert!(covers > 0 && given_back > 0, "{covers} {given_back}");
}

/// Its payer disputes it at the bank as well: somebody is told of that, and of no service that was taken away.
#[tokio::test]
async fn a_dispute_of_what_was_let_go_rings() {
    let world = world().await;
    let acme = world.organisation("acme").await;
    let (_, bill) = let_go(&world, &acme).await;
    world.stripe.pays_invoice(&bill, "pm_card_visa").await;
    world.stripe.stand_in().settle().await;
    assert_eq!(world.stripe.refunded().await, [3500]);
    let charge = world.stripe.charge_of(bill["id"].as_str().unwrap()).await;
    world.stripe.holds_events(true).await;
    world.stripe.is_disputed(&charge).await;
    let event = world.stripe.event("charge.dispute.created");
    let machine = world.machine().await;
    let told = hears_on(&world, &machine, &event).await.unwrap();
    assert_eq!(told.status, 200, "{told}");
    assert_eq!(
        (machine.metric("Disputes"), machine.metric("Withdrawals")),
        (1, 0)
    );
    assert_eq!(world.stripe.refunded().await, [3500]);
}

/// Lets a bill go and has it paid, of which nobody has heard yet; and answers the charge.
pub(crate) async fn paid_unheard(world: &World, acme: &Organisation<'_>) -> Value {
    let (_, bill) = let_go(world, acme).await;
    world.stripe.holds_events(true).await;
    world.stripe.pays_invoice(&bill, "pm_card_visa").await;
    world.stripe.charge_of(bill["id"].as_str().unwrap()).await
}

/// Its payer has had its bank ask for the payment before it could go back, and the bank decides for us: the money is here again, and goes back once,
/// whoever dies over that. Nothing goes back where the bank decides against us: its payer has it.
#[tokio::test]
async fn what_was_disputed_before_it_went_back_goes_back_when_that_is_won() {
    let world = world().await;
    let acme = world.organisation("acme").await;
    let mut given_back = 0;
    at_every_death(async |death| {
        let charge = paid_unheard(&world, &acme).await;
        let dispute = world.stripe.is_disputed(&charge).await;
        hears(&world).await;
        assert_eq!(world.stripe.refunded().await.len(), given_back, "{death}");
        world.stripe.holds_events(true).await;
        world.stripe.decides(&dispute, true).await;
        let closed = world.stripe.event("charge.dispute.closed");
        let hear = async |machine: &Machine| hears_on(&world, machine, &closed).await;
        let told = world.dies_over(death, hear).await;
        world.advance("5m").await;
        given_back += 1;
        hears(&world).await;
        replays(&world).await;
        assert_eq!(world.stripe.refunded().await.len(), given_back, "{death}");
        assert_eq!(kept(&world).await, 0, "{death}");
        told.is_some()
    })
    .await;
    let charge = paid_unheard(&world, &acme).await;
    let dispute = world.stripe.is_disputed(&charge).await;
    hears(&world).await;
    world.stripe.decides(&dispute, false).await;
    world.advance("1d").await;
    assert_eq!(world.stripe.refunded().await.len(), given_back);
}

/// The bank sends back what went back: there is no way to its payer, and somebody is told. So is somebody where a bank has taken a part of it.
#[tokio::test]
async fn what_cannot_go_back_is_told_as_kept() {
    let world = world().await;
    let acme = world.organisation("acme").await;
    for is_disputed in [false, true] {
        let charge = paid_unheard(&world, &acme).await;
        let event = if is_disputed {
            let part = json!({ "amount": 400 });
            let dispute = world.stripe.is_disputed_so(&charge, &part).await;
            hears(&world).await;
            world.stripe.holds_events(true).await;
            world.stripe.decides(&dispute, false).await;
            world.stripe.event("charge.dispute.closed")
        } else {
            hears(&world).await;
            world.stripe.holds_events(true).await;
            world.stripe.refund_fails().await;
            world.stripe.event("refund.failed")
        };
        let before = world.stripe.refunded().await.len();
        let machine = world.machine().await;
        let told = hears_on(&world, &machine, &event).await.unwrap();
        assert_eq!(told.status, 200, "{told}");
        let counted = ["LatePaymentsKept", "LatePaymentsRefunded"].map(|metric| machine.metric(metric));
        assert_eq!(counted, [1, 0], "disputed: {is_disputed}");
        hears(&world).await;
        assert_eq!(
            world.stripe.refunded().await.len(),
            before,
            "disputed: {is_disputed}"
        );
    }
}
