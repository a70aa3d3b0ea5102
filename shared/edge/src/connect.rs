//! What the functions for connected accounts and Stripe's events of them have in common.

/// What is told of a subscription.
mod answer;
/// The client's one customer on a connected account.
mod buyer;
/// Changes, carried to their end by whoever finds them.
mod amend;
/// What Stripe refuses, in our words.
mod refused;

use std::collections::BTreeSet;
use std::convert::Infallible;

use billing_core::Timestamp;
use billing_core::connect::contract::Contract;
use billing_core::connect::offer::{self, ChosenPrices, Offer, Unsellable};
use billing_core::connect::order::{self, Metric, Tax};
use billing_core::connect::place::PostalCode;
use billing_core::connect::sale::{ReadSale, Sale, SaleKey};
use billing_core::id::{AgencyId, ClientId, ConnectedAccountId, ProductId, ScheduleId, SubscriptionId};
use billing_stripe::{Connected, ConnectedObject};
use futures_util::future::try_join_all;

use crate::body::Members;
use crate::call::Call;
use crate::problem::Problem;

pub use amend::NotAmended;
pub use answer::ConnectAnswer;
pub use buyer::{Payer, Paying, PutBack};
pub use refused::{Fields, OTHER_CURRENCY, awaited_start, refused};

/// What a caller is told of an account that is not theirs, or is none.
const NO_ACCOUNT: &str = "there is no such connected account";
/// What a caller is told of a subscription that is not on the account, or was not sold here.
const NO_SUBSCRIPTION: &str = "there is no such subscription";

/// What a path names: a schedule or a subscription.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Named {
    /// `sub_sched_…`
    Schedule(ScheduleId),
    /// `sub_…`
    Subscription(SubscriptionId),
}

impl Named {
    /// The one of that id; none when it is neither's.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let schedule = text.parse().ok().map(Self::Schedule);
        schedule.or_else(|| text.parse().ok().map(Self::Subscription))
    }

    /// The id.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Schedule(id) => id.as_str(),
            Self::Subscription(id) => id.as_str(),
        }
    }
}

impl Call<'_> {
    /// The connected account that the path names, if it is the agency's; 404 for another's as for none. Stripe is not asked.
    pub(crate) async fn connected_account(&self, agency: &AgencyId) -> Result<ConnectedAccountId, Problem> {
        let none = || Problem::not_found(NO_ACCOUNT);
        let named: ConnectedAccountId = self
            .path("accountId")
            .and_then(|id| id.parse().ok())
            .ok_or_else(none)?;
        let known = self.store.connected_account(&named).await?;
        let own = known.filter(|account| account.agency == *agency);
        own.map(|account| account.id).ok_or_else(none)
    }

    /// Stripe, speaking for a connected account.
    pub async fn stripe_of(&self, account: &ConnectedAccountId) -> Result<Connected, Problem> {
        Ok(self.stripe().await?.connected(account))
    }

    /// What the path names on the account; 404 for what can be neither kind of id.
    pub fn named_subscription(&self) -> Result<Named, Problem> {
        let named = self.path("subscriptionId").and_then(Named::parse);
        named.ok_or_else(|| Problem::not_found(NO_SUBSCRIPTION))
    }

    /// A sale and what Stripe has of it; 404 for what is not on the account, or was not sold here.
    pub async fn sale_of(&self, account: &ConnectedAccountId, named: &Named) -> Result<ReadSale, Problem> {
        let found = self.find_sale(account, named).await?;
        found.ok_or_else(|| Problem::not_found(NO_SUBSCRIPTION))
    }

    /// The same; none instead of 404.
    pub(crate) async fn find_sale(
        &self,
        account: &ConnectedAccountId,
        named: &Named,
    ) -> Result<Option<ReadSale>, Problem> {
        let Some(contract) = self.contract(account, named).await? else {
            return Ok(None);
        };
        let key = SaleKey {
            account: account.clone(),
            client: contract.sold.client.clone(),
            number: contract.sold.number,
        };
        let sale = self.store.sale(&key).await?;
        Ok(sale.map(|sale| ReadSale { sale, contract }))
    }

    /// A sale that was found before, as it is written down now. What the path names may say nothing of its sale any more.
    pub async fn sale_anew(&self, sale: &Sale) -> Result<Sale, Problem> {
        let sale = self.store.sale(&sale.key()).await?;
        sale.ok_or_else(|| Problem::not_found(NO_SUBSCRIPTION))
    }

    /// What Stripe has of a sale under the id by which it was found; 404 when it has nothing there. What comes of a change is written under the
    /// version of the sale, which is therefore read first: whoever changed it before that has to be seen at Stripe as well.
    pub async fn contract_there(&self, sale: &Sale, named: &Named) -> Result<Contract, Problem> {
        let contract = self.contract_of(sale, named).await?;
        contract.ok_or_else(|| Problem::not_found(NO_SUBSCRIPTION))
    }

    /// What Stripe has under an id of the account; none of what was not sold here.
    async fn contract(
        &self,
        account: &ConnectedAccountId,
        named: &Named,
    ) -> Result<Option<Contract>, Problem> {
        let seen = self.seen(account, named).await?;
        let mut contracts = self.sold_here(account, seen.into_iter().collect()).await?;
        Ok(contracts.pop())
    }

    /// What Stripe has under an id that is known to be this sale's, whatever it says of itself; none when Stripe has nothing there.
    pub async fn contract_of(&self, sale: &Sale, named: &Named) -> Result<Option<Contract>, Problem> {
        let seen = self.seen(&sale.account, named).await?;
        let contract = seen.map(|seen| seen.contract(sale.sold())).transpose();
        contract.map_err(|error| refused(error, &Fields::NONE))
    }

    async fn seen(
        &self,
        account: &ConnectedAccountId,
        named: &Named,
    ) -> Result<Option<ConnectedObject>, Problem> {
        let stripe = self.stripe_of(account).await?;
        let seen = match named {
            Named::Schedule(id) => stripe.schedule(id).await,
            Named::Subscription(id) => stripe.subscription(id).await,
        };
        seen.map_err(|error| refused(error, &Fields::NONE))
    }

    /// Of what was seen on the account, what was sold here, in the same order. What names no sale, and whose customer is a client of ours, is looked for
    /// among what is written down of that client.
    pub async fn sold_here(
        &self,
        account: &ConnectedAccountId,
        seen: Vec<ConnectedObject>,
    ) -> Result<Vec<Contract>, Problem> {
        let unnamed = seen.iter().filter(|seen| seen.sold().is_none());
        let clients: BTreeSet<&ClientId> = unnamed.filter_map(ConnectedObject::client).collect();
        let known = clients
            .into_iter()
            .map(|client| self.store.sales_to(account, client));
        let known: Vec<Sale> = try_join_all(known).await?.concat();
        let sold = |seen: &ConnectedObject| match seen.sold() {
            Some(sold) => Some(sold.clone()),
            None => known.iter().find(|sale| seen.is_of(sale)).map(Sale::sold),
        };
        let contracts = seen
            .iter()
            .filter_map(|seen| sold(seen).map(|sold| seen.contract(sold)));
        let contracts: Result<Vec<Contract>, _> = contracts.collect();
        contracts.map_err(|error| refused(error, &Fields::NONE))
    }

    /// What a product offers, if it can be sold by this metric; else why it cannot, which is a fault of the product.
    pub async fn offer(
        &self,
        stripe: &Connected,
        product: &ProductId,
        metric: Metric,
    ) -> Result<Result<Offer, Unsellable>, Problem> {
        let told = |error| refused(error, &Fields::NONE);
        // Both at once: a product that is not there has no prices.
        let (found, prices) = tokio::join!(stripe.product(product), stripe.active_prices(product));
        let Some(found) = found.map_err(told)? else {
            return Ok(Err(Unsellable::Missing));
        };
        if !found.active {
            return Ok(Err(Unsellable::Inactive));
        }
        let ChosenPrices { flat, metered } = match offer::choose(prices.map_err(told)?) {
            Ok(chosen) => chosen,
            Err(unsellable) => return Ok(Err(unsellable)),
        };
        let metered = match metered {
            None => None,
            Some(price) => match &price.usage {
                offer::Usage::Metered(Some(meter)) => {
                    let meter = meter.clone();
                    let event_name = stripe.meter_event_name(&meter).await.map_err(told)?;
                    Some(offer::Metered {
                        price,
                        meter,
                        event_name,
                    })
                }
                _ => return Ok(Err(Unsellable::Metric)),
            },
        };
        let offer = Offer {
            product: found.id,
            name: found.name,
            flat,
            metered,
        };
        Ok(offer.counts(metric).map(|()| offer))
    }
}

impl Members {
    /// `taxSettings`, if it is there: `enabled`, which it must have, `country` by its code in capitals, `postalCode`.
    pub fn tax_settings(&mut self) -> Option<Tax> {
        self.optional_object("taxSettings", |tax| {
            let enabled = tax.required_flag("enabled");
            let country = tax.optional("country", order::country);
            let postal_code = tax.optional("postalCode", str::parse::<PostalCode>);
            Some(Tax {
                enabled: enabled?,
                country,
                postal_code,
            })
        })
    }

    /// `startDate` of an order, in unix seconds, whatever it is: that of a sale that there is may be over. Whether it can be had is judged with
    /// what is wrong beyond the body's form.
    pub fn start_date(&mut self) -> Option<Timestamp> {
        self.required_integer("startDate", start_at)
    }

    /// `startDate` of an update, likewise.
    pub fn optional_start_date(&mut self) -> Option<Timestamp> {
        self.optional_integer("startDate", start_at)
    }

    /// Everything that was wrong with the body's form, if anything was, and then also a start that nobody means, which is judged later otherwise;
    /// what was read of all members else.
    pub fn finish_with_start<T>(
        mut self,
        read: Option<T>,
        path: &str,
        start: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<T, Problem> {
        let judged = start.map_or(Ok(()), |start| order::start(start, now));
        if let Err(fault @ order::Fault::FarAhead) = judged
            && !self.is_good()
        {
            self.fault(path, fault.to_string());
        }
        self.finish_with(read)
    }
}

fn start_at(seconds: i64) -> Result<Timestamp, Infallible> {
    Ok(order::start_at(seconds))
}
