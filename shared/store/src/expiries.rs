//! Items that DynamoDB deleted because their time was up, as the stream of the `sessions` table tells them.
//!
//! The stream carries what the item was ([`Expired`]); which of them anybody waits for is told by the filter in `template.yaml`.

use aws_sdk_dynamodb::types::AttributeValue;
use billing_core::checkout::Reservation;
use billing_core::session::Deadline;
use serde_json::Value;

use crate::error::StoreError;
use crate::item::{Item, text, value};
use crate::key::{DEADLINE, PK, RESERVATION_PREFIX, SESSION_PREFIX, SK};

/// An item that is gone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expired {
    /// The reservation of an account's checkout.
    Reservation(Box<Reservation>),
    /// The time of a checkout session over plans and contracts.
    Deadline(Box<Deadline>),
    /// Something that nobody acts upon when it expires; its partition key.
    Other(String),
}

impl Expired {
    /// Reads the image of an item in the form of DynamoDB's own interface: `{"pk": {"S": "…"}, …}`.
    pub fn read(image: &Value) -> Result<Self, StoreError> {
        let item = image
            .as_object()
            .and_then(|members| {
                let members = members.iter();
                members
                    .map(|(name, member)| Some((name.clone(), attribute(member)?)))
                    .collect::<Option<Item>>()
            })
            .ok_or_else(|| StoreError::corrupt("a stream's record", "an image of another form"))?;
        let pk = text(&item, PK).to_owned();
        // The session itself is deleted much later, when nobody waits for it any more.
        let is_deadline = pk.starts_with(SESSION_PREFIX) && text(&item, SK) == DEADLINE;
        Ok(if pk.starts_with(RESERVATION_PREFIX) {
            Self::Reservation(Box::new(value(item)?))
        } else if is_deadline {
            Self::Deadline(Box::new(value(item)?))
        } else {
            Self::Other(pk)
        })
    }
}

/// One attribute; none for a kind that is used nowhere here.
fn attribute(value: &Value) -> Option<AttributeValue> {
    let (kind, value) = value.as_object()?.iter().next()?;
    Some(match kind.as_str() {
        "S" => AttributeValue::S(value.as_str()?.to_owned()),
        "N" => AttributeValue::N(value.as_str()?.to_owned()),
        "BOOL" => AttributeValue::Bool(value.as_bool()?),
        "NULL" => AttributeValue::Null(value.as_bool()?),
        "L" => AttributeValue::L(value.as_array()?.iter().map(attribute).collect::<Option<_>>()?),
        "M" => {
            let members = value.as_object()?.iter();
            let members = members.map(|(name, member)| Some((name.clone(), attribute(member)?)));
            AttributeValue::M(members.collect::<Option<_>>()?)
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_reservation_comes_back_from_its_image() {
        let image = json!({
            "pk": { "S": "RESERVATION#ada" }, "sk": { "S": "RESERVATION" }, "account": { "S": "ada" }, "number": { "N": "2" },
            "expires_at": { "N": "1775122200" },
            "intent": { "M": {
                "interval": { "S": "monthly" }, "price": { "S": "price_m" }, "quantity": { "N": "2" },
                "return_url": { "S": "https://app.example.com/billing" },
            } },
            "session": { "M": { "id": { "S": "cs_1" }, "client_secret": { "S": "cs_1_secret_x" } } },
        });
        let Expired::Reservation(reservation) = Expired::read(&image).unwrap() else {
            unreachable!("it is a reservation's image")
        };
        assert_eq!((reservation.number, reservation.account.as_str()), (2, "ada"));
        assert_eq!(reservation.session.unwrap().id.as_str(), "cs_1");
    }

    #[test]
    fn a_deadline_comes_back_and_the_session_beside_it_is_nobodys() {
        let id = "0b5f1c9e-3a57-4e38-9c3f-6d1a2b3c4d5e";
        let image = |sk: &str| {
            json!({
                "pk": { "S": format!("SESSION#{id}") }, "sk": { "S": sk }, "organisation": { "S": "acme" },
                "checkout": { "S": id }, "expires_at": { "N": "1775122200" },
            })
        };
        let Expired::Deadline(deadline) = Expired::read(&image("DEADLINE")).unwrap() else {
            unreachable!("it is a deadline's image")
        };
        assert_eq!(deadline.checkout.as_str(), id);
        assert!(matches!(Expired::read(&image("SESSION")), Ok(Expired::Other(_))));
    }

    #[test]
    fn what_nobody_acts_upon_is_told_and_what_is_unreadable_is_an_error() {
        let receipt = json!({ "pk": { "S": "RECEIPT#-#evt_1" } });
        assert_eq!(
            Expired::read(&receipt),
            Ok(Expired::Other("RECEIPT#-#evt_1".to_owned()))
        );
        for bad in [
            json!(null),
            json!([]),
            json!({ "pk": "RESERVATION#ada" }),
            json!({ "pk": { "S": "RESERVATION#ada" } }),
            json!({ "pk": { "S": "RESERVATION#ada" }, "x": { "B": "AA==" } }),
        ] {
            assert!(
                matches!(Expired::read(&bad), Err(StoreError::Corrupt { .. })),
                "{bad}"
            );
        }
    }
}
