//! What an agency does.

use billing_tests::{Agency, World};
use serde_json::{Value, json};

use super::{Ask, Deed, NOW, survives};

const NEXT_MONTH: &str = "2026-05-01T00:00:00Z";

/// Sells to a new client, whose customer has to be made too.
struct Sale<'w> {
    world: &'w World,
    north: Agency<'w>,
}

impl<'w> Deed<'w> for Sale<'w> {
    type To = Value;
    const FUNCTION: &'static str = "create-connect-subscription";
    const ONE_IN: usize = 2;

    async fn sets_up(world: &'w World) -> Self {
        let north = world.agency().await;
        Self { world, north }
    }

    async fn prepares(&mut self, _: usize) -> Value {
        self.north.takes_on_a_client().await;
        self.north.order(NEXT_MONTH)
    }

    fn ask(&self, order: &Value) -> Ask {
        Ask::request(self.north.request("POST", "", order))
    }

    async fn is_done(&self, order: &Value, told: &Value, context: &str) {
        self.world.stripe.stand_in().settle().await;
        let client = order["data"]["clientId"].as_str().unwrap();
        let schedules = self.north.schedules_of(client).await;
        assert_eq!(schedules.len(), 1, "{context}");
        assert_eq!(schedules[0]["id"], told["id"], "{context}");
        let customers = self.north.customers().await;
        let own = customers
            .iter()
            .filter(|customer| customer["metadata"]["client"] == client);
        assert_eq!(own.count(), 1, "{context}");
        let sales = self.north.sales_to(client).await;
        assert_eq!(sales.len(), 1, "{context}");
        let known = sales[0].schedule.as_ref().map(|id| id.as_str());
        assert_eq!(known, schedules[0]["id"].as_str(), "{context}");
    }
}

#[tokio::test]
async fn a_sale_of_an_agency_survives_every_outage() {
    let world = World::unjudged_at(NOW).await;
    survives::<Sale<'_>>(&world).await;
}

/// Changes what runs to the other of two products, again and again: each time one charge for the rest of the period.
struct Amendment<'w> {
    world: &'w World,
    north: Agency<'w>,
    products: [String; 2],
    /// What was sold, and how often it was changed.
    sold: Vec<(String, usize)>,
}

impl Amendment<'_> {
    fn product(&self, changes: usize) -> &str {
        &self.products[changes % 2]
    }
}

impl<'w> Deed<'w> for Amendment<'w> {
    type To = usize;
    const FUNCTION: &'static str = "update-connect-subscription";

    async fn sets_up(world: &'w World) -> Self {
        let north = world.agency().await;
        let products = [north.product.clone(), north.offers("Other", 5999).await];
        Self {
            world,
            north,
            products,
            sold: Vec::new(),
        }
    }

    async fn prepares(&mut self, at: usize) -> usize {
        if self.sold.len() == at {
            self.north.takes_on_a_client().await;
            let sold = self.north.sells(&self.north.order(NOW)).await;
            assert_eq!(sold.body["type"], "subscription", "{sold}");
            self.sold.push((sold.body["id"].as_str().unwrap().to_owned(), 0));
        }
        self.sold[at].1 += 1;
        at
    }

    fn ask(&self, at: &usize) -> Ask {
        let (id, changes) = &self.sold[*at];
        let wish = json!({ "productId": self.product(*changes) });
        Ask::request(self.north.update_request(id, &wish))
    }

    async fn is_done(&self, at: &usize, told: &Value, context: &str) {
        let (_, changes) = &self.sold[*at];
        assert_eq!(told["product"]["id"], self.product(*changes), "{context}");
        self.world.stripe.stand_in().settle().await;
        let customer = told["customer"]["id"].as_str().unwrap();
        let path = format!("/v1/invoiceitems?limit=100&customer={customer}");
        let waiting = self.north.all(&path).await;
        let charges = waiting.iter().filter(|item| item["amount"].as_i64() > Some(0));
        assert_eq!(charges.count(), *changes, "{context}");
    }
}

#[tokio::test]
async fn a_change_of_an_agency_survives_every_outage() {
    let world = World::unjudged_at(NOW).await;
    survives::<Amendment<'_>>(&world).await;
}

/// Cancels what has not begun.
struct Cancellation<'w> {
    world: &'w World,
    north: Agency<'w>,
}

impl<'w> Deed<'w> for Cancellation<'w> {
    type To = String;
    const FUNCTION: &'static str = "cancel-connect-subscription";

    async fn sets_up(world: &'w World) -> Self {
        let north = world.agency().await;
        Self { world, north }
    }

    async fn prepares(&mut self, _: usize) -> String {
        self.north.takes_on_a_client().await;
        let sold = self.north.sells(&self.north.order(NEXT_MONTH)).await;
        sold.body["id"].as_str().unwrap().to_owned()
    }

    fn ask(&self, id: &String) -> Ask {
        Ask::request(self.north.request("DELETE", &format!("/{id}"), &Value::Null))
    }

    async fn is_done(&self, id: &String, told: &Value, context: &str) {
        assert_eq!(told, &json!({ "id": id, "canceled": true }), "{context}");
        self.world.stripe.stand_in().settle().await;
        let path = format!("/v1/subscription_schedules/{id}");
        let schedule = self.north.at_stripe("GET", &path, "").await;
        assert_eq!(schedule["status"], "canceled", "{context}");
        let read = self.north.gets(id).await;
        assert_eq!(read.body["status"], "canceled", "{context}: {read}");
    }
}

#[tokio::test]
async fn a_cancellation_of_an_agency_survives_every_outage() {
    let world = World::unjudged_at(NOW).await;
    survives::<Cancellation<'_>>(&world).await;
}

/// Looks at one subscription with its usage, or at the list.
struct Looking<'w, const ONE: bool> {
    north: Agency<'w>,
    id: String,
}

impl<'w, const ONE: bool> Deed<'w> for Looking<'w, ONE> {
    type To = ();
    const FUNCTION: &'static str = if ONE {
        "get-connect-subscription"
    } else {
        "list-connect-subscription"
    };

    async fn sets_up(world: &'w World) -> Self {
        let north = world.agency().await;
        let sold = north.sells(&north.order(NOW)).await;
        let id = sold.body["id"].as_str().unwrap().to_owned();
        Self { north, id }
    }

    async fn prepares(&mut self, _: usize) {}

    fn ask(&self, (): &()) -> Ask {
        let rest = if ONE {
            format!("/{}", self.id)
        } else {
            String::new()
        };
        Ask::request(self.north.request("GET", &rest, &Value::Null))
    }

    async fn is_done(&self, (): &(), told: &Value, context: &str) {
        let told = if ONE { told } else { &told["subscriptions"][0] };
        assert_eq!(told["id"], json!(self.id), "{context}: {told}");
    }
}

#[tokio::test]
async fn looking_at_what_was_sold_survives_every_outage() {
    let world = World::unjudged_at(NOW).await;
    survives::<Looking<'_, true>>(&world).await;
    survives::<Looking<'_, false>>(&world).await;
}
