//! A typed reader over a decoded form. What it was asked for is marked as read; what is left over at the end is unknown.
//!
//! So an operation cannot forget to refuse a parameter it does not know. The reader changes nothing and knows no operation.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::str::FromStr;

use jiff::Timestamp;

use crate::form::{self, Node};
use crate::refusal::Refusal;
use crate::state::Metadata;

/// Where the paths of the parameters that were read are kept, for the whole request.
#[derive(Debug, Default)]
pub(crate) struct Reading(RefCell<BTreeMap<String, Extent>>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Extent {
    /// This parameter; its members, if it has any, are read one by one.
    Itself,
    /// This parameter with everything below it.
    Whole,
}

/// The parameters of a request, or of one member of it.
#[derive(Clone, Debug)]
pub(crate) struct Params<'a> {
    members: &'a [(String, Node)],
    path: String,
    reading: &'a Reading,
}

/// What a caller wants of a member that can be unset: Stripe unsets with an empty string.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Change<T> {
    Keep,
    Clear,
    Set(T),
}

impl<T> Change<T> {
    pub(crate) fn apply(self, member: &mut Option<T>) {
        match self {
            Self::Keep => {}
            Self::Clear => *member = None,
            Self::Set(value) => *member = Some(value),
        }
    }

    /// The value at creation, where keeping and clearing are the same.
    pub(crate) fn value(self) -> Option<T> {
        match self {
            Self::Keep | Self::Clear => None,
            Self::Set(value) => Some(value),
        }
    }
}

impl<'a> Params<'a> {
    pub(crate) fn new(root: &'a Node, reading: &'a Reading) -> Self {
        Self {
            members: root.members(),
            path: String::new(),
            reading,
        }
    }

    /// The full name of a member, as Stripe writes it in an error: `line_items[0][price]`.
    pub(crate) fn name_of(&self, member: &str) -> String {
        if self.path.is_empty() {
            member.to_owned()
        } else {
            format!("{}[{member}]", self.path)
        }
    }

    fn take(&self, member: &str, extent: Extent) -> Option<&'a Node> {
        self.reading.0.borrow_mut().insert(self.name_of(member), extent);
        self.members
            .iter()
            .find(|(name, _)| name == member)
            .map(|(_, node)| node)
    }

    fn raw_text(&self, member: &str) -> Result<Option<&'a str>, Refusal> {
        match self.take(member, Extent::Itself) {
            None => Ok(None),
            Some(Node::Text(text)) => Ok(Some(text)),
            Some(Node::Members(_)) => Err(Refusal::invalid_shape(&self.name_of(member))),
        }
    }

    pub(crate) fn has(&self, member: &str) -> bool {
        self.members.iter().any(|(name, _)| name == member)
    }

    /// The first parameter that is none of these.
    pub(crate) fn besides(&self, members: &[&str]) -> Option<String> {
        let other = self
            .members
            .iter()
            .find(|(name, _)| !members.contains(&name.as_str()));
        other.map(|(name, _)| self.name_of(name))
    }

    /// The names of all members, for a map whose keys are data. Reading each is up to the caller.
    pub(crate) fn names(&self) -> impl Iterator<Item = &'a str> {
        self.members.iter().map(|(name, _)| name.as_str())
    }

    /// Whether a member came with members of its own, such as `created[gte]`, rather than as a text.
    pub(crate) fn is_object(&self, member: &str) -> bool {
        self.members
            .iter()
            .any(|(name, node)| name == member && matches!(node, Node::Members(_)))
    }

    /// A text that cannot be empty.
    pub(crate) fn text(&self, member: &str) -> Result<Option<String>, Refusal> {
        match self.raw_text(member)? {
            Some("") => Err(Refusal::empty(&self.name_of(member))),
            text => Ok(text.map(str::to_owned)),
        }
    }

    pub(crate) fn required_text(&self, member: &str) -> Result<String, Refusal> {
        self.text(member)?
            .ok_or_else(|| Refusal::missing(&self.name_of(member)))
    }

    /// A text that an empty string unsets.
    pub(crate) fn change(&self, member: &str) -> Result<Change<String>, Refusal> {
        Ok(match self.raw_text(member)? {
            None => Change::Keep,
            Some("") => Change::Clear,
            Some(text) => Change::Set(text.to_owned()),
        })
    }

    pub(crate) fn integer(&self, member: &str) -> Result<Option<i64>, Refusal> {
        let name = || self.name_of(member);
        self.text(member)?
            .map(|text| {
                text.parse().map_err(|_| {
                    Refusal::invalid_code(
                        "parameter_invalid_integer",
                        &name(),
                        format!("Invalid integer: {text}"),
                    )
                })
            })
            .transpose()
    }

    /// A whole number that is at least `least`.
    pub(crate) fn count(&self, member: &str, least: u64) -> Result<Option<u64>, Refusal> {
        let Some(number) = self.integer(member)? else {
            return Ok(None);
        };
        match u64::try_from(number) {
            Ok(count) if count >= least => Ok(Some(count)),
            _ => Err(Refusal::invalid_code(
                "parameter_invalid_integer",
                &self.name_of(member),
                format!("This value must be greater than or equal to {least}."),
            )),
        }
    }

    pub(crate) fn boolean(&self, member: &str) -> Result<Option<bool>, Refusal> {
        match self.text(member)?.as_deref() {
            None => Ok(None),
            Some("true" | "1") => Ok(Some(true)),
            Some("false" | "0") => Ok(Some(false)),
            Some(other) => Err(Refusal::invalid(
                &self.name_of(member),
                format!("Invalid boolean: {other}"),
            )),
        }
    }

    /// Unix seconds.
    pub(crate) fn timestamp(&self, member: &str) -> Result<Option<Timestamp>, Refusal> {
        let invalid = || {
            let name = self.name_of(member);
            Refusal::invalid_code(
                "parameter_invalid_integer",
                &name,
                "Invalid timestamp: must be an integer Unix timestamp",
            )
        };
        self.integer(member)?
            .map(|seconds| Timestamp::from_second(seconds).map_err(|_| invalid()))
            .transpose()
    }

    /// Unix seconds that an empty string unsets.
    pub(crate) fn timestamp_change(&self, member: &str) -> Result<Change<Timestamp>, Refusal> {
        match self.raw_text(member)? {
            Some("") => Ok(Change::Clear),
            _ => Ok(self.timestamp(member)?.map_or(Change::Keep, Change::Set)),
        }
    }

    /// One of a fixed set of words, each with its meaning.
    pub(crate) fn choice<T: Copy>(&self, member: &str, choices: &[(&str, T)]) -> Result<Option<T>, Refusal> {
        let Some(word) = self.text(member)? else {
            return Ok(None);
        };
        match choices.iter().find(|(name, _)| *name == word) {
            Some((_, meaning)) => Ok(Some(*meaning)),
            None => {
                let name = self.name_of(member);
                let words: Vec<&str> = choices.iter().map(|(name, _)| *name).collect();
                Err(Refusal::invalid(
                    &name,
                    format!("Invalid {name}: must be one of {}", words.join(", ")),
                ))
            }
        }
    }

    /// A value that knows how to read itself, such as a decimal amount.
    pub(crate) fn parsed<T: FromStr>(&self, member: &str, what: &str) -> Result<Option<T>, Refusal> {
        let name = || self.name_of(member);
        self.text(member)?
            .map(|text| {
                text.parse()
                    .map_err(|_| Refusal::invalid(&name(), format!("Invalid {what}: {text}")))
            })
            .transpose()
    }

    /// The members below a name, if it is there.
    pub(crate) fn child(&self, member: &str) -> Result<Option<Params<'a>>, Refusal> {
        let path = self.name_of(member);
        match self.take(member, Extent::Itself) {
            None => Ok(None),
            Some(Node::Text(text)) if text.is_empty() => Err(Refusal::empty(&path)),
            Some(Node::Text(_)) => Err(Refusal::invalid(&path, "Invalid object")),
            Some(Node::Members(members)) => Ok(Some(Params {
                members,
                path,
                reading: self.reading,
            })),
        }
    }

    /// The elements of a list of objects, in the order of their numbers.
    pub(crate) fn children(&self, member: &str) -> Result<Vec<Params<'a>>, Refusal> {
        let path = self.name_of(member);
        let elements = self.elements(member, Extent::Itself)?;
        elements
            .into_iter()
            .map(|(number, node)| match node {
                Node::Members(members) => Ok(Params {
                    members,
                    path: format!("{path}[{number}]"),
                    reading: self.reading,
                }),
                Node::Text(_) => Err(Refusal::invalid(&format!("{path}[{number}]"), "Invalid object")),
            })
            .collect()
    }

    /// The elements of a list of texts.
    pub(crate) fn texts(&self, member: &str) -> Result<Vec<String>, Refusal> {
        let elements = self.elements(member, Extent::Whole)?;
        elements
            .into_iter()
            .map(|(_, node)| match node {
                Node::Text(text) => Ok(text.clone()),
                Node::Members(_) => Err(Refusal::invalid(&self.name_of(member), "Invalid string")),
            })
            .collect()
    }

    fn elements(&self, member: &str, extent: Extent) -> Result<Vec<(&'a str, &'a Node)>, Refusal> {
        let invalid = || Refusal::invalid(&self.name_of(member), "Invalid array");
        match self.take(member, extent) {
            None => Ok(Vec::new()),
            // `discounts=` is an empty list.
            Some(Node::Text(text)) if text.is_empty() => Ok(Vec::new()),
            Some(Node::Text(_)) => Err(invalid()),
            Some(Node::Members(members)) if !form::is_list(members) => Err(invalid()),
            Some(Node::Members(members)) => {
                let mut numbered: Vec<(&str, &Node)> = members
                    .iter()
                    .map(|(number, node)| (number.as_str(), node))
                    .collect();
                numbered.sort_by_key(|(number, _)| number.parse().unwrap_or(usize::MAX));
                Ok(numbered)
            }
        }
    }

    /// `metadata`, merged into what is there as Stripe does: an empty value drops a key, an empty string drops them all.
    pub(crate) fn metadata_into(&self, metadata: &mut Metadata) -> Result<(), Refusal> {
        let changes = match self.take("metadata", Extent::Whole) {
            None => return Ok(()),
            Some(Node::Text(text)) if text.is_empty() => {
                metadata.clear();
                return Ok(());
            }
            Some(Node::Text(_)) => {
                let name = self.name_of("metadata");
                return Err(Refusal::invalid(&name, "Invalid object"));
            }
            Some(Node::Members(members)) => members,
        };
        for (key, node) in changes {
            let name = format!("{}[{key}]", self.name_of("metadata"));
            match node {
                Node::Text(text) if text.is_empty() => {
                    metadata.remove(key);
                }
                Node::Text(text) if key.chars().count() > 40 || text.chars().count() > 500 => {
                    return Err(Refusal::invalid(
                        &name,
                        "Metadata keys can have up to 40 characters, values up to 500.",
                    ));
                }
                Node::Text(text) => {
                    metadata.insert(key.clone(), text.clone());
                }
                Node::Members(_) => return Err(Refusal::invalid(&name, "Metadata values must be strings.")),
            }
        }
        if metadata.len() > 50 {
            return Err(Refusal::invalid(
                &self.name_of("metadata"),
                "Metadata can have up to 50 keys.",
            ));
        }
        Ok(())
    }

    pub(crate) fn metadata(&self) -> Result<Metadata, Refusal> {
        let mut metadata = Metadata::new();
        self.metadata_into(&mut metadata)?;
        Ok(metadata)
    }

    /// Parameters that Stripe knows and that change nothing here (looks, languages, fraud signals).
    pub(crate) fn inert(&self, members: &[&str]) {
        for member in members {
            self.take(member, Extent::Whole);
        }
    }

    /// Parameters that Stripe knows and the stand-in does not do: refused by name rather than ignored.
    pub(crate) fn unsupported(&self, members: &[&str]) -> Result<(), Refusal> {
        match members.iter().find(|member| self.has(member)) {
            Some(member) => Err(Refusal::unsupported(&self.name_of(member))),
            None => Ok(()),
        }
    }

    /// Ends the reading of a request: whatever nobody asked for is unknown.
    pub(crate) fn finish(&self) -> Result<(), Refusal> {
        let mut unknown = Vec::new();
        collect_unread(self.members, &self.path, &self.reading.0.borrow(), &mut unknown);
        if unknown.is_empty() {
            Ok(())
        } else {
            Err(Refusal::unknown(&unknown))
        }
    }
}

fn collect_unread(
    members: &[(String, Node)],
    path: &str,
    read: &BTreeMap<String, Extent>,
    unknown: &mut Vec<String>,
) {
    for (name, node) in members {
        let full = if path.is_empty() {
            name.clone()
        } else {
            format!("{path}[{name}]")
        };
        match (read.get(&full), node) {
            (Some(Extent::Whole), _) | (Some(Extent::Itself), Node::Text(_)) => {}
            (Some(Extent::Itself), Node::Members(inner)) => collect_unread(inner, &full, read, unknown),
            // The elements of a list that was read are not themselves named by anyone.
            (None, Node::Members(inner)) if name.parse::<usize>().is_ok() => {
                collect_unread(inner, &full, read, unknown);
            }
            (None, _) => unknown.push(full),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(form: &str) -> Node {
        form::decode(&[form.as_bytes()]).unwrap()
    }

    #[test]
    fn what_was_not_read_is_unknown() {
        let tree = tree("a=1&b[c]=2&b[d]=3&list[0][x]=1&list[0][y]=2");
        let reading = Reading::default();
        let params = Params::new(&tree, &reading);
        params.integer("a").unwrap();
        params.child("b").unwrap().unwrap().integer("c").unwrap();
        for element in params.children("list").unwrap() {
            element.text("x").unwrap();
        }
        let body = params.finish().unwrap_err().body("req_1");
        assert_eq!(
            body["error"]["message"],
            "Received unknown parameters: b[d], list[0][y]"
        );
        assert_eq!(body["error"]["code"], "parameter_unknown");
        assert_eq!(body["error"]["param"], "b[d]");
    }

    #[test]
    fn metadata_merges_and_an_empty_value_drops_its_key() {
        let tree = tree("metadata[kept]=new&metadata[gone]=");
        let reading = Reading::default();
        let mut metadata = Metadata::from([("gone".into(), "1".into()), ("other".into(), "2".into())]);
        Params::new(&tree, &reading).metadata_into(&mut metadata).unwrap();
        assert_eq!(
            metadata,
            Metadata::from([("kept".into(), "new".into()), ("other".into(), "2".into())])
        );
    }

    #[test]
    fn a_number_that_is_none_names_its_parameter() {
        let tree = tree("items[0][quantity]=three");
        let reading = Reading::default();
        let items = Params::new(&tree, &reading).children("items").unwrap();
        let body = items[0].count("quantity", 0).unwrap_err().body("req_1");
        assert_eq!(body["error"]["param"], "items[0][quantity]");
        assert_eq!(body["error"]["code"], "parameter_invalid_integer");
    }

    #[test]
    fn an_empty_text_unsets_only_what_can_be_unset() {
        let tree = tree("description=&currency=");
        let reading = Reading::default();
        let params = Params::new(&tree, &reading);
        assert_eq!(params.change("description").unwrap(), Change::Clear);
        assert_eq!(
            params.text("currency").unwrap_err().body("req_1")["error"]["code"],
            "parameter_invalid_empty"
        );
    }
}
