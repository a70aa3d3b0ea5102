//! A reservation whose time was up. DynamoDB has deleted it already; a later one of the same account is not touched.

use billing_core::checkout::Reservation;
use billing_edge::{Call, Problem};

/// Makes the session of a reservation unpayable, or lands what it was paid for.
pub(crate) async fn settle(call: &Call<'_>, reservation: &Reservation) -> Result<(), Problem> {
    match &reservation.session {
        Some(session) => call.end_session(&reservation.account, &session.id).await,
        // Its client secret has reached nobody, so there is nothing that could be paid.
        None => Ok(()),
    }
}
