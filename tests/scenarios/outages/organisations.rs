//! What an organisation does.

use billing_core::contract::Status;
use billing_tests::{Organisation, World};
use serde_json::{Value, json};

use super::{Ask, Deed, NOW, survives};

/// Offers a plan; each time until another minute, which makes it another offer.
struct Offer<'w> {
    acme: Organisation<'w>,
    offers: i64,
}

impl<'w> Deed<'w> for Offer<'w> {
    type To = Value;
    const FUNCTION: &'static str = "create-checkout-session";

    async fn sets_up(world: &'w World) -> Self {
        let acme = world.organisation("acme").await;
        Self { acme, offers: 0 }
    }

    async fn prepares(&mut self, _: usize) -> Value {
        self.offers += 1;
        let (hour, minute) = (1 + self.offers / 60, self.offers % 60);
        let mut order = self.acme.order("starter");
        order["expires_at"] = json!(format!("2026-04-01T{hour:02}:{minute:02}:00Z"));
        order
    }

    fn ask(&self, order: &Value) -> Ask {
        Ask::request(self.acme.request("POST", "/checkouts", order))
    }

    async fn is_done(&self, order: &Value, told: &Value, context: &str) {
        let id = told["id"].as_str().unwrap();
        let read = self.acme.reads(id).await;
        assert_eq!(read.body["checkout_status"], "open", "{context}: {read}");
        assert_eq!(self.acme.session(order).await, id, "{context}: one session");
    }
}

#[tokio::test]
async fn an_offer_survives_every_outage() {
    let world = World::unjudged_at(NOW).await;
    survives::<Offer<'_>>(&world).await;
}

/// Previews an offer, or reads one.
struct Reading<'w, const PREVIEWS: bool> {
    acme: Organisation<'w>,
    id: String,
}

impl<'w, const PREVIEWS: bool> Deed<'w> for Reading<'w, PREVIEWS> {
    type To = ();
    const FUNCTION: &'static str = if PREVIEWS {
        "preview-checkout-session"
    } else {
        "get-checkout-session"
    };

    async fn sets_up(world: &'w World) -> Self {
        let acme = world
            .organisation(if PREVIEWS { "previews" } else { "reads" })
            .await;
        let id = acme.session(&acme.order("starter")).await;
        Self { acme, id }
    }

    async fn prepares(&mut self, _: usize) {}

    fn ask(&self, (): &()) -> Ask {
        let (acme, id) = (&self.acme, &self.id);
        Ask::request(if PREVIEWS {
            acme.request("POST", "/checkouts/preview", &acme.order("starter"))
        } else {
            acme.request("GET", &format!("/checkouts/{id}"), &Value::Null)
        })
    }

    async fn is_done(&self, (): &(), told: &Value, context: &str) {
        let total = &told["estimates"]["current_invoice"]["total"];
        assert_eq!(total, 3500, "{context}: {told}");
    }
}

#[tokio::test]
async fn reading_an_offer_survives_every_outage() {
    let world = World::unjudged_at(NOW).await;
    survives::<Reading<'_, false>>(&world).await;
    survives::<Reading<'_, true>>(&world).await;
}

fn guest(acme: &Organisation<'_>, email: &str) -> Value {
    json!({
        "plan_id": acme.plan("starter"), "business_entity_id": acme.entity("headquarters"), "guest_checkout": true,
        "customer_data": { "name": "Eve", "email": email },
    })
}

/// What the one customer of that address has been charged.
async fn charges(world: &World, email: &str, context: &str) -> Vec<i64> {
    let customers = world.stripe.all_customers().await;
    let own = customers
        .iter()
        .filter(|customer| customer["email"] == json!(email));
    let own: Vec<_> = own.map(|customer| customer["id"].as_str().unwrap()).collect();
    assert_eq!(own.len(), 1, "{context}");
    world.stripe.charges_of(own[0]).await
}

/// Sells a plan to a guest, who has to become a customer too: 3500, charged once.
struct Confirmation<'w> {
    world: &'w World,
    acme: Organisation<'w>,
    guests: usize,
}

impl<'w> Deed<'w> for Confirmation<'w> {
    type To = (String, String);
    const FUNCTION: &'static str = "confirm-checkout-session";
    const ONE_IN: usize = 2;

    async fn sets_up(world: &'w World) -> Self {
        let acme = world.organisation("acme").await;
        Self {
            world,
            acme,
            guests: 0,
        }
    }

    async fn prepares(&mut self, _: usize) -> Self::To {
        self.guests += 1;
        let email = format!("eve-{}@example.com", self.guests);
        (self.acme.session(&guest(&self.acme, &email)).await, email)
    }

    fn ask(&self, (id, _): &Self::To) -> Ask {
        let visa = json!({ "payment_method_id": "pm_card_visa" });
        Ask::request(self.acme.confirmation(id, &visa))
    }

    async fn is_whole(&self, (id, _): &Self::To, context: &str) {
        self.world.stripe.stand_in().settle().await;
        let read = self.acme.reads(id).await;
        if let Some(contract) = read.body["contract_id"].as_str() {
            let stored = self.acme.contract(contract).await;
            assert_eq!(
                stored.contract.status == Status::Active,
                !self.acme.covered_until(contract).await.is_empty(),
                "{context}: {read}"
            );
        }
    }

    async fn is_done(&self, (id, email): &Self::To, told: &Value, context: &str) {
        assert_eq!(told["checkout_status"], "contract_created", "{context}: {told}");
        self.world.stripe.stand_in().settle().await;
        assert_eq!(charges(self.world, email, context).await, [3500], "{context}");
        let read = self.acme.reads(id).await;
        let stored = self
            .acme
            .contract(read.body["contract_id"].as_str().unwrap())
            .await;
        assert_eq!(
            (
                stored.contract.status,
                stored.contract.sale,
                stored.ledger.entries.len()
            ),
            (Status::Active, None, 2),
            "{context}"
        );
    }
}

#[tokio::test]
async fn a_confirmation_survives_every_outage() {
    let world = World::unjudged_at(NOW).await;
    survives::<Confirmation<'_>>(&world).await;
}

/// One seat more each time, in the first second of April: each costs its 10.00, once.
struct Amendment<'w> {
    world: &'w World,
    acme: Organisation<'w>,
    /// Contracts that were sold before, each with its seats.
    contracts: Vec<(String, usize)>,
}

impl<'w> Deed<'w> for Amendment<'w> {
    type To = (String, usize);
    const FUNCTION: &'static str = "confirm-checkout-session";
    const ONE_IN: usize = 3;

    async fn sets_up(world: &'w World) -> Self {
        Self {
            world,
            acme: world.organisation("acme").await,
            contracts: Vec::new(),
        }
    }

    async fn prepares(&mut self, at: usize) -> Self::To {
        if self.contracts.len() == at {
            let order = guest(&self.acme, &format!("eve-{at}@example.com"));
            self.contracts.push((self.acme.sells(&order).await, 3));
        }
        let (contract, seats) = &mut self.contracts[at];
        *seats += 1;
        let order = json!({
            "contract_id": contract,
            "product_overrides": [{ "product_id": self.acme.product("starter", "Starter seat"), "quantity": seats }],
        });
        (self.acme.session(&order).await, at)
    }

    fn ask(&self, (id, _): &Self::To) -> Ask {
        Ask::request(self.acme.confirmation(id, &Value::Null))
    }

    async fn is_done(&self, (_, at): &Self::To, told: &Value, context: &str) {
        assert_eq!(told["checkout_status"], "contract_created", "{context}: {told}");
        self.world.stripe.stand_in().settle().await;
        let (contract, seats) = &self.contracts[*at];
        let stored = self.acme.contract(contract).await;
        let mut charged = vec![3500];
        charged.resize(seats - 2, 1000);
        assert_eq!(
            charges(self.world, &format!("eve-{at}@example.com"), context).await,
            charged,
            "{context}"
        );
        let taken = stored.contract.standing.configuration.taken();
        let told: Vec<_> = taken.map(|chosen| chosen.quantity.to_string()).collect();
        assert_eq!(told, [seats.to_string(), "1".to_owned()], "{context}");
        assert_eq!(stored.contract.sale, None, "{context}");
    }
}

#[tokio::test]
async fn an_amendment_survives_every_outage() {
    let world = World::unjudged_at(NOW).await;
    survives::<Amendment<'_>>(&world).await;
}
