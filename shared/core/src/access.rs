//! Who is calling, and what they may do.
//!
//! A key's secret is not here: the edge hashes it, the store finds the [`Key`](crate::access::Key) by its hash, and `Key::admit`
//! turns it into a [`Caller`](crate::access::Caller) of the kind that the endpoint is for. A key belongs to an account, an agency
//! or an organisation, and a caller of one kind is another type than a caller of another. Code that moves money asks for an
//! [`Owner`](crate::access::Owner), which a support agent acting as the customer cannot become.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::id::{AccountId, AgencyId, KeyId, OrganisationId};

/// Whether real money moves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Stripe's live mode.
    Live,
    /// Stripe's test mode.
    Test,
}

impl Mode {
    /// The word in keys and in configuration: `live` or `test`.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        match word {
            "live" => Some(Self::Live),
            "test" => Some(Self::Test),
            _ => None,
        }
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Live => "live",
            Self::Test => "test",
        })
    }
}

/// What a key may be used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Scope {
    /// Read what an account has and owes.
    #[serde(rename = "billing:read")]
    BillingRead,
    /// Start, change or end what an account pays for.
    #[serde(rename = "billing:write")]
    BillingWrite,
}

impl Scope {
    /// Every scope there is: what a key gets unless it is issued with fewer.
    pub const ALL: [Self; 2] = [Self::BillingRead, Self::BillingWrite];

    /// The scope of that name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|scope| scope.to_string() == name)
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::BillingRead => "billing:read",
            Self::BillingWrite => "billing:write",
        })
    }
}

/// Whom a key belongs to, and whom a call is about. The same id may name an account, an agency and an organisation.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Holder {
    /// A customer of the deploying company.
    Account(AccountId),
    /// Somebody who sells on connected accounts.
    Agency(AgencyId),
    /// Somebody with plans, customers and contracts.
    Organisation(OrganisationId),
}

/// A key of another kind than the endpoint is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("of another kind")]
pub struct WrongKind;

macro_rules! kinds {
    ($($kind:ident, $id:ident;)*) => {$(
        impl From<&$id> for Holder {
            fn from(id: &$id) -> Self {
                Self::$kind(id.clone())
            }
        }

        impl From<$id> for Holder {
            fn from(id: $id) -> Self {
                Self::$kind(id)
            }
        }

        impl TryFrom<Holder> for $id {
            type Error = WrongKind;
            fn try_from(holder: Holder) -> Result<Self, WrongKind> {
                match holder {
                    Holder::$kind(id) => Ok(id),
                    _ => Err(WrongKind),
                }
            }
        }
    )*};
}

kinds! {
    Account, AccountId;
    Agency, AgencyId;
    Organisation, OrganisationId;
}

/// `account acme`, `agency acme`, `organisation acme`.
impl fmt::Display for Holder {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Account(id) => write!(out, "account {id}"),
            Self::Agency(id) => write!(out, "agency {id}"),
            Self::Organisation(id) => write!(out, "organisation {id}"),
        }
    }
}

/// An API key as it is stored, under the SHA-256 of its secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Key {
    /// By which it is listed and revoked.
    pub id: KeyId,
    /// Whom it belongs to: the attribute `account`, `agency` or `organisation`.
    #[serde(flatten)]
    pub holder: Holder,
    /// Live or test; a deployment admits its own mode only.
    pub mode: Mode,
    /// What it may be used for.
    pub scopes: Vec<Scope>,
    /// The member of support staff who acts as the customer with it; none for the customer's own key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub impersonator: Option<String>,
    /// When it was issued.
    pub created_at: Timestamp,
    /// From when on it opens nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
    /// When it was revoked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked_at: Option<Timestamp>,
}

/// Somebody whose key was good, by the id of their kind: a handler for agencies takes a `Caller<AgencyId>`, which no account's
/// key becomes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller<H = AccountId> {
    holder: H,
    scopes: Vec<Scope>,
    impersonator: Option<String>,
}

/// The customer itself: a caller who is not being impersonated and may write. A call to Stripe that starts a payment takes an
/// `&Owner`, and only [`Caller::owner`] makes one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owner<H = AccountId> {
    holder: H,
}

/// Why a good key is not enough.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Forbidden {
    /// A support agent acts as the customer; the name is for the log, never for the answer.
    #[error("not available while impersonating")]
    Impersonating(String),
    /// The key was issued without this scope.
    #[error("the API key lacks the scope {0}")]
    MissingScope(Scope),
}

impl Key {
    /// The caller behind a key of this kind that is good at `now` on a deployment of this mode. Why a key is not good is
    /// nobody's business but the log's, so there is one refusal.
    #[must_use]
    pub fn admit<H: TryFrom<Holder>>(self, mode: Mode, now: Timestamp) -> Option<Caller<H>> {
        let expired = self.expires_at.is_some_and(|at| at <= now);
        let good = self.mode == mode && self.revoked_at.is_none() && !expired;
        let holder = H::try_from(self.holder).ok().filter(|_| good)?;
        Some(Caller {
            holder,
            scopes: self.scopes,
            impersonator: self.impersonator,
        })
    }
}

impl<H> Caller<H> {
    /// Whom the key belongs to.
    #[must_use]
    pub fn holder(&self) -> &H {
        &self.holder
    }

    /// The caller, if its key has this scope.
    pub fn with(self, scope: Scope) -> Result<Self, Forbidden> {
        if self.scopes.contains(&scope) {
            Ok(self)
        } else {
            Err(Forbidden::MissingScope(scope))
        }
    }

    /// The owner, unless somebody is acting as the customer or the key may not write. Impersonation is told first: whatever
    /// else the key may do, that is what the support agent has to know.
    pub fn owner(self) -> Result<Owner<H>, Forbidden> {
        match self {
            Self {
                impersonator: Some(name),
                ..
            } => Err(Forbidden::Impersonating(name)),
            caller => caller.with(Scope::BillingWrite).map(|caller| Owner {
                holder: caller.holder,
            }),
        }
    }
}

macro_rules! speaks_for {
    ($($(#[$doc:meta])* $name:ident, $id:ident;)*) => {$(
        impl Caller<$id> {
            $(#[$doc])*
            #[must_use]
            pub fn $name(&self) -> &$id {
                &self.holder
            }
        }

        impl Owner<$id> {
            $(#[$doc])*
            #[must_use]
            pub fn $name(&self) -> &$id {
                &self.holder
            }
        }
    )*};
}

speaks_for! {
    /// The account that the call is about.
    account, AccountId;
    /// The agency that the call is about.
    agency, AgencyId;
    /// The organisation that the call is about.
    organisation, OrganisationId;
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: &str = "2026-04-02T00:00:00Z";

    fn admitted(key: Key, mode: Mode, now: &str) -> Option<Caller> {
        key.admit(mode, now.parse().unwrap())
    }

    fn key() -> Key {
        Key {
            id: "key_1".parse().unwrap(),
            holder: Holder::Account("ada".parse().unwrap()),
            mode: Mode::Test,
            scopes: Scope::ALL.to_vec(),
            impersonator: None,
            created_at: "2026-04-01T00:00:00Z".parse().unwrap(),
            expires_at: None,
            revoked_at: None,
        }
    }

    #[test]
    fn a_key_expires_at_the_second() {
        let key = Key {
            expires_at: Some("2026-05-01T00:00:00Z".parse().unwrap()),
            ..key()
        };
        assert!(admitted(key.clone(), Mode::Test, "2026-04-30T23:59:59Z").is_some());
        for after in [
            "2026-05-01T00:00:00Z",
            "2026-05-01T00:00:01Z",
            "2027-05-01T00:00:00Z",
        ] {
            assert!(admitted(key.clone(), Mode::Test, after).is_none(), "{after}");
        }
    }

    #[test]
    fn a_revoked_key_and_a_key_of_the_other_mode_open_nothing() {
        let revoked = Key {
            revoked_at: Some("2026-04-02T00:00:00Z".parse().unwrap()),
            ..key()
        };
        assert!(admitted(revoked, Mode::Test, NOW).is_none());
        assert!(admitted(key(), Mode::Live, NOW).is_none());
    }

    #[test]
    fn a_key_opens_what_is_for_its_kind_alone() {
        let now = NOW.parse().unwrap();
        let of = |holder: Holder| Key { holder, ..key() };
        let (account, agency, organisation) = ("ada", "ada", "ada");
        let holders = [
            Holder::Account(account.parse().unwrap()),
            Holder::Agency(agency.parse().unwrap()),
            Holder::Organisation(organisation.parse().unwrap()),
        ];
        for (place, holder) in holders.into_iter().enumerate() {
            let opened = [
                of(holder.clone()).admit::<AccountId>(Mode::Test, now).is_some(),
                of(holder.clone()).admit::<AgencyId>(Mode::Test, now).is_some(),
                of(holder.clone())
                    .admit::<OrganisationId>(Mode::Test, now)
                    .is_some(),
            ];
            assert_eq!(opened, [0, 1, 2].map(|kind| kind == place), "{holder}");
        }
    }

    #[test]
    fn an_impersonator_reads_but_does_not_own() {
        let acting = Key {
            impersonator: Some("sam".into()),
            ..key()
        };
        let caller = admitted(acting, Mode::Test, NOW).unwrap();
        assert!(caller.clone().with(Scope::BillingRead).is_ok());
        assert_eq!(caller.owner(), Err(Forbidden::Impersonating("sam".into())));
        let reader = Key {
            impersonator: Some("sam".into()),
            scopes: vec![Scope::BillingRead],
            ..key()
        };
        let caller = admitted(reader, Mode::Test, NOW).unwrap();
        assert_eq!(
            caller.owner(),
            Err(Forbidden::Impersonating("sam".into())),
            "before anything else"
        );
    }

    #[test]
    fn an_owner_needs_the_scope_to_write() {
        let reader = Key {
            scopes: vec![Scope::BillingRead],
            ..key()
        };
        let caller = admitted(reader, Mode::Test, NOW).unwrap();
        assert_eq!(caller.owner(), Err(Forbidden::MissingScope(Scope::BillingWrite)));
    }
}
