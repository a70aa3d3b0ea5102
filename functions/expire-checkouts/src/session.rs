//! The time of a checkout session over plans and contracts. The session itself stays where it is, and reads as expired since that
//! second.

use billing_core::session::Deadline;
use billing_edge::{Call, Problem};

/// Lands what the session was paid for after all, or closes what could still be paid.
pub(crate) async fn settle(call: &Call<'_>, deadline: &Deadline) -> Result<(), Problem> {
    let mut rounds = call.rounds();
    loop {
        let session = call.store.checkout_session(&deadline.checkout).await?;
        let Some(session) = session else {
            return Ok(());
        };
        if call.settle_session(&session).await?.is_some() {
            return Ok(());
        }
        rounds.lost().await?;
    }
}
