//! A session whose time has run out, with a sale that was asked of Stripe: what was paid is landed, and what could still be paid is
//! closed. For the confirmation that comes too late, and for the expiry.
//!
//! # If it fails half-way
//! Closing what is closed changes nothing, and the sale stays in the contract until it is landed or forgotten.

use billing_core::access::Mode;
use billing_core::id::SessionId;
use billing_core::sale::Way;
use billing_core::session::{Session, Status};
use billing_store::StoredContract;
use billing_stripe::{ContractPage, StripeError};

use crate::call::Call;
use crate::problem::Problem;
use crate::sales::{InvoiceFacts, Landed};

/// What is left of the page of a sale once it cannot be paid any more.
#[derive(Debug)]
pub enum Page {
    /// It was paid, and that is landed.
    Paid(Box<Landed>),
    /// It was not, and the sale is forgotten.
    Unpaid,
    /// Somebody else wrote meanwhile: it has to be looked at again.
    Overtaken,
}

impl Call<'_> {
    /// Settles a session whose time has run out: one round, none when it has to be done again.
    pub async fn settle_session(&self, session: &Session) -> Result<Option<()>, Problem> {
        if session.status != Status::Pending || session.status_at(self.now) != Status::Expired {
            return Ok(Some(()));
        }
        let stored = self
            .store
            .contract(&session.organisation, &session.contract)
            .await?;
        let Some(stored) = stored else {
            return Ok(Some(()));
        };
        let Some(sale) = stored
            .contract
            .sale
            .clone()
            .filter(|sale| sale.checkout == session.id)
        else {
            return Ok(Some(()));
        };
        if let Some(page) = &sale.page {
            return Ok(match self.close_page(&stored, page).await? {
                Page::Paid(_) | Page::Unpaid => Some(()),
                Page::Overtaken => None,
            });
        }
        match self.read_contract(&stored.contract).await? {
            Some(read) => {
                let asked = sale.invoice.is_some() || sale.offer.way == Way::Begin;
                let landed = self.land_contract(&stored, read, InvoiceFacts::default()).await?;
                match landed {
                    // Nothing came of it, and nothing will: a change that Stripe was never asked for.
                    Some(landed)
                        if landed.contract.sale.is_some() && !asked && !sale.is_in_flight(self.now) =>
                    {
                        let stored = self
                            .store
                            .contract(&session.organisation, &session.contract)
                            .await?;
                        // Somebody may have joined it since it was read.
                        let joined = |stored: &StoredContract| {
                            let sale = stored.contract.sale.as_ref();
                            sale.is_some_and(|sale| sale.is_in_flight(self.now))
                        };
                        match stored.filter(|stored| !joined(stored)) {
                            Some(stored) => self.release_sale(&stored.contract).await,
                            None => Ok(Some(())),
                        }
                    }
                    landed => Ok(landed.map(|_| ())),
                }
            }
            // Whoever is still at it may yet be answered by Stripe, and then the webhook lands it.
            None if sale.is_in_flight(self.now) => Ok(Some(())),
            None => self.release_sale(&stored.contract).await,
        }
    }

    /// Makes the page of a contract's sale unpayable, unless it was paid.
    pub async fn close_page(&self, stored: &StoredContract, page: &SessionId) -> Result<Page, Problem> {
        match self.stripe().await?.expire_checkout_session(page).await {
            Ok(_) => {}
            // Whether it should be there is judged when it is read.
            Err(StripeError::Refused(refusal)) if refusal.is_missing("session") => {}
            Err(error) => return Err(error.into()),
        }
        let page = self.read_page(page).await?;
        self.end_page(stored, page).await
    }

    /// Lands what became of a page that can no longer be paid, or forgets its sale.
    pub async fn end_page(
        &self,
        stored: &StoredContract,
        page: Option<ContractPage>,
    ) -> Result<Page, Problem> {
        match page.and_then(|page| page.subscription) {
            Some(subscription) => {
                let bought = self.stripe().await?.contract_subscription(&subscription).await?;
                let landed = self
                    .land_contract(stored, bought.read, InvoiceFacts::default())
                    .await?;
                Ok(landed.map_or(Page::Overtaken, |landed| Page::Paid(Box::new(landed))))
            }
            None => {
                let released = self.release_sale(&stored.contract).await?;
                Ok(released.map_or(Page::Overtaken, |()| Page::Unpaid))
            }
        }
    }

    /// A page as it is now; none when it is not there any more. Where real money moves Stripe keeps it: it is our key that looks in the wrong
    /// place then, and nobody knows whether it was paid.
    pub async fn read_page(&self, page: &SessionId) -> Result<Option<ContractPage>, Problem> {
        match self.stripe().await?.contract_page(page).await {
            Ok(page) => Ok(Some(page)),
            // Somebody erased Stripe's test data: what is not there cannot be paid.
            Err(StripeError::Refused(refusal))
                if refusal.is_missing("session") && self.app.config.mode == Mode::Test =>
            {
                Ok(None)
            }
            Err(error) => Err(error.into()),
        }
    }
}
