//! `POST /v1/public/stripe/connect/accounts/{accountId}/subscriptions`: sells a product to a client on a connected account.
//!
//! # How it works
//! Account, client and agents are the agency's, or nothing is asked of Stripe. The order is compared with the client's latest
//! sales ([`billing_core::connect::sale`]): the same a moment ago, or under the same `Idempotency-Key`, is answered with what came of it. A new one
//! must not begin in the past, is checked against what the account has for sale, written down under a number, and made a schedule at Stripe
//! under that number.
//!
//! # If it fails half-way
//! Whoever orders the same finishes the sale that is there: the customer and the schedule are asked for under the same keys. A
//! schedule that nobody recorded names its sale, and its event has it recorded.

/// What is wrong with an order beyond its form.
mod check;

use std::collections::BTreeSet;

use billing_core::access::Owner;
use billing_core::asked;
use billing_core::connect::Client;
use billing_core::connect::buyer::Buyer;
use billing_core::connect::contract::Stage;
use billing_core::connect::order::{self, Metric, Order, Timeliness};
use billing_core::connect::place::{Place, Whereabouts};
use billing_core::connect::sale::{self, NamedAgent, NewSale, Next, ReadSale, Sale, Terms};
use billing_core::id::{
    AgencyId, AgentId, ClientId, ConnectedAccountId, CouponId, CustomerId, ProductId, ScheduleId,
};
use billing_edge::connect::{ConnectAnswer, Fields, Named, Payer, Paying, PutBack, awaited_start, refused};
use billing_edge::{Call, Function, Problem, Reply};
use billing_store::{FoundSale, Listener, SoldBefore, Unfinished, unless_conflict};
use billing_stripe::{Connected, NewSchedule, StripeError};

const NAME: &str = "create-connect-subscription";
/// What the members are called that Stripe may object to.
const FIELDS: Fields = Fields {
    product: Some("data.selectedProduct.productId"),
    start: Some("data.selectedProduct.startDate"),
    coupon: Some("data.couponId"),
    country: Some("data.taxSettings.country"),
};

/// This Lambda.
pub const FUNCTION: Function = Function::new(NAME, |call| Box::pin(sell(call)));

async fn sell(call: &Call<'_>) -> Result<Reply, Problem> {
    let (caller, account) = call.authenticate_agency().await?;
    let (owner, account) = (caller.owner()?, account?);
    call.once(owner.agency(), NAME, sell_to_client(call, &owner, &account))
        .await
}

async fn sell_to_client(
    call: &Call<'_>,
    owner: &Owner<AgencyId>,
    account: &ConnectedAccountId,
) -> Result<Reply, Problem> {
    let request = Request {
        order: read_order(call)?,
        key: call.idempotency_key_hash()?,
    };
    let mut rounds = call.rounds();
    let mut course = Course::default();
    loop {
        if let Some(ReadSale { sale, contract }) =
            attempt(call, owner, account, &request, &mut course).await?
        {
            return Ok(Reply::ok(&ConnectAnswer::of(&sale, &contract)));
        }
        rounds.lost().await?;
    }
}

/// What this call has found out: numbers of sales.
#[derive(Default)]
struct Course {
    /// Of which nothing can come.
    over: BTreeSet<u64>,
    /// Which it has made, or found in life: canceled since, they are what it is told, and nothing is sold anew.
    own: BTreeSet<u64>,
}

/// An order, and what makes it one request.
struct Request {
    order: Order,
    /// Its `Idempotency-Key`, hashed.
    key: Option<String>,
}

impl Request {
    fn key(&self) -> Option<&str> {
        self.key.as_deref()
    }

    /// Whoever sent it is about to be told.
    fn listener(&self, call: &Call<'_>) -> Listener<'_> {
        Listener::Orderer {
            key: self.key(),
            at: call.now,
        }
    }
}

fn read_order(call: &Call<'_>) -> Result<Order, Problem> {
    let mut members = call.members()?;
    let mut asked_start = None;
    let order = members.required_object("data", |data| {
        let client = data.required("clientId", |id| {
            id.parse::<ClientId>().map_err(|_| "must be 24 hex digits")
        });
        let agents = data.required_texts("agentIds", |id| {
            id.parse::<AgentId>().map_err(|_| "must be 24 hex digits each")
        });
        let selected = data.required_object("selectedProduct", |selected| {
            let product = selected.required("productId", |id| match id.parse::<ProductId>() {
                Ok(product) if id.starts_with("prod_") => Ok(product),
                _ => Err("must be a product id (prod_…)"),
            });
            asked_start = selected.start_date();
            let metric =
                selected.required_object("pricing", |pricing| pricing.required("metrics", Metric::parse));
            Some((product?, asked_start?, metric?))
        });
        // An empty one means none.
        let coupon = data.optional("couponId", |id| match id {
            "" => Ok(None),
            id => id
                .parse::<CouponId>()
                .map(Some)
                .map_err(|_| "must be a coupon id"),
        });
        let tax = data.tax_settings();
        let (product, start, metric) = selected?;
        let mut agents = agents?;
        let mut known = BTreeSet::new();
        agents.retain(|agent| known.insert(agent.clone()));
        Some(Order {
            client: client?,
            agents,
            product,
            metric,
            coupon: coupon.flatten(),
            tax,
            start,
        })
    });
    members.finish_with_start(order, "data.selectedProduct.startDate", asked_start, call.now)
}

/// One attempt on fresh facts; none when somebody else wrote first.
async fn attempt(
    call: &Call<'_>,
    owner: &Owner<AgencyId>,
    account: &ConnectedAccountId,
    request: &Request,
    course: &mut Course,
) -> Result<Option<ReadSale>, Problem> {
    let (store, agency, order) = (&call.store, owner.agency(), &request.order);
    let sold = async {
        // In this order: see `Store::sales_to`.
        let buyer = store.connected_buyer(account, &order.client).await?;
        Ok((buyer, store.sales_to(account, &order.client).await?))
    };
    let (client, agents, (buyer, seen)) = tokio::try_join!(
        store.client(agency, &order.client),
        store.agents(agency, &order.agents),
        sold,
    )?;
    let mut sales = seen.clone();
    sales.retain(|sale| !course.over.contains(&sale.number));
    let next = sale::next(&sales, order, request.key(), call.now);
    let start = match &next {
        Next::Begin => order::start(order.start, call.now),
        // Of what there is already, its start may be over.
        Next::Repeat(_) | Next::Finish(_) => Ok(()),
    };
    let (client, agents) = check::own(order, client, agents, start)?;
    let is_taken_up = matches!(next, Next::Finish(_));
    let (buyer, sale, whereabouts) = match next {
        Next::Repeat(sale) => return repeat(call, request, sale, course).await,
        Next::Finish(sale) => {
            // Another machine wrote both between the two reads.
            let Some(buyer) = buyer else {
                return Ok(None);
            };
            (buyer, sale, None)
        }
        Next::Begin => {
            let ordered = Ordered {
                account,
                request,
                agents,
                before: SoldBefore {
                    buyer: buyer.as_ref(),
                    sales: &seen,
                },
            };
            let Some(begun) = begin(call, owner, ordered).await? else {
                return Ok(None);
            };
            begun
        }
    };
    course.own.insert(sale.number);
    let begun = Begun {
        request,
        client: &client,
        buyer: &buyer,
        sale: &sale,
        whereabouts,
        is_taken_up,
    };
    open(call, owner, &begun).await
}

/// What came of a sale that was made already; none when somebody else wrote first, or it is over.
async fn repeat(
    call: &Call<'_>,
    request: &Request,
    sale: Sale,
    course: &mut Course,
) -> Result<Option<ReadSale>, Problem> {
    let known = match &sale.schedule {
        Some(id) => call.contract_of(&sale, &Named::Schedule(id.clone())).await?,
        None => None,
    };
    let is_requested = sale.is_asked_under(request.key()) || course.own.contains(&sale.number);
    let Some(contract) = known.filter(|contract| is_requested || contract.stage() != Stage::Over) else {
        // Canceled since: the same again is an order of its own, unless it is the same request.
        course.over.insert(sale.number);
        return Ok(None);
    };
    course.own.insert(sale.number);
    if sale.is_told(request.key()) {
        return Ok(Some(ReadSale { sale, contract }));
    }
    let found = FoundSale {
        schedule: None,
        contract: &contract,
        amendment: Unfinished::Stays,
        listener: request.listener(call),
    };
    let landed = unless_conflict(call.store.land_sale(&sale, &found).await)?;
    Ok(landed.map(|sale| ReadSale { sale, contract }))
}

/// An order of what is the agency's own.
struct Ordered<'a> {
    account: &'a ConnectedAccountId,
    request: &'a Request,
    agents: Vec<NamedAgent>,
    before: SoldBefore<'a>,
}

/// Checks the order against what the account has for sale, and writes it down under the client's next number. With it, what there is to tell of
/// where the client is, if it has a customer.
async fn begin(
    call: &Call<'_>,
    owner: &Owner<AgencyId>,
    ordered: Ordered<'_>,
) -> Result<Option<(Buyer, Sale, Option<Whereabouts>)>, Problem> {
    let Ordered {
        account,
        request,
        agents,
        before,
    } = ordered;
    let offer = check::sellable(call, account, before, &request.order).await?;
    let tax = request.order.tax.as_ref();
    let placed = before
        .buyer
        .and_then(|buyer| Some((buyer, buyer.customer.as_ref()?, buyer.placed(tax)?)));
    let whereabouts = match placed {
        Some((buyer, customer, place)) => {
            let stripe = call.stripe_of(account).await?;
            let whereabouts = Whereabouts::of(&call.address_of(&stripe, customer).await?, &place);
            if let Some(moved) = &whereabouts.moved
                && call.correct_place(buyer, customer, moved).await?
            {
                return Ok(None);
            }
            Some(whereabouts)
        }
        None => None,
    };
    let new = NewSale {
        agency: owner.agency(),
        account,
        number: before.buyer.map_or(0, |buyer| buyer.sales) + 1,
        order: request.order.clone(),
        key: request.key(),
        agents,
        terms: Terms::of(&offer),
        moved: whereabouts
            .as_ref()
            .and_then(|whereabouts| whereabouts.moved.clone()),
    };
    let sale = Sale::begin(new, call.now);
    let begun = unless_conflict(call.store.begin_sale(before, &sale, call.now).await)?;
    Ok(begun.map(|buyer| (buyer, sale, whereabouts)))
}

/// A sale that is written down.
struct Begun<'a> {
    /// By which it is made now: the first one, or one that found it.
    request: &'a Request,
    client: &'a Client,
    buyer: &'a Buyer,
    sale: &'a Sale,
    /// What there is to tell of where the client is, where that was found out a moment ago.
    whereabouts: Option<Whereabouts>,
    /// Whether another call wrote it down: what it was decided on may have moved since.
    is_taken_up: bool,
}

/// Makes the schedule of a sale, and records it; none when somebody else wrote first, or nothing can come of this number. Once its start is over it
/// is not asked for any more: see [`Timeliness`].
async fn open(
    call: &Call<'_>,
    owner: &Owner<AgencyId>,
    begun: &Begun<'_>,
) -> Result<Option<ReadSale>, Problem> {
    let &Begun {
        client, buyer, sale, ..
    } = begun;
    let stripe = call.stripe_of(&sale.account).await?;
    match sale.timeliness(call.now) {
        Timeliness::InTime => {}
        Timeliness::Awaited => return settle(call, &stripe, begun, Some(awaited_start())).await,
        Timeliness::Over => return settle(call, &stripe, begun, None).await,
    }
    let whereabouts = match &begun.whereabouts {
        Some(whereabouts) => whereabouts.clone(),
        None => call.whereabouts_of(&stripe, buyer, sale).await?,
    };
    let paying = Paying {
        buyer,
        client,
        whereabouts: &whereabouts,
        address_key: &address_key(sale),
    };
    let payer = call.buyers_customer(owner, &stripe, &paying).await?;
    let customer = match payer {
        Payer::Is(customer) => customer,
        Payer::Overtaken => return Ok(None),
        // Stripe keeps a failure under this number, or the build before this one told it of another place, and may have made the schedule
        // after that. The next number has another key.
        Payer::Unlocated(error @ StripeError::Spent { .. }) => {
            let unknown = under_way(call, sale, &error).map(Problem::from);
            return settle(call, &stripe, begun, unknown).await;
        }
        Payer::Unlocated(StripeError::Refused(refusal))
            if refusal.is_missing("id") || refusal.is_missing("customer") =>
        {
            return without_customer(call, buyer, sale).await;
        }
        Payer::Unlocated(error) => return refuse(call, sale, error).await,
    };
    let new = NewSchedule {
        owner,
        sale,
        customer: &customer,
    };
    let schedule = match stripe.create_schedule(&new).await {
        Ok(schedule) => schedule,
        Err(StripeError::Refused(refusal)) if refusal.is_missing("customer") => {
            return without_customer(call, buyer, sale).await;
        }
        // Stripe keeps a failure under this number, and may have made it before it failed. The next number has another key.
        Err(error @ StripeError::Spent { .. }) => match made_before(&stripe, sale, &customer).await? {
            Some(schedule) => schedule,
            None => match under_way(call, sale, &error) {
                Some(unknown) => return Err(unknown.into()),
                None => return undone(call, &stripe, begun).await,
            },
        },
        // What was to be charged then is perhaps not sold any more, and something else is: the next number is decided on what there is.
        Err(StripeError::Refused(refusal)) if begun.is_taken_up && refusal.is_about_items() => {
            return undone(call, &stripe, begun).await;
        }
        Err(error @ StripeError::Refused(_)) => {
            undone(call, &stripe, begun).await?;
            return Err(refused(error, &FIELDS));
        }
        Err(error) => return Err(error.into()),
    };
    record(call, begun, &schedule, whereabouts.place.as_ref()).await
}

/// Records what was made of a sale that is not asked for any more. Where nothing was, it is over, unless that is not known (`unknown`): another
/// machine may still be at it.
async fn settle(
    call: &Call<'_>,
    stripe: &Connected,
    begun: &Begun<'_>,
    unknown: Option<Problem>,
) -> Result<Option<ReadSale>, Problem> {
    let Begun { buyer, sale, .. } = begun;
    // Nothing is made for a customer that is not recorded.
    let made = match &buyer.customer {
        Some(customer) => made_before(stripe, sale, customer).await?,
        None => None,
    };
    match (made, unknown) {
        (Some(schedule), _) => {
            let whereabouts = call.whereabouts_of(stripe, buyer, sale).await?;
            record(call, begun, &schedule, whereabouts.known()).await
        }
        (None, Some(unknown)) => Err(unknown),
        (None, None) => undone(call, stripe, begun).await,
    }
}

/// What it comes to that Stripe was asked under this number in other words, of a sale that another machine may still be at: one of the build before
/// this one. It may be about to have its schedule made, so the sale is not over.
fn under_way(call: &Call<'_>, sale: &Sale, error: &StripeError) -> Option<StripeError> {
    error
        .asked_in_other_words()
        .filter(|_| sale.is_in_flight(call.now))
}

/// The schedule that Stripe has made of a sale, if it has.
async fn made_before(
    stripe: &Connected,
    sale: &Sale,
    customer: &CustomerId,
) -> Result<Option<ScheduleId>, Problem> {
    let since = asked::earliest(sale.asked_at);
    let found = stripe.find_schedule(sale, customer, since).await;
    found.map_err(|error| refused(error, &FIELDS))
}

/// Reads the schedule of a sale, and writes it into the sale, and where the client is into what is recorded of it; none when somebody else wrote
/// first.
async fn record(
    call: &Call<'_>,
    &Begun {
        request, buyer, sale, ..
    }: &Begun<'_>,
    schedule: &ScheduleId,
    place: Option<&Place>,
) -> Result<Option<ReadSale>, Problem> {
    let named = Named::Schedule(schedule.clone());
    let located = async {
        match (&buyer.customer, place) {
            (Some(customer), Some(place)) => call.record_place(buyer, customer, place).await,
            // A new customer is recorded with its place.
            _ => Ok(()),
        }
    };
    let (contract, ()) = tokio::try_join!(call.contract_of(sale, &named), located)?;
    let contract = contract.ok_or_else(|| Problem::bad_gateway("a new schedule is not there"))?;
    let found = FoundSale {
        schedule: Some(schedule),
        contract: &contract,
        amendment: Unfinished::Stays,
        listener: request.listener(call),
    };
    // Somebody wrote in between, its event perhaps: then it is there already, and that its orderer is told is still to be written down.
    let landed = unless_conflict(call.store.land_sale(sale, &found).await)?;
    Ok(landed.map(|sale| ReadSale { sale, contract }))
}

/// An operator deleted the customer at Stripe: the client gets another one.
async fn without_customer(call: &Call<'_>, buyer: &Buyer, sale: &Sale) -> Result<Option<ReadSale>, Problem> {
    unless_conflict(call.store.forget_connected_buyer(buyer, call.now).await)?;
    dropped(call, sale).await
}

/// Stripe said no.
async fn refuse(call: &Call<'_>, sale: &Sale, error: StripeError) -> Result<Option<ReadSale>, Problem> {
    dropped(call, sale).await?;
    Err(refused(error, &FIELDS))
}

/// The idempotency key under which Stripe is told where the client is.
fn address_key(sale: &Sale) -> String {
    format!(
        "connect-address/{}/{}/{}",
        sale.account, sale.order.client, sale.number
    )
}

/// Nothing was made under this number, and nothing will be: a client that was told to be elsewhere for it is where it was.
async fn undone(
    call: &Call<'_>,
    stripe: &Connected,
    &Begun { buyer, sale, .. }: &Begun<'_>,
) -> Result<Option<ReadSale>, Problem> {
    // Who had no customer was nowhere.
    if let (Some(moved), Some(customer)) = (&sale.moved, &buyer.customer) {
        let back = PutBack {
            sale,
            customer,
            moved,
            key: &format!("{}/back", address_key(sale)),
        };
        call.put_back(stripe, &back).await?;
    }
    dropped(call, sale).await
}

/// Nothing was made under this number, and nothing will be.
async fn dropped(call: &Call<'_>, sale: &Sale) -> Result<Option<ReadSale>, Problem> {
    unless_conflict(call.store.drop_sale(sale).await)?;
    Ok(None)
}
