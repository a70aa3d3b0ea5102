//! The steps of histories of plans: an organisation's customers open sessions, confirm and amend, on machines that die, lose answers
//! and meet others; and what payers and operators do at Stripe meanwhile.

use billing_tests::Death;
use proptest::prelude::*;
use stripe_stand_in::Payment;

use super::asking::{On, death, on};
use super::history::{CARDS, SHORT};
use super::operating::{Deed, deed_to_what_is_sold};

/// Plans of the catalog: from a day on, from the first of the month on, by the year, and what Stripe cannot express.
pub(super) const PLANS: [&str; 4] = ["starter", "team", "team-annual", "business"];
/// How many of a plan's first product.
pub(super) const SEATS: [u32; 6] = [1, 2, 3, 6, 8, 30];
/// How many minutes a session lives that says so.
pub(super) const LIVES: [i64; 3] = [30, 45, 600];
/// In how many days a contract ends that does.
pub(super) const ENDS: [i64; 3] = [1, 20, 45];
/// What a confirmation names to be charged.
pub(super) const METHODS: [Option<&str>; 7] = [
    Some("pm_card_visa"),
    None,
    Some("pm_card_chargeCustomerFail"),
    Some("pm_card_authenticationRequired"),
    Some("pm_card_chargeDeclined"),
    Some("pm_usBankAccount"),
    Some("pm_usBankAccount_insufficientFunds"),
];
/// What an operator has a customer pay by: a card, or a bank account, which pays for no amendment.
pub(super) const PAYERS: [&str; 4] = [CARDS[0], CARDS[1], CARDS[2], "pm_usBankAccount"];
/// How payers do on a page.
pub(super) const PAYMENTS: [Payment; 4] = [
    Payment::Succeed,
    Payment::Decline,
    Payment::RequiresAction,
    Payment::Delayed,
];
/// What the catalog says, and what it says instead.
pub(super) const PRICES: [(&str, &str); 3] = [
    ("unit_amount = 500 }", "unit_amount = 500 }"),
    ("unit_amount = 500 }", "unit_amount = 600 }"),
    ("unit_amount = 15000 }", "unit_amount = 14000 }"),
];
/// How many steps a confirmation takes, and some more.
const MOST_STEPS: usize = 24;

/// Who buys: a customer of the catalog, or a guest of that address.
pub(super) const BUYERS: [Buyer; 5] = [
    Buyer::Customer("bakery"),
    Buyer::Customer("brewery"),
    Buyer::Guest("eve@example.com"),
    Buyer::Guest("EVE@example.com"),
    Buyer::Guest("Bob@Bakery.example"),
];

/// Who buys.
#[derive(Debug, Clone, Copy)]
pub(super) enum Buyer {
    Customer(&'static str),
    Guest(&'static str),
}

/// What is wished for.
#[derive(Debug, Clone)]
pub(super) enum Wish {
    Begins {
        buyer: usize,
        plan: usize,
        seats: Option<usize>,
        ends: Option<usize>,
        lives: Option<usize>,
    },
    Moves {
        which: usize,
        plan: usize,
    },
    Counts {
        which: usize,
        seats: usize,
    },
    /// An optional product is dropped, or taken.
    Takes {
        which: usize,
        taken: bool,
    },
}

/// What happens while somebody is held.
#[derive(Debug, Clone)]
pub(super) enum Meanwhile {
    Confirms { by: usize },
    Settles,
    Pays,
    Ends,
    Reprices,
}

/// One step of an organisation's, or of its payers'.
#[derive(Debug, Clone)]
pub(super) enum Step {
    Opens {
        wish: Wish,
        dies: Option<Death>,
    },
    Previews {
        wish: Wish,
    },
    Confirms {
        which: usize,
        by: usize,
        agrees: bool,
        on: On<Meanwhile>,
    },
    PaysPage {
        which: usize,
        how: usize,
    },
    PaysBill {
        which: usize,
        card: usize,
    },
    /// The page expires, as an operator can have it.
    ClosesPage {
        which: usize,
    },
    IsPaidBy {
        which: usize,
        by: usize,
    },
    /// Somebody does something at Stripe, to a customer.
    Operates {
        which: usize,
        deed: Deed,
    },
    Reprices {
        how: usize,
    },
}

fn wish() -> impl Strategy<Value = Wish> {
    let which = any::<usize>;
    let some = |most: usize| prop_oneof![3 => Just(None), 1 => (0..most).prop_map(Some)];
    let begins = (
        0..BUYERS.len(),
        0..PLANS.len(),
        some(SEATS.len()),
        some(ENDS.len()),
        some(LIVES.len()),
    );
    prop_oneof![
        4 => begins.prop_map(|(buyer, plan, seats, ends, lives)| Wish::Begins { buyer, plan, seats, ends, lives }),
        2 => (which(), 0..PLANS.len()).prop_map(|(which, plan)| Wish::Moves { which, plan }),
        3 => (which(), 0..SEATS.len()).prop_map(|(which, seats)| Wish::Counts { which, seats }),
        1 => (which(), any::<bool>()).prop_map(|(which, taken)| Wish::Takes { which, taken }),
    ]
}

fn meanwhile() -> impl Strategy<Value = Meanwhile> {
    prop_oneof![
        4 => (0..METHODS.len()).prop_map(|by| Meanwhile::Confirms { by }),
        2 => Just(Meanwhile::Settles),
        1 => Just(Meanwhile::Pays),
        1 => Just(Meanwhile::Ends),
        1 => Just(Meanwhile::Reprices),
    ]
}

fn confirms() -> impl Strategy<Value = Step> {
    let by = prop_oneof![4 => Just(0), 5 => 0..METHODS.len()];
    // Mostly the session that was opened last.
    let which = prop_oneof![3 => Just(usize::MAX), 2 => any::<usize>()];
    (
        which,
        by,
        prop_oneof![3 => Just(true), 1 => Just(false)],
        on(MOST_STEPS, meanwhile()),
    )
        .prop_map(|(which, by, agrees, on)| Step::Confirms {
            which,
            by,
            agrees,
            on,
        })
}

/// What half of the histories begin with: a plan is sold.
pub(super) fn sale() -> impl Strategy<Value = Vec<Step>> {
    (0..BUYERS.len(), 0..PLANS.len(), 0..METHODS.len()).prop_map(|(buyer, plan, by)| {
        let wish = Wish::Begins {
            buyer,
            plan,
            seats: None,
            ends: None,
            lives: None,
        };
        let confirms = Step::Confirms {
            which: 0,
            by,
            agrees: true,
            on: On::One,
        };
        vec![Step::Opens { wish, dies: None }, confirms]
    })
}

/// What comes before something is done at once: a session.
pub(super) fn opens() -> impl Strategy<Value = Step> {
    wish().prop_map(|wish| Step::Opens { wish, dies: None })
}

/// What one of them does at once.
pub(super) fn at_once() -> impl Strategy<Value = Step> {
    let which = || prop_oneof![4 => Just(usize::MAX), 1 => any::<usize>()];
    let by = prop_oneof![4 => Just(0), 5 => 0..METHODS.len()];
    let confirms = (which(), by, prop_oneof![3 => Just(true), 1 => Just(false)]);
    let on = On::One;
    prop_oneof![
        2 => opens(),
        10 => confirms.prop_map(move |(which, by, agrees)| Step::Confirms { which, by, agrees, on: on.clone() }),
        3 => (which(), 0..PAYMENTS.len()).prop_map(|(which, how)| Step::PaysPage { which, how }),
        2 => (which(), 0..CARDS.len()).prop_map(|(which, card)| Step::PaysBill { which, card }),
        1 => which().prop_map(|which| Step::ClosesPage { which }),
        1 => (which(), 0..PAYERS.len()).prop_map(|(which, by)| Step::IsPaidBy { which, by }),
        3 => (which(), deed_to_what_is_sold()).prop_map(|(which, deed)| Step::Operates { which, deed }),
    ]
}

/// A step.
pub(super) fn step() -> impl Strategy<Value = Step> {
    let which = any::<usize>;
    prop_oneof![
        6 => (wish(), death(SHORT)).prop_map(|(wish, dies)| Step::Opens { wish, dies }),
        1 => wish().prop_map(|wish| Step::Previews { wish }),
        8 => confirms(),
        3 => (which(), 0..PAYMENTS.len()).prop_map(|(which, how)| Step::PaysPage { which, how }),
        2 => (which(), 0..CARDS.len()).prop_map(|(which, card)| Step::PaysBill { which, card }),
        1 => which().prop_map(|which| Step::ClosesPage { which }),
        2 => (which(), 0..PAYERS.len()).prop_map(|(which, by)| Step::IsPaidBy { which, by }),
        6 => (which(), deed_to_what_is_sold()).prop_map(|(which, deed)| Step::Operates { which, deed }),
        1 => (0..PRICES.len()).prop_map(|how| Step::Reprices { how }),
    ]
}
