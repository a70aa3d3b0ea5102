//! The lists of the connected accounts, which take turns.
//!
//! There may be thousands, each a call to Stripe: a run looks at so many of them as it has time for, and the next goes on with
//! those after. A turn is written down before it is taken. So an account that takes all the time, or ends the run, keeps nobody
//! from theirs; and of two runs at once each takes turns of its own.

use std::collections::{HashSet, VecDeque};
use std::time::Duration;

use billing_core::connect::ConnectedAccount;
use billing_core::id::ConnectedAccountId;
use billing_edge::{Call, Problem};
use billing_store::{Rotation, unless_conflict};

use crate::Tally;
use crate::walk::{End, Turn, walk};

/// How many accounts a run looks at, at most. With one run every fifteen minutes, ten thousand are looked at twice a day.
const ACCOUNTS: usize = 200;
/// How many of them are read at once.
const BATCH: u8 = 50;
/// How many pages of an account's list are read in a turn: a hundred events each.
const PAGES: usize = 5;

/// Reads the lists of the accounts whose turn it is, each at most once, for as long as there is more time than `enough`.
pub(crate) async fn take(call: &Call<'_>, enough: Duration, tally: &mut Tally) -> Result<(), Problem> {
    let mut rotation = call.store.rotation().await?;
    let mut next = Next::default();
    let mut had = HashSet::new();
    while had.len() < ACCOUNTS && call.has(enough) {
        if next.accounts.is_empty() && !next.are_all {
            next = accounts_after(call, rotation.as_ref()).await?;
        }
        let Some(account) = next.accounts.pop_front() else {
            return Ok(());
        };
        if !had.insert(account.id.clone()) {
            return Ok(());
        }
        let turn = call.store.put_rotation(rotation.as_ref(), account.id.clone());
        match unless_conflict(turn.await)? {
            Some(turn) => rotation = Some(turn),
            // Another run has taken it.
            None => {
                rotation = call.store.rotation().await?;
                next = Next::default();
                continue;
            }
        }
        read(call, &account, enough, tally).await;
    }
    Ok(())
}

/// The accounts whose turn is next.
#[derive(Default)]
struct Next {
    accounts: VecDeque<ConnectedAccount>,
    /// Whether there are no others.
    are_all: bool,
}

/// After the last account comes the first.
async fn accounts_after(call: &Call<'_>, rotation: Option<&Rotation>) -> Result<Next, Problem> {
    let page = async |after: Option<&ConnectedAccountId>| call.store.connected_accounts(after, BATCH).await;
    let is_last = |page: &[ConnectedAccount]| page.len() < usize::from(BATCH);
    let mut accounts = page(rotation.map(|rotation| &rotation.account)).await?;
    let mut are_all = is_last(&accounts);
    if are_all && rotation.is_some() {
        let first = page(None).await?;
        are_all = is_last(&first);
        accounts.extend(first);
    }
    Ok(Next {
        accounts: accounts.into(),
        are_all,
    })
}

/// Whatever is wrong with one account is told, and is no reason to pass over the others.
async fn read(call: &Call<'_>, account: &ConnectedAccount, enough: Duration, tally: &mut Tally) {
    let turn = Turn {
        account: Some(account),
        enough,
        pages: PAGES,
    };
    tally.accounts += 1;
    match walk(call, &turn, tally).await {
        Ok(End::Complete | End::Left) => {}
        Ok(End::NoAccess) => {
            tracing::warn!(account = %account.id, "a connected account gives no access to its events");
            tally.disconnected += 1;
        }
        Err(problem) => {
            tracing::error!(account = %account.id, logged = problem.logged, "the events of a connected account could not be read");
            tally.unread += 1;
        }
    }
}
