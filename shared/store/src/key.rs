//! Every key, spelt once.
//!
//! Ids contain no `#` ([`billing_core::id`] sees to that), so a key is read back without doubt and nobody's id reaches into
//! another collection.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;
use billing_core::Timestamp;
use billing_core::access::Holder;
use billing_core::connect::sale::SaleKey;
use billing_core::coverage::Entry;
use billing_core::id::{
    AccountId, AgencyId, AgentId, BusinessEntityId, BuyerId, CheckoutId, ClientId, ConnectedAccountId,
    ContractId, CustomerId, EventId, InvoiceId, KeyId, NumberId, OfferedId, OrganisationId, PlanId,
    PromotionCodeId, SubscriptionId,
};
use billing_core::quote::Quote;

/// The partition key's attribute.
pub(crate) const PK: &str = "pk";
/// The sort key's attribute.
pub(crate) const SK: &str = "sk";
/// How the partitions of reservations begin.
pub(crate) const RESERVATION_PREFIX: &str = "RESERVATION#";
/// How the partitions of checkout sessions begin.
pub(crate) const SESSION_PREFIX: &str = "SESSION#";
/// The sort key of the moment at which a session's time runs out.
pub(crate) const DEADLINE: &str = "DEADLINE";
/// The partition of the events that failed.
pub(crate) const FAILED: &str = "FAILED";
/// The attribute by which DynamoDB deletes items of the `sessions` table: unix seconds.
pub(crate) const EXPIRES_AT: &str = "expires_at";

/// Sort keys inside `ACCOUNT#…`, in their order: keys come before what a request reads.
pub(crate) const KEY_PREFIX: &str = "KEY#";
pub(crate) const LEDGER_PREFIX: &str = "LEDGER#";
pub(crate) const NUMBER_PREFIX: &str = "NUMBER#";
pub(crate) const PROFILE: &str = "PROFILE";
pub(crate) const REVERSAL_PREFIX: &str = "REVERSAL#";
pub(crate) const SUBSCRIPTION: &str = "SUBSCRIPTION";

/// Sort keys inside `ORGANISATION#…`.
pub(crate) const ENTITY_PREFIX: &str = "ENTITY#";
pub(crate) const PLAN_PREFIX: &str = "PLAN#";

/// A primary key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Key {
    pub(crate) pk: String,
    pub(crate) sk: String,
}

impl Key {
    fn new(pk: String, sk: impl Into<String>) -> Self {
        Self { pk, sk: sk.into() }
    }

    /// As DynamoDB wants it.
    pub(crate) fn attributes(&self) -> HashMap<String, AttributeValue> {
        HashMap::from([
            (PK.to_owned(), AttributeValue::S(self.pk.clone())),
            (SK.to_owned(), AttributeValue::S(self.sk.clone())),
        ])
    }
}

impl std::fmt::Display for Key {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "{}/{}", self.pk, self.sk)
    }
}

/// `ACCOUNT#<id>`, `AGENCY#<id>`, `ORGANISATION#<id>`: the collection of whoever may hold keys.
pub(crate) fn holder(holder: &Holder) -> String {
    match holder {
        Holder::Account(id) => account(id),
        Holder::Agency(id) => format!("AGENCY#{id}"),
        Holder::Organisation(id) => format!("ORGANISATION#{id}"),
    }
}

/// `<holder>/PROFILE`: its head, which is there when it exists.
pub(crate) fn head(of: &Holder) -> Key {
    Key::new(holder(of), PROFILE)
}

/// `ACCOUNT#<id>`: the collection of an account.
pub(crate) fn account(id: &AccountId) -> String {
    format!("ACCOUNT#{id}")
}

/// `ACCOUNT#<id>/PROFILE`.
pub(crate) fn profile(id: &AccountId) -> Key {
    Key::new(account(id), PROFILE)
}

/// `ACCOUNT#<id>/SUBSCRIPTION`.
pub(crate) fn subscription(id: &AccountId) -> Key {
    Key::new(account(id), SUBSCRIPTION)
}

/// `ACCOUNT#<id>/NUMBER#<number id>`.
pub(crate) fn number(id: &AccountId, number: &NumberId) -> Key {
    Key::new(account(id), format!("{NUMBER_PREFIX}{number}"))
}

/// `ACCOUNT#<id>/LEDGER#<invoice>#<line>`: the natural key that lands a line once.
pub(crate) fn ledger(id: &AccountId, entry: &Entry) -> Key {
    Key::new(
        account(id),
        format!("{LEDGER_PREFIX}{}#{}", entry.invoice, entry.line),
    )
}

/// `ACCOUNT#<id>/REVERSAL#<invoice>`: what was given back of an invoice, one for each.
pub(crate) fn reversal(id: &AccountId, invoice: &InvoiceId) -> Key {
    Key::new(account(id), format!("{REVERSAL_PREFIX}{invoice}"))
}

/// `<holder>/KEY#<key id>`: the list of a holder's keys.
pub(crate) fn listed_key(of: &Holder, key: &KeyId) -> Key {
    Key::new(holder(of), format!("{KEY_PREFIX}{key}"))
}

/// `KEY#<SHA-256 in hex>/KEY`: an API key by the hash of its secret.
pub(crate) fn api_key(hash: &str) -> Key {
    Key::new(format!("KEY#{hash}"), "KEY")
}

/// Sort keys inside `AGENCY#…`.
pub(crate) const AGENT_PREFIX: &str = "AGENT#";
pub(crate) const CLIENT_PREFIX: &str = "CLIENT#";
pub(crate) const CONNECTED_PREFIX: &str = "CONNECTED#";
/// Sort keys inside `BUYER#…`.
pub(crate) const SALE_PREFIX: &str = "SALE#";

/// `AGENCY#<agency>/CLIENT#<client>`.
pub(crate) fn client(agency: &AgencyId, client: &ClientId) -> Key {
    Key::new(format!("AGENCY#{agency}"), format!("{CLIENT_PREFIX}{client}"))
}

/// `AGENCY#<agency>/AGENT#<agent>`.
pub(crate) fn agent(agency: &AgencyId, agent: &AgentId) -> Key {
    Key::new(format!("AGENCY#{agency}"), format!("{AGENT_PREFIX}{agent}"))
}

/// `AGENCY#<agency>/CONNECTED#<account>`: the list of an agency's connected accounts.
pub(crate) fn listed_connection(agency: &AgencyId, account: &ConnectedAccountId) -> Key {
    Key::new(format!("AGENCY#{agency}"), format!("{CONNECTED_PREFIX}{account}"))
}

/// The partition that lists all connected accounts.
pub(crate) const CONNECTED: &str = "CONNECTED";

/// `CONNECTED/CONNECTED#<account>`: the list of all connected accounts, in the order of their ids.
pub(crate) fn any_connection(account: &ConnectedAccountId) -> Key {
    Key::new(CONNECTED.to_owned(), format!("{CONNECTED_PREFIX}{account}"))
}

/// `CONNECTED#<account>/PROFILE`: whose connected account it is.
pub(crate) fn connected(account: &ConnectedAccountId) -> Key {
    Key::new(format!("CONNECTED#{account}"), PROFILE)
}

/// `BUYER#<account>#<client>`: the collection of a client on a connected account.
pub(crate) fn buyers(account: &ConnectedAccountId, client: &ClientId) -> String {
    format!("BUYER#{account}#{client}")
}

/// `BUYER#<account>#<client>/PROFILE`.
pub(crate) fn connected_buyer(account: &ConnectedAccountId, client: &ClientId) -> Key {
    Key::new(buyers(account, client), PROFILE)
}

/// `BUYER#<account>#<client>/SALE#<number>`, in the order of their numbers.
pub(crate) fn sale(sale: &SaleKey) -> Key {
    Key::new(
        buyers(&sale.account, &sale.client),
        format!("{SALE_PREFIX}{:010}", sale.number),
    )
}

/// `STRIPE#-#<customer>/POINTER`: whose customer it is, on our own Stripe account.
pub(crate) fn pointer(customer: &CustomerId) -> Key {
    Key::new(format!("STRIPE#-#{customer}"), "POINTER")
}

/// `STRIPE#-#<subscription>/POINTER`: which contract it bills, on our own Stripe account.
pub(crate) fn subscription_pointer(subscription: &SubscriptionId) -> Key {
    Key::new(format!("STRIPE#-#{subscription}"), "POINTER")
}

/// `STRIPE#-#<invoice>/LET_GO`: a bill that nothing is sold by any more, and that can be paid all the same.
pub(crate) fn let_go(invoice: &InvoiceId) -> Key {
    Key::new(format!("STRIPE#-#{invoice}"), "LET_GO")
}

/// `ORGANISATION#<id>`: the collection of an organisation.
pub(crate) fn organisation(id: &OrganisationId) -> String {
    holder(&id.into())
}

/// `ORGANISATION#<id>/ENTITY#<business entity>`.
pub(crate) fn business_entity(of: &OrganisationId, id: &BusinessEntityId) -> Key {
    Key::new(organisation(of), format!("{ENTITY_PREFIX}{id}"))
}

/// `ORGANISATION#<id>/CUSTOMER#<customer>`.
pub(crate) fn buyer(of: &OrganisationId, id: &BuyerId) -> Key {
    Key::new(organisation(of), format!("CUSTOMER#{id}"))
}

/// `ORGANISATION#<id>/EMAIL#<hash>`: the one customer that has an e-mail address.
pub(crate) fn email(of: &OrganisationId, hash: &str) -> Key {
    Key::new(organisation(of), format!("EMAIL#{hash}"))
}

/// `ORGANISATION#<id>/PLAN#<plan>`: a plan as it is offered at present.
pub(crate) fn plan(of: &OrganisationId, id: &PlanId) -> Key {
    Key::new(organisation(of), format!("{PLAN_PREFIX}{id}"))
}

/// `PRICE#<product>#`: what the sort keys of all versions of a product's price begin with.
pub(crate) fn prices(product: &OfferedId) -> String {
    format!("PRICE#{product}#")
}

/// `ORGANISATION#<id>/PRICE#<product>#<version>`: a version of a price; the versions sort.
pub(crate) fn price(of: &OrganisationId, product: &OfferedId, version: u32) -> Key {
    Key::new(organisation(of), format!("{}{version:010}", prices(product)))
}

/// `ORGANISATION#<id>/CONTRACT#<contract>`: a contract; its ledger and its history follow it.
pub(crate) fn contract(organisation_id: &OrganisationId, contract: &ContractId) -> Key {
    Key::new(organisation(organisation_id), format!("CONTRACT#{contract}"))
}

/// `ORGANISATION#<id>/CONTRACT#<contract>#LEDGER#<invoice>#<line>`: the natural key that lands a line once.
pub(crate) fn contract_ledger(organisation_id: &OrganisationId, contract: &ContractId, entry: &Entry) -> Key {
    Key::new(
        organisation(organisation_id),
        format!(
            "CONTRACT#{contract}#{LEDGER_PREFIX}{}#{}",
            entry.invoice, entry.line
        ),
    )
}

/// `ORGANISATION#<id>/CONTRACT#<contract>#REVERSAL#<invoice>`: what was given back of an invoice.
pub(crate) fn contract_reversal(
    organisation_id: &OrganisationId,
    contract: &ContractId,
    invoice: &InvoiceId,
) -> Key {
    Key::new(
        organisation(organisation_id),
        format!("CONTRACT#{contract}#REVERSAL#{invoice}"),
    )
}

/// `ORGANISATION#<id>/CONTRACT#<contract>#AMENDMENT#<number>`: an entry of its history; the numbers sort.
pub(crate) fn amendment(organisation_id: &OrganisationId, contract: &ContractId, number: u64) -> Key {
    Key::new(
        organisation(organisation_id),
        format!("CONTRACT#{contract}#AMENDMENT#{number:06}"),
    )
}

/// `SESSION#<id>/SESSION`.
pub(crate) fn session(id: &CheckoutId) -> Key {
    Key::new(format!("{SESSION_PREFIX}{id}"), "SESSION")
}

/// `SESSION#<id>/DEADLINE`: deleted when the session's time runs out, while the session itself is kept for its readers.
pub(crate) fn deadline(id: &CheckoutId) -> Key {
    Key::new(format!("{SESSION_PREFIX}{id}"), DEADLINE)
}

/// `INTENT#<organisation>#<hash>/INTENT`: the session that a wish was last made into.
pub(crate) fn intent(organisation: &OrganisationId, hash: &str) -> Key {
    Key::new(format!("INTENT#{organisation}#{hash}"), "INTENT")
}

/// `RESERVATION#<account>/RESERVATION`.
pub(crate) fn reservation(account: &AccountId) -> Key {
    Key::new(format!("{RESERVATION_PREFIX}{account}"), "RESERVATION")
}

/// `RECEIPT#<connected account or ->#<event>/RECEIPT`.
pub(crate) fn receipt(connected_account: Option<&ConnectedAccountId>, event: &EventId) -> Key {
    Key::new(format!("RECEIPT#{}#{event}", world(connected_account)), "RECEIPT")
}

/// `FAILED/FAILED#<connected account or ->#<event>`: the events that failed, in one collection.
pub(crate) fn failure(connected_account: Option<&ConnectedAccountId>, event: &EventId) -> Key {
    let sk = format!("{FAILED}#{}#{event}", world(connected_account));
    Key::new(FAILED.to_owned(), sk)
}

/// `STRIPE#<connected account or ->/CURSOR`: how far a Stripe account's list of events was read.
pub(crate) fn cursor(connected_account: Option<&ConnectedAccountId>) -> Key {
    Key::new(format!("STRIPE#{}", world(connected_account)), "CURSOR")
}

/// `STRIPE#-/ROTATION`: whose turn it was last of the connected accounts.
pub(crate) fn rotation() -> Key {
    Key::new(format!("STRIPE#{}", world(None)), "ROTATION")
}

/// The part of a key that tells whose Stripe account it is about: `-` for our own.
fn world(connected_account: Option<&ConnectedAccountId>) -> &str {
    connected_account.map_or("-", ConnectedAccountId::as_str)
}

/// `REPLY#<caller>#<operation>#<hash of the idempotency key>/REPLY`. A caller is an account's id, or `AGENCY#` or `ORGANISATION#`
/// and the id: with one part more, they meet no account's, whatever its id.
pub(crate) fn reply(caller: &Holder, operation: &str, key_hash: &str) -> Key {
    let caller = match caller {
        Holder::Account(id) => id.to_string(),
        other => holder(other),
    };
    Key::new(format!("REPLY#{caller}#{operation}#{key_hash}"), "REPLY")
}

/// `QUOTE#<account>#<proration date>`: the quotes that an account got at an instant.
pub(crate) fn quotes(account: &AccountId, proration_date: Timestamp) -> String {
    format!("QUOTE#{account}#{}", proration_date.as_second())
}

/// `QUOTE#<account>#<proration date>/QUOTE#<price>#<quantity or ->#<promotion code or ->#<units>#<amount due>#<total>`: the same
/// answer at the same instant is the same quote, and another answer is another.
pub(crate) fn quote(quote: &Quote) -> Key {
    let Quote { asked, charge, .. } = quote;
    let quantity = asked
        .quantity
        .map_or_else(|| "-".to_owned(), |quantity| quantity.to_string());
    let code = asked.promotion_code.as_ref().map_or("-", PromotionCodeId::as_str);
    Key::new(
        quotes(&quote.account, quote.proration_date),
        format!(
            "QUOTE#{}#{quantity}#{code}#{}#{}#{}",
            asked.price, quote.quantity, charge.amount_due, charge.total
        ),
    )
}
