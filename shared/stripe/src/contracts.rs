//! The subscriptions of contracts: begun, changed at once, ended, read.
//!
//! # If it fails half-way
//! Every write repeats under its key, which names the checkout session and the number of its sale, never the moment. A request says
//! what the sale that is written down says, and nothing else.

use std::collections::HashMap;

use billing_core::Timestamp;
use billing_core::access::Owner;
use billing_core::contract::{BilledItem, Billing, ContractKey};
use billing_core::id::{ContractId, CustomerId, OrganisationId, PaymentMethodId, SubscriptionId};
use billing_core::sale::{OrderLine, Sale};
use serde::Deserialize;
use serde::de::IgnoredAny;
use stripe_billing::subscription::{
    CancelSubscription, CreateSubscription, CreateSubscriptionItems, CreateSubscriptionPaymentBehavior,
    CreateSubscriptionPaymentSettings, CreateSubscriptionPaymentSettingsSaveDefaultPaymentMethod,
    ListSubscription, ListSubscriptionStatus, RetrieveSubscription, UpdateSubscription,
    UpdateSubscriptionCancelAt, UpdateSubscriptionItems, UpdateSubscriptionPaymentBehavior,
    UpdateSubscriptionProrationBehavior,
};
use stripe_client_core::StripeRequest;

use crate::billing_mode::BillingMode;
use crate::client::Stripe;
use crate::contract_reads::{ReadContract, Wire, expanded};
use crate::error::StripeError;
use crate::invoices::OpenPayment;
use crate::pages::Listed;
use crate::payers::PAYERS;
use crate::wire::id;

/// The metadata member by which an object at Stripe names its contract: `<organisation>/<contract>`.
pub(crate) const CONTRACT: &str = "contract";

/// A contract as it is written into the metadata of what belongs to it. One member: a body must be the same whenever it is built again, and a
/// map of several has no order.
pub(crate) fn metadata(key: &ContractKey) -> HashMap<String, String> {
    HashMap::from([(
        CONTRACT.to_owned(),
        format!("{}/{}", key.organisation, key.contract),
    )])
}

/// The contract that metadata names; none for an object that is not a contract's.
pub(crate) fn named(metadata: &HashMap<String, String>) -> Option<ContractKey> {
    let (organisation, contract) = metadata.get(CONTRACT)?.split_once('/')?;
    Some(ContractKey {
        organisation: organisation.parse().ok()?,
        contract: contract.parse().ok()?,
    })
}

/// A sale to be asked of Stripe.
#[derive(Debug)]
pub struct AskedSale<'a> {
    /// Who asks: the organisation itself.
    pub owner: &'a Owner<OrganisationId>,
    /// For which contract.
    pub contract: &'a ContractId,
    /// Who pays.
    pub customer: &'a CustomerId,
    /// What.
    pub sale: &'a Sale,
    /// What is charged.
    pub payment_method: Option<&'a PaymentMethodId>,
}

/// The prices of an order, which are all known by the time that Stripe is asked to bill them.
pub(crate) fn priced(order: &[OrderLine]) -> Result<Vec<(String, u64)>, StripeError> {
    order
        .iter()
        .map(|line| match &line.price {
            Some(price) => Ok((price.to_string(), line.quantity)),
            None => Err(StripeError::Unexpected {
                reason: format!("product {} of an order has no price", line.product),
            }),
        })
        .collect()
}

/// How the items of a subscription become those of an order: what stays keeps its item, so that a discount or a credit finds it; the
/// rest of the items is used for what is new, and what is left over is dropped.
pub(crate) fn item_changes(items: &[BilledItem], order: &[(String, u64)]) -> Vec<ItemChange> {
    let mut spare: Vec<&BilledItem> = items
        .iter()
        .filter(|item| !order.iter().any(|(price, _)| item.price.as_str() == price))
        .collect();
    let mut changes: Vec<ItemChange> = order
        .iter()
        .filter_map(|(price, quantity)| {
            let same = items.iter().find(|item| item.price.as_str() == price);
            match same {
                Some(item) if item.quantity == *quantity => None,
                Some(item) => Some(ItemChange::to(Some(item), price, *quantity)),
                None => {
                    let item = (!spare.is_empty()).then(|| spare.remove(0));
                    Some(ItemChange::to(item, price, *quantity))
                }
            }
        })
        .collect();
    changes.extend(spare.into_iter().map(|item| ItemChange {
        id: Some(item.id.to_string()),
        price: None,
        quantity: None,
        deleted: Some(true),
    }));
    changes
}

/// A change of one item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ItemChange {
    pub(crate) id: Option<String>,
    pub(crate) price: Option<String>,
    pub(crate) quantity: Option<u64>,
    pub(crate) deleted: Option<bool>,
}

impl ItemChange {
    fn to(item: Option<&BilledItem>, price: &str, quantity: u64) -> Self {
        Self {
            id: item.map(|item| item.id.to_string()),
            price: Some(price.to_owned()),
            quantity: Some(quantity),
            deleted: None,
        }
    }
}

/// `sale/<checkout>/<number>`: the key of what a sale asks of Stripe.
pub(crate) fn key(sale: &Sale) -> String {
    format!("sale/{}", sale.name())
}

impl AskedSale<'_> {
    pub(crate) fn contract(&self) -> ContractKey {
        ContractKey {
            organisation: self.owner.organisation().clone(),
            contract: self.contract.clone(),
        }
    }
}

impl Stripe {
    /// Begins the subscription of a contract, paid at once or not at all: what the payment method does not pay is refused, and
    /// nothing is left behind. Without one, its first invoice waits to be paid on the invoice's page. A first period that an anchor cuts short is billed from the contract's start on, whenever it is
    /// confirmed.
    pub async fn begin_contract(&self, asked: &AskedSale<'_>) -> Result<ReadContract, StripeError> {
        let behavior = if asked.payment_method.is_some() {
            CreateSubscriptionPaymentBehavior::ErrorIfIncomplete
        } else {
            // Its first invoice is left to be paid on the invoice's own page.
            CreateSubscriptionPaymentBehavior::DefaultIncomplete
        };
        self.begin(asked, behavior, &key(asked.sale)).await
    }

    /// Begins the subscription of a contract whose payment has to be confirmed by its payer: on the page of its first invoice, which waits
    /// for that. It was refused under the sale's own key, so it has another.
    pub async fn begin_contract_unpaid(&self, asked: &AskedSale<'_>) -> Result<ReadContract, StripeError> {
        let behavior = CreateSubscriptionPaymentBehavior::AllowIncomplete;
        let key = format!("{}/unpaid", key(asked.sale));
        self.begin(asked, behavior, &key).await
    }

    async fn begin(
        &self,
        asked: &AskedSale<'_>,
        behavior: CreateSubscriptionPaymentBehavior,
        key: &str,
    ) -> Result<ReadContract, StripeError> {
        let sale = asked.sale;
        let items = priced(&sale.order)?
            .into_iter()
            .map(|(price, quantity)| CreateSubscriptionItems {
                price: Some(price),
                quantity: Some(quantity),
                ..CreateSubscriptionItems::new()
            });
        let mut request = CreateSubscription::new()
            .customer(asked.customer.as_str())
            .items(items.collect::<Vec<_>>())
            .billing_mode(BillingMode::Classic)
            .payment_behavior(behavior.clone())
            .metadata(metadata(&asked.contract()))
            .expand(expanded());
        if let Some(method) = asked.payment_method {
            request = request.default_payment_method(method.as_str());
        }
        if behavior != CreateSubscriptionPaymentBehavior::ErrorIfIncomplete {
            // What pays the first bill on its page pays the next ones. They would be charged to what did not pay it otherwise, or to the customer's own,
            // and a guest may have typed a customer's address.
            let mut settings = CreateSubscriptionPaymentSettings::new();
            settings.save_default_payment_method =
                Some(CreateSubscriptionPaymentSettingsSaveDefaultPaymentMethod::OnSubscription);
            request = request.payment_settings(settings);
        }
        if let Some(first) = sale.offer.short_first_period() {
            request = request
                .backdate_start_date(first.start.as_second())
                .billing_cycle_anchor(first.end.as_second());
        }
        let wire: Wire = self.post(request.build(), key).await?;
        wire.try_into()
    }

    /// Moves the subscription of a contract to what was sold, prorated from the instant that was quoted, and invoiced at once. What
    /// cannot be paid at once waits for its payment, and the subscription stays as it is until then.
    pub async fn amend_contract(
        &self,
        asked: &AskedSale<'_>,
        billing: &Billing,
    ) -> Result<ReadContract, StripeError> {
        let sale = asked.sale;
        let changes = item_changes(&billing.items, &priced(&sale.order)?);
        let items = changes.into_iter().map(|change| UpdateSubscriptionItems {
            id: change.id,
            price: change.price,
            quantity: change.quantity,
            deleted: change.deleted,
            ..UpdateSubscriptionItems::new()
        });
        let request = UpdateSubscription::new(billing.subscription.as_str())
            .items(items.collect::<Vec<_>>())
            .proration_behavior(UpdateSubscriptionProrationBehavior::AlwaysInvoice)
            .proration_date(sale.offer.at.as_second())
            .payment_behavior(UpdateSubscriptionPaymentBehavior::PendingIfIncomplete)
            .expand(expanded());
        let wire: Wire = self.post(request.build(), &key(sale)).await?;
        let mut amended: ReadContract = wire.try_into()?;
        amended.read.is_answer = true;
        Ok(amended)
    }

    /// A contract's subscription as it is now.
    pub async fn contract_subscription(&self, id: &SubscriptionId) -> Result<ReadContract, StripeError> {
        self.read_contract_subscription(id, &[]).await
    }

    /// The same with what pays it: for whoever is about to amend it.
    pub async fn contract_subscription_to_amend(
        &self,
        id: &SubscriptionId,
    ) -> Result<ReadContract, StripeError> {
        self.read_contract_subscription(id, &PAYERS).await
    }

    async fn read_contract_subscription(
        &self,
        id: &SubscriptionId,
        with: &[&str],
    ) -> Result<ReadContract, StripeError> {
        let with = with.iter().map(|member| (*member).to_owned());
        let request = RetrieveSubscription::new(id.as_str())
            .expand(expanded().into_iter().chain(with).collect::<Vec<_>>());
        let wire: Wire = self.get(request.build()).await?;
        let mut found: ReadContract = wire.try_into()?;
        if let Some(bill) = found.read.doubtful_bill() {
            found.read.is_debited = self.open_payment(&bill.id).await? == OpenPayment::UnderWay;
        }
        Ok(found)
    }

    /// The subscription that a contract was given, found by what it says of itself among its customer's: for a sale whose answer was
    /// lost; the latest of several. Stripe's list is up to date at once, other than its search.
    pub async fn find_contract_subscription(
        &self,
        customer: &CustomerId,
        contract: &ContractKey,
    ) -> Result<Option<ReadContract>, StripeError> {
        let is_own = |named: &&Named| self::named(&named.metadata).as_ref() == Some(contract);
        let list = ListSubscription::new()
            .customer(customer.as_str())
            .status(ListSubscriptionStatus::All);
        let mut pages = self.pages::<Named>(list.build());
        while let Some(page) = pages.next().await? {
            if let Some(own) = page.iter().find(is_own) {
                let id: SubscriptionId = id(&own.id, "a subscription")?;
                return self.contract_subscription(&id).await.map(Some);
            }
        }
        Ok(None)
    }

    /// Has a contract's subscription end at an instant, without crediting what is left of the period under way. What is left of a later one is
    /// not billed. `key` is whose end it is; setting an end that is set changes nothing. One that is over by then needs none, and
    /// one that is led by a schedule has it from that.
    pub async fn end_contract_at(
        &self,
        subscription: &SubscriptionId,
        end: Timestamp,
        key: &str,
    ) -> Result<ReadContract, StripeError> {
        let request = || {
            UpdateSubscription::new(subscription.as_str())
                .cancel_at(UpdateSubscriptionCancelAt::Timestamp(end.as_second()))
                .proration_behavior(UpdateSubscriptionProrationBehavior::None)
                .expand(expanded())
                .build()
        };
        let answer: Result<Wire, StripeError> = self.post_at_last(request, &format!("{key}/end")).await;
        match answer {
            Err(StripeError::Refused(refusal)) => {
                let now = self.contract_subscription(subscription).await?;
                let billing = &now.read.billing;
                if billing.status.is_live() && billing.schedule.is_none() {
                    return Err(StripeError::Refused(refusal));
                }
                Ok(now)
            }
            answer => answer?.try_into(),
        }
    }

    /// Ends a contract's subscription now, without a bill: it was paid too late, and the money goes back.
    pub async fn cancel_contract(
        &self,
        subscription: &SubscriptionId,
        sale: &Sale,
    ) -> Result<ReadContract, StripeError> {
        let request = CancelSubscription::new(subscription.as_str())
            .invoice_now(false)
            .prorate(false);
        let answer: Result<IgnoredAny, StripeError> =
            self.post(request.build(), &format!("{}/cancel", key(sale))).await;
        match answer {
            // Ended already: what it is now it tells.
            Ok(_) | Err(StripeError::Refused(_) | StripeError::Spent { .. }) => {}
            Err(error) => return Err(error),
        }
        self.contract_subscription(subscription).await
    }
}

/// A subscription, as far as it tells which contract it is of.
#[derive(Deserialize)]
struct Named {
    id: String,
    #[serde(default)]
    metadata: HashMap<String, String>,
}

impl Listed for Named {
    fn id(&self) -> &str {
        &self.id
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(id: &str, price: &str, quantity: u64) -> BilledItem {
        BilledItem {
            id: id.parse().unwrap(),
            price: price.parse().unwrap(),
            quantity,
        }
    }

    fn change(
        id: Option<&str>,
        price: Option<&str>,
        quantity: Option<u64>,
        deleted: Option<bool>,
    ) -> ItemChange {
        ItemChange {
            id: id.map(str::to_owned),
            price: price.map(str::to_owned),
            quantity,
            deleted,
        }
    }

    #[test]
    fn what_stays_is_left_alone_and_what_is_left_over_is_dropped() {
        let items = [
            item("si_1", "price_a", 1),
            item("si_2", "price_b", 2),
            item("si_3", "price_c", 3),
        ];
        let order = [("price_a".to_owned(), 1), ("price_c".to_owned(), 5)];
        assert_eq!(
            item_changes(&items, &order),
            [
                change(Some("si_3"), Some("price_c"), Some(5), None),
                change(Some("si_2"), None, None, Some(true)),
            ]
        );
    }

    #[test]
    fn another_price_takes_the_place_of_one_that_goes() {
        let items = [item("si_1", "price_a", 1)];
        let order = [("price_x".to_owned(), 1), ("price_y".to_owned(), 2)];
        assert_eq!(
            item_changes(&items, &order),
            [
                change(Some("si_1"), Some("price_x"), Some(1), None),
                change(None, Some("price_y"), Some(2), None),
            ]
        );
    }

    #[test]
    fn a_contract_is_named_in_one_member_of_the_metadata() {
        let key = ContractKey {
            organisation: "acme".parse().unwrap(),
            contract: "0b5f1c9e-3a57-4e38-9c3f-6d1a2b3c4d5e".parse().unwrap(),
        };
        assert_eq!(named(&metadata(&key)), Some(key));
        assert_eq!(named(&HashMap::new()), None);
    }
}
