//! What the product promises, told as scenarios. A file per topic, one binary, because each binary costs a link.

#![expect(
    clippy::unwrap_used,
    reason = "a scenario whose world breaks has failed, and says where"
)]

/// The main job: subscribe, pay, be covered.
mod main_job;
/// Who may call what.
mod callers;
/// A key that this process has admitted before.
mod remembered_keys;
/// Every refusal of the checkout.
mod refusals;
/// Bad input of every kind.
mod bad_input;
/// Several checkouts of one account.
mod checkouts;
/// Tries in vain on the page of a checkout.
mod page_tries;
/// Other names and e-mail addresses.
mod contacts;
/// Customers who ask to be forgotten.
mod erasures;
/// A machine that dies after any single step, and answers that are lost.
mod crashes;
/// Events: twice, late, early, out of order.
mod events;
/// Events of earlier API versions.
mod api_versions;
/// Money that goes back.
mod reversals;
/// What an operator adds to a bill by hand.
mod added_items;
/// Customers who come along with what another program sold them.
mod brought_along;
/// What else is sold on the same Stripe account.
mod strangers;
/// A second live subscription of one account.
mod second_subscriptions;
/// Events that never arrived, and events that failed.
mod reconciling;
/// An operator and the events that failed.
mod replays;
/// What expires.
mod expiries;
/// The same request under the same Idempotency-Key.
mod idempotency;
/// Accounts that were restored from a backup.
mod restored;
/// That of every function that writes.
mod idempotent_writes;
/// Changes of the interval: what they cost, and what they cover.
mod changes;
/// The two ways in which Stripe works out periods and credits.
mod billing_modes;
/// Where a subscription stands when somebody wants to change or end it.
mod change_states;
/// Changes and amendments while the period is not paid for.
mod arrears;
/// Changes in a period that was paid in part with what came back of one before, and that went back.
mod earlier_periods;
/// Changes in a free trial.
mod trials;
mod written_off;
/// Bills that nobody can make void, and what is paid for them after something else was sold.
mod let_go;
/// Subscriptions whose invoices are sent, or not collected for now.
mod collections;
/// Changes of subscriptions that a bank debit pays.
mod debited_changes;
/// Amendments of contracts that a bank debit pays.
mod debited_amendments;
/// Every promise in every one of the possible Stripes.
mod possible_worlds;
/// Periods: their first and last second, months and years of every length, clocks that differ.
mod periods;
/// Requests during which a period ends.
mod period_ends;
/// Renewals that are declined.
mod failed_renewals;
/// A quote is what is charged, or nothing is charged.
mod quotes;
/// The most that Stripe charges at once.
mod amounts;
/// Promotion codes: taken by preview and change, or by neither.
mod promotion_codes;
/// Codes of one word that many customers have, and in several currencies.
mod shared_codes;
/// Changes whose payment is not made at once.
mod open_payments;
/// Changes on several machines, which die.
mod change_races;
/// Every step of a change, a cancellation and a resumption fails, is lost, or dies.
mod change_faults;
/// Somebody else acts in between: another machine, a cancellation, an operator, an event.
mod interference;
/// Ending a subscription, and taking that back.
mod endings;
/// Selling on connected accounts: what is answered, and what it comes to by the clock.
mod connect_sales;
/// What an agency cannot do.
mod connect_refusals;
/// The same order twice, on machines that race and die.
mod connect_races;
/// The same order again, because its answer was lost or somebody clicked twice.
mod connect_retries;
/// Starts that are over when Stripe is reached.
mod connect_starts;
/// Where a client is.
mod connect_places;
/// Where a client is taxed, and a renewal that cannot be.
mod connect_taxes;
/// Changes and cancellations of one sale at once.
mod connect_siblings;
/// What users do to what was sold.
mod connect_changes;
/// What was used of a price that goes, and what operators do at Stripe.
mod connect_usage;
/// Whose Stripe account a call is on.
mod connect_calls;
/// What an agency leaves of the names of what was sold.
mod connect_names;
/// Quantities that an agency has set.
mod connect_quantities;
/// Terms and dates on connected accounts: what is charged is what Stripe has.
mod connect_terms;
/// What is told of prices, usage and coupons that an agency made by itself.
mod connect_prices;
/// Ends that were scheduled on connected accounts.
mod connect_ends;
/// Events of connected accounts.
mod connect_events;
/// Arbitrary bytes from everybody.
mod arbitrary;
/// Good bodies with something else in them.
mod arbitrary_members;
/// DynamoDB or Stripe down at any single step.
mod outages;
/// What reaches a log.
mod logs;
/// Random histories.
mod model;
/// A plan is sold: from the offer to the paid invoice.
mod plan_checkouts;
/// The life of a checkout session over plans and contracts.
mod checkout_sessions;
/// What a guest does not pay by.
mod guests;
/// What a checkout page does beside taking the payment.
mod checkout_pages;
/// Bad input to checkout sessions.
mod checkout_input;
/// Payments of sessions whose time has run out.
mod late_payments;
/// Payments that buy nothing, of which something was given back, or is over, already.
mod given_back;
/// Sales on several machines, which die.
mod sale_races;
/// Confirmations that name a version, once more after they came to nothing.
mod agreed_versions;
/// Sales that another machine joins right before it asks Stripe.
mod joined_sales;
/// Sales that are taken up again.
mod taken_up;
/// What a machine of the build before asked in other words.
mod upgrades;
/// Sessions that are sold once more.
mod sold_anew;
/// News of what a session was sold by before.
mod earlier_subscriptions;
/// Contracts with an end.
mod end_dates;
/// An end that an operator moves, takes away or loses.
mod moved_ends;
/// A period that an operator moves, or a trial.
mod moved_periods;
/// The same, and whatever dies over a change of it.
mod moved_deaths;
/// What an operator changes by hand over half an amendment or a downgrade.
mod hand_changes;
/// Sales whose subscription an operator ends before it is paid.
mod ended_sales;
/// The same of accounts.
mod ended_checkouts;
/// Sales whose first bill is not the latest.
mod hidden_bills;
/// Sales that are first heard of in the period after.
mod next_periods;
/// Customers of organisations, and Stripe's idempotency keys that they are made under.
mod plan_customers;
/// Contracts that become something else.
mod amendments;
/// And whatever goes wrong over that.
mod amendment_faults;
/// Payment methods that are named for an amendment.
mod named_methods;
/// What payers abroad are charged.
mod local_currencies;
/// Until when a plan's page can be paid.
mod page_times;
/// Payments that are asked back by their payers' banks.
mod disputes;
/// Downgrades that come to nothing half-way.
mod downgrades;
/// What an operator gave a subscription, over a downgrade.
mod kept_terms;
/// What was sold keeps its price.
mod kept_prices;
/// What an operation costs in calls.
mod round_trips;
/// The store's conditions, each against the race that it closes.
mod conditions;
/// Catalogs that are applied on machines that die, and at once.
mod catalogs;
/// Catalog files of any kind.
mod catalog_files;
/// Estimates: what core works out is what Stripe bills.
mod estimates;
/// Stripe's answers in shapes that no account of a scenario gets to.
mod paper;
