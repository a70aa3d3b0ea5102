//! The secrets, and what they open: Stripe's account, its prices, its webhook endpoint.

use std::collections::HashSet;
use std::time::Duration;

use billing_core::access::Mode;
use billing_core::id::PriceId;
use billing_core::money::{Currency, Money};
use billing_core::plan::Interval;
use billing_edge::{App, CONNECTED_EVENT_TYPES, EVENT_TYPES, WrongKey};
use billing_store::StoreError;
use billing_stripe::{EventWindow, PriceState, StripeError, TaxSettings, WebhookEndpoint, api_version};

use super::{Finding, Patient, Verdict};

const KEY: &str = "stripe key";
const SIGNING: &str = "webhook secret";
const PRICES: &str = "prices";
const TAX: &str = "tax";
const ENDPOINT: &str = "webhook endpoint";
const CONNECTED_ENDPOINT: &str = "connect endpoint";
/// For each call.
const PATIENCE: Duration = Duration::from_secs(10);

/// What is said of a key that was put into Secrets Manager.
fn words_on(wrong: WrongKey, mode: Mode) -> String {
    match wrong {
        WrongKey::NotSecret => format!(
            "{wrong}: every request that needs Stripe is answered 500; put one into the secret, as bare text"
        ),
        WrongKey::OtherMode => format!(
            "is of the other mode than BILLING_MODE {mode}: every request that needs Stripe is answered 500; put a key of that mode into the secret, or deploy with the other BillingMode"
        ),
    }
}

pub(super) async fn examine(app: &App, patient: &Patient<'_>) -> Vec<Finding> {
    let ((signing, secrets), key) = tokio::join!(signing_secrets(app), app.stripe_key());
    let mut findings = vec![signing];
    let key = match key {
        Ok(key) => match app.check_stripe_key(&key) {
            Ok(()) => key,
            Err(wrong) => {
                findings.push(Finding::wrong(KEY, words_on(wrong, app.config.mode)));
                return findings;
            }
        },
        Err(error) => {
            findings.push(Finding::wrong(
                KEY,
                format!(
                    "cannot be read: {error}; is it the secret's ARN, in its region, and may you read it?"
                ),
            ));
            return findings;
        }
    };
    let stripe = || app.stripe(&key, PATIENCE);
    let (monthly, annual) = (stripe(), stripe());
    let (listing, happened, taxing) = (stripe(), stripe(), stripe());
    let this_second = EventWindow {
        from: patient.now,
        until: patient.now,
        after: None,
        types: &[],
    };
    let tax = async {
        match app.config.checkout_page.automatic_tax {
            true => Some(taxing.tax_settings().await),
            false => None,
        }
    };
    let (monthly, annual, listed, events, linked, tax) = tokio::join!(
        monthly.inspect_price(&app.config.prices.monthly),
        annual.inspect_price(&app.config.prices.annual),
        listing.webhook_endpoints(),
        happened.events(&this_second),
        app.store().connected_accounts(None, 1),
        tax,
    );
    if let Err(StripeError::Refused(refusal)) = &monthly
        && refusal.is_unauthorised()
    {
        let words = "is refused by Stripe: it was rolled or deleted; every request that needs Stripe is answered 502; put the present one into the secret";
        findings.push(Finding::wrong(KEY, words));
        return findings;
    }
    findings.push(match &monthly {
        Ok(_) | Err(StripeError::Refused(_)) => Finding::well(KEY, "Stripe takes it"),
        Err(error) => Finding::unknown(KEY, format!("Stripe could not be asked: {error}")),
    });
    findings.extend(unreadable_events(events.err()));
    findings.extend(prices(app, &monthly, &annual));
    findings.extend(tax.map(judge_tax));
    let are_linked = linked.map(|linked| !linked.is_empty());
    findings.extend(unsigned_endpoints(patient.webhook_url, &listed, secrets));
    findings.extend(endpoints(patient.webhook_url, listed, are_linked));
    findings
}

/// A restricted key may lack what no caller asks for.
fn unreadable_events(error: Option<StripeError>) -> Option<Finding> {
    match error {
        Some(StripeError::Refused(refusal)) if refusal.is_forbidden() => Some(Finding::wrong(
            KEY,
            "may not read events: reconcile fails, and what never arrived is not found; allow it what docs/operations.md lists under Secrets",
        )),
        _ => None,
    }
}

/// What is to work out the tax of a checkout.
fn judge_tax(settings: Result<TaxSettings, StripeError>) -> Finding {
    match settings {
        Ok(settings) if settings.status == "active" => Finding::well(TAX, "Stripe works it out"),
        Ok(settings) => Finding::wrong(
            TAX,
            format!(
                "CHECKOUT_AUTOMATIC_TAX is on, and Stripe Tax is {}: every checkout is answered 502; set it up at Stripe (Settings, Tax), or deploy with CheckoutAutomaticTax false",
                settings.status
            ),
        ),
        Err(StripeError::Refused(refusal)) if refusal.is_forbidden() => Finding::unknown(
            TAX,
            "the key may not read tax settings: allow it that, or look in Stripe's dashboard",
        ),
        Err(error) => Finding::wrong(TAX, format!("its settings cannot be read: {error}")),
    }
}

/// What is told about the signing secrets, and how many there are, where they are such.
async fn signing_secrets(app: &App) -> (Finding, Option<usize>) {
    let finding = match app.webhook_secrets().await {
        Ok(Some(secrets)) => {
            let secrets = secrets.listed();
            let finding = judge_signing(&secrets);
            let count = (finding.verdict == Verdict::Well).then_some(secrets.len());
            return (finding, count);
        }
        Ok(None) => Finding::unknown(
            SIGNING,
            "neither STRIPE_WEBHOOK_SECRETS_ARN nor STRIPE_WEBHOOK_SECRETS is told: take the webhook function's environment",
        ),
        Err(error) => Finding::wrong(
            SIGNING,
            format!("cannot be read: {error}; is it the secret's ARN, in its region, and may you read it?"),
        ),
    };
    (finding, None)
}

fn judge_signing(secrets: &[&str]) -> Finding {
    match secrets.len() {
        count if count == 0 || !secrets.iter().all(|secret| secret.starts_with("whsec_")) => Finding::wrong(
            SIGNING,
            "is no signing secret (whsec_…): every event of Stripe is answered 400, and nobody is served; put in what Stripe told when the endpoint was made",
        ),
        1 => Finding::well(SIGNING, "there is one"),
        count => Finding::well(
            SIGNING,
            format!(
                "there are {count}: one for each endpoint, or a rotation to finish when the old one is off"
            ),
        ),
    }
}

/// The endpoint of our own events and that of connected accounts sign with a secret of their own each: where one is missing, its events
/// are refused.
fn unsigned_endpoints(
    url: Option<&str>,
    listed: &Result<Vec<WebhookEndpoint>, StripeError>,
    secrets: Option<usize>,
) -> Option<Finding> {
    let (url, listed, secrets) = (url?, listed.as_ref().ok()?, secrets?);
    let signing = listed
        .iter()
        .filter(|endpoint| endpoint.url == url && endpoint.status == "enabled");
    let kinds: HashSet<bool> = signing.map(|endpoint| endpoint.application.is_some()).collect();
    (kinds.len() > secrets).then(|| {
        let words = format!(
            "there is {secrets}, and {} endpoints for {url} with a secret of their own each: the events of one are answered 400; store both, separated by a comma",
            kinds.len()
        );
        Finding::wrong(SIGNING, words)
    })
}

fn prices(
    app: &App,
    monthly: &Result<PriceState, StripeError>,
    annual: &Result<PriceState, StripeError>,
) -> Vec<Finding> {
    let sold = &app.config.prices;
    let mut findings = Vec::new();
    for (interval, id, price) in [
        (Interval::Monthly, &sold.monthly, monthly),
        (Interval::Annual, &sold.annual, annual),
    ] {
        findings.extend(
            price_faults(interval, id, price, app.config.mode).map(|words| Finding::wrong(PRICES, words)),
        );
    }
    if let (Ok(monthly), Ok(annual)) = (monthly, annual)
        && monthly.currency != annual.currency
    {
        let words = format!(
            "the monthly price is in {} and the annual one in {}: no change between them can be quoted; make one of them anew",
            monthly.currency, annual.currency
        );
        findings.push(Finding::wrong(PRICES, words));
    }
    if findings.is_empty() {
        findings.push(Finding::well(
            PRICES,
            format!("{} and {} are for sale", sold.monthly, sold.annual),
        ));
    }
    findings
}

/// Everything that is wrong with a price.
fn price_faults(
    interval: Interval,
    id: &PriceId,
    price: &Result<PriceState, StripeError>,
    mode: Mode,
) -> impl Iterator<Item = String> {
    let (variable, unit) = match interval {
        Interval::Monthly => ("PRICE_MONTHLY", "month"),
        Interval::Annual => ("PRICE_ANNUAL", "year"),
    };
    let name = format!("{variable} {id}");
    let mut faults = Vec::new();
    match price {
        Ok(price) => {
            if !price.active {
                faults.push(format!("{name} is archived: checkouts for it are answered 502; make it active again at Stripe, or deploy with another"));
            }
            let recurring = price.recurring.as_ref();
            if recurring.is_none_or(|it| it.interval != unit || it.interval_count != 1) {
                let charged = recurring.map_or_else(
                    || "once".to_owned(),
                    |it| format!("every {} {}", it.interval_count, it.interval),
                );
                faults.push(format!(
                    "{name} is charged {charged}, not every {unit}; deploy with another"
                ));
            }
            if price.livemode != (mode == Mode::Live) {
                faults.push(format!(
                    "{name} is of the other mode than BILLING_MODE {mode}; deploy with another"
                ));
            }
            if price.unit_amount.is_none() {
                faults.push(format!(
                    "{name} has no whole unit amount: it cannot be shown or quoted; deploy with another"
                ));
            }
            faults.extend(uncharged(price).map(|words| format!("{name} {words}")));
        }
        Err(StripeError::Refused(refusal)) if refusal.code.as_deref() == Some("resource_missing") => {
            faults.push(format!(
                "{name} does not exist at this Stripe account: checkouts for it are answered 502; deploy with another, or with that account's key"
            ));
        }
        Err(error) => faults.push(format!("{name} cannot be read: {error}")),
    }
    faults.into_iter()
}

/// Why what a price costs is not always charged.
fn uncharged(price: &PriceState) -> Option<String> {
    let currency: Currency = price.currency.parse().ok()?;
    let minor = price.unit_amount?;
    if currency.granule() > 1 {
        return Some("is in a currency of which Stripe charges round amounts only: what a share of a period would be charged at cannot be told; deploy with another".to_owned());
    }
    let least = currency.least_charged();
    let money = |minor| Money { minor, currency };
    (minor > 0 && minor < least).then(|| {
        let fewest = (least + minor - 1) / minor;
        format!(
            "is {} for each number, and Stripe charges {} at the least: a checkout of fewer than {fewest} numbers is answered 400; deploy with another",
            money(minor),
            money(least)
        )
    })
}

/// What the endpoint of our own events needs, and that of connected accounts, which has the same address and a secret of its own.
struct Needs {
    subject: &'static str,
    kinds: &'static [&'static str],
    /// What follows when it is not there, and what to do.
    missing: &'static str,
    /// The same when it is disabled.
    disabled: &'static str,
}

const OWN: Needs = Needs {
    subject: ENDPOINT,
    kinds: EVENT_TYPES,
    missing: "no event arrives, and nobody is served for paying; make one (README, Deploy it, step 3)",
    disabled: "no event arrives, and nobody is served for paying; enable it at Stripe, and reconcile finds what was missed",
};
const CONNECTED: Needs = Needs {
    subject: CONNECTED_ENDPOINT,
    kinds: CONNECTED_EVENT_TYPES,
    missing: "what becomes of what agencies sold is found by reconcile alone, up to hours late; make one with connect=true (README, Deploy it, step 3)",
    disabled: "what becomes of what agencies sold is found by reconcile alone, up to hours late; enable it at Stripe",
};

fn endpoints(
    url: Option<&str>,
    listed: Result<Vec<WebhookEndpoint>, StripeError>,
    are_linked: Result<bool, StoreError>,
) -> Vec<Finding> {
    let Some(url) = url else {
        let words = "its address was not told: pass --webhook-url (stack output WebhookUrl)";
        return vec![Finding::unknown(ENDPOINT, words)];
    };
    let mut ours = match listed {
        Ok(listed) => listed,
        Err(StripeError::Refused(refusal)) if refusal.is_forbidden() => {
            let words =
                "the key may not read webhook endpoints: allow it that, or look in Stripe's dashboard";
            return vec![Finding::unknown(ENDPOINT, words)];
        }
        Err(error) => return vec![Finding::wrong(ENDPOINT, format!("cannot be read: {error}"))],
    };
    ours.retain(|it| it.url == url);
    let (own, connected): (Vec<_>, Vec<_>) = ours.into_iter().partition(|it| it.application.is_none());
    let mut findings = endpoint(url, &own, &OWN);
    match are_linked {
        Ok(false) if connected.is_empty() => {}
        Err(error) if connected.is_empty() => findings.push(Finding::unknown(
            CONNECTED_ENDPOINT,
            format!("Stripe has none for {url}, and whether there are connected accounts cannot be read: {error}; the accounts table takes dynamodb:Query"),
        )),
        Ok(_) | Err(_) => findings.extend(endpoint(url, &connected, &CONNECTED)),
    }
    findings
}

fn endpoint(url: &str, ours: &[WebhookEndpoint], needs: &Needs) -> Vec<Finding> {
    let wrong = |words: String| Finding::wrong(needs.subject, words);
    // One that is disabled beside it is an old one, and is sent nothing.
    let enabled: Vec<_> = ours.iter().filter(|it| it.status == "enabled").collect();
    let judged = match enabled.is_empty() {
        true => ours.iter().collect(),
        false => enabled,
    };
    let [endpoint] = judged[..] else {
        let words = match judged.len() {
            0 => format!("Stripe has none for {url}: {}", needs.missing),
            count if judged.iter().all(|it| it.status != "enabled") => {
                format!("all {count} for {url} are disabled: {}", needs.disabled)
            }
            count => format!(
                "Stripe has {count} for {url}: every event arrives {count} times, signed differently; keep one"
            ),
        };
        return vec![wrong(words)];
    };
    let id = &endpoint.id;
    let mut faults = Vec::new();
    if endpoint.status != "enabled" {
        faults.push(format!("{id} is disabled: {}", needs.disabled));
    }
    match endpoint.api_version.as_deref() {
        Some(version) if version == api_version() => {}
        version => faults.push(format!(
            "{id} is of API version {}, and this build of {}: make a new endpoint of that version, store its secret beside the other, then delete the old one",
            version.unwrap_or("(the account's own)"),
            api_version()
        )),
    }
    let sent = &endpoint.enabled_events;
    let is_sent = |kind: &&&str| sent.iter().any(|sent| sent == "*" || sent == **kind);
    let missing: Vec<_> = needs
        .kinds
        .iter()
        .filter(|kind| !is_sent(kind))
        .copied()
        .collect();
    if !missing.is_empty() {
        faults.push(format!(
            "{id} is not sent {}: what they tell goes unnoticed; add them to the endpoint at Stripe",
            missing.join(", ")
        ));
    }
    if faults.is_empty() {
        let words = format!("{id} takes what is handled, version {}", api_version());
        return vec![Finding::well(needs.subject, words)];
    }
    faults.into_iter().map(wrong).collect()
}

#[cfg(test)]
mod tests {
    use billing_stripe::{Recurring, Refusal};

    use super::super::Verdict;
    use super::*;

    /// The stand-in's is always set up.
    #[test]
    fn tax_that_is_not_set_up_is_named() {
        let status = "pending".to_owned();
        let finding = judge_tax(Ok(TaxSettings { status }));
        assert_eq!(finding.verdict, Verdict::Wrong);
        assert!(
            finding.words.contains("Stripe Tax is pending"),
            "{}",
            finding.words
        );
    }

    /// The stand-in has test mode alone.
    #[test]
    fn a_price_of_the_other_mode_is_named() {
        let price = PriceState {
            active: true,
            livemode: true,
            currency: "usd".to_owned(),
            recurring: Some(Recurring {
                interval: "month".to_owned(),
                interval_count: 1,
            }),
            unit_amount: Some(1000),
        };
        let id = "price_m".parse().unwrap();
        let faults =
            |mode| price_faults(Interval::Monthly, &id, &Ok(price.clone()), mode).collect::<Vec<_>>();
        assert_eq!(faults(Mode::Live), Vec::<String>::new());
        assert_eq!(
            faults(Mode::Test),
            ["PRICE_MONTHLY price_m is of the other mode than BILLING_MODE test; deploy with another"]
        );
    }

    fn forbidden() -> StripeError {
        StripeError::Refused(Refusal {
            status: 403,
            kind: "invalid_request_error".to_owned(),
            code: None,
            param: None,
            message: String::new(),
        })
    }

    #[test]
    fn a_key_that_may_not_read_endpoints_leaves_them_unknown() {
        let findings = endpoints(Some("https://x"), Err(forbidden()), Ok(false));
        assert_eq!(findings[0].verdict, crate::doctor::Verdict::Unknown);
    }

    #[test]
    fn a_key_that_may_not_read_events_is_named() {
        assert_eq!(unreadable_events(None), None);
        let finding = unreadable_events(Some(forbidden())).unwrap();
        assert!(finding.words.starts_with("may not read events"), "{finding:?}");
    }

    /// An endpoint that wants nothing.
    fn at_x(id: &str) -> WebhookEndpoint {
        WebhookEndpoint {
            id: id.to_owned(),
            url: "https://x".to_owned(),
            status: "enabled".to_owned(),
            api_version: Some(api_version().to_owned()),
            application: None,
            enabled_events: vec!["*".to_owned()],
        }
    }

    fn disabled(endpoint: WebhookEndpoint) -> WebhookEndpoint {
        WebhookEndpoint {
            status: "disabled".to_owned(),
            ..endpoint
        }
    }

    /// The old one of a move is disabled and stays listed: events arrive once.
    #[test]
    fn an_endpoint_that_is_disabled_beside_another_is_passed_over() {
        let told = |listed| endpoints(Some("https://x"), Ok(listed), Ok(false));
        let findings = told(vec![disabled(at_x("we_old")), at_x("we_new")]);
        assert_eq!(findings.len(), 1);
        assert_eq!(findings[0].verdict, Verdict::Well, "{findings:?}");
        assert!(findings[0].words.starts_with("we_new takes"), "{findings:?}");
        let findings = told(vec![disabled(at_x("we_1")), disabled(at_x("we_2"))]);
        assert!(
            findings[0]
                .words
                .starts_with("all 2 for https://x are disabled: no event arrives"),
            "{findings:?}"
        );
    }

    /// What accounts buy is told of by the other endpoint.
    #[test]
    fn a_disabled_endpoint_of_connected_accounts_keeps_nobody_from_being_served() {
        let connected = WebhookEndpoint {
            application: Some("ca_1".to_owned()),
            ..at_x("we_2")
        };
        let listed = vec![at_x("we_1"), disabled(connected)];
        let findings = endpoints(Some("https://x"), Ok(listed), Ok(true));
        assert_eq!(findings[0].verdict, Verdict::Well, "{findings:?}");
        assert_eq!(findings[1].subject, CONNECTED_ENDPOINT);
        assert!(
            findings[1]
                .words
                .starts_with("we_2 is disabled: what becomes of what agencies sold"),
            "{findings:?}"
        );
    }

    /// An identity that may not ask the accounts table does not know that there are none.
    #[test]
    fn connected_accounts_that_cannot_be_read_leave_their_endpoint_unknown() {
        let refused = || Err(StoreError::Unavailable("AccessDeniedException".to_owned()));
        let told = |listed| endpoints(Some("https://x"), Ok(listed), refused());
        let findings = told(vec![at_x("we_1")]);
        assert_eq!(findings[1].subject, CONNECTED_ENDPOINT);
        assert_eq!(findings[1].verdict, Verdict::Unknown);
        assert!(findings[1].words.contains("AccessDenied"), "{findings:?}");
        let connected = WebhookEndpoint {
            application: Some("ca_1".to_owned()),
            ..at_x("we_2")
        };
        let findings = told(vec![at_x("we_1"), connected]);
        assert_eq!(findings[1].verdict, Verdict::Well, "it is there in any case");
    }

    /// As the functions read the list.
    #[test]
    fn a_comma_too_many_is_no_secret() {
        for (list, count) in [
            ("whsec_1", 1),
            ("whsec_1,", 1),
            (",whsec_1 , whsec_2,", 2),
            (",", 0),
        ] {
            let secrets = billing_edge::Secret::new(list);
            let finding = judge_signing(&secrets.listed());
            assert_eq!(finding.verdict == Verdict::Well, count > 0, "{list}: {finding:?}");
            assert_eq!(secrets.listed().len(), count, "{list}");
        }
    }

    #[test]
    fn an_endpoint_of_the_accounts_own_version_is_named() {
        let own = WebhookEndpoint {
            api_version: None,
            ..at_x("we_1")
        };
        let findings = endpoints(Some("https://x"), Ok(vec![own]), Ok(false));
        assert!(
            findings[0]
                .words
                .starts_with("we_1 is of API version (the account's own), and this build of "),
            "{findings:?}"
        );
    }
}
