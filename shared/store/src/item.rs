//! Items to and from core's types: the type's members as attributes, beside the keys.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::TransactWriteItem;
use aws_sdk_dynamodb::types::{AttributeValue, Put};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::StoreError;
use crate::key::{Key, PK, SK};

/// An item as DynamoDB hands it over.
pub(crate) type Item = HashMap<String, AttributeValue>;

/// The item of a value under a key.
pub(crate) fn item<T: Serialize>(key: &Key, value: &T) -> Result<Item, StoreError> {
    let mut item: Item =
        serde_dynamo::to_item(value).map_err(|error| StoreError::corrupt(key.to_string(), error))?;
    item.extend(key.attributes());
    Ok(item)
}

/// The value of an item; an unreadable one is never passed over in silence.
pub(crate) fn value<T: DeserializeOwned>(item: Item) -> Result<T, StoreError> {
    let key = format!("{}/{}", text(&item, PK), text(&item, SK));
    serde_dynamo::from_item(item).map_err(|error| StoreError::corrupt(key, error))
}

/// A text attribute; empty when there is none.
pub(crate) fn text<'a>(item: &'a Item, name: &str) -> &'a str {
    item.get(name)
        .and_then(|value| value.as_s().ok())
        .map_or("", String::as_str)
}

/// A number attribute's value.
pub(crate) fn number(number: impl ToString) -> AttributeValue {
    AttributeValue::N(number.to_string())
}

/// A text attribute's value.
pub(crate) fn string(text: impl ToString) -> AttributeValue {
    AttributeValue::S(text.to_string())
}

/// A put inside a transaction, in the one table that its caller names, under a condition.
pub(crate) fn put(table: &str, item: Item, condition: Option<&str>) -> Result<TransactWriteItem, StoreError> {
    let put = Put::builder()
        .table_name(table)
        .set_item(Some(item))
        .set_condition_expression(condition.map(str::to_owned))
        .build()
        .map_err(incomplete)?;
    Ok(TransactWriteItem::builder().put(put).build())
}

/// The same under a condition that names values.
pub(crate) fn put_if<const N: usize>(
    table: &str,
    item: Item,
    condition: &str,
    values: [(&str, AttributeValue); N],
) -> Result<TransactWriteItem, StoreError> {
    let mut put = Put::builder()
        .table_name(table)
        .set_item(Some(item))
        .condition_expression(condition);
    for (name, value) in values {
        put = put.expression_attribute_values(name, value);
    }
    Ok(TransactWriteItem::builder()
        .put(put.build().map_err(incomplete)?)
        .build())
}

/// The SDK's builders check at run time what their types could not; a miss is a bug of this crate, and no later try helps.
pub(crate) fn incomplete(error: impl std::error::Error) -> StoreError {
    StoreError::corrupt("a request", error)
}
