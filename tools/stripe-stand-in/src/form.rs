//! Form bodies and query strings as Stripe reads them: `items[0][price]=…` becomes a tree.
//!
//! Brackets may be escaped or not, lists may be indexed (`a[0]`) or not (`a[]`). It knows no parameter by name; what a text
//! means is for [`crate::params`] to say.

use serde_json::Value;

use crate::refusal::Refusal;

/// A decoded parameter: a text, or named (or numbered) members.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Node {
    Text(String),
    Members(Vec<(String, Node)>),
}

impl Node {
    pub(crate) fn empty() -> Self {
        Self::Members(Vec::new())
    }

    pub(crate) fn members(&self) -> &[(String, Node)] {
        match self {
            Self::Text(_) => &[],
            Self::Members(members) => members,
        }
    }

    /// The tree as JSON: members numbered 0, 1, 2… become an array, every leaf is a string.
    pub(crate) fn to_json(&self) -> Value {
        match self {
            Self::Text(text) => Value::String(text.clone()),
            Self::Members(members) if is_list(members) => {
                Value::Array(in_order(members).into_iter().map(Node::to_json).collect())
            }
            Self::Members(members) => Value::Object(
                members
                    .iter()
                    .map(|(name, node)| (name.clone(), node.to_json()))
                    .collect(),
            ),
        }
    }

    /// The tree of a JSON object, as if it had come as a form: for seed files and tests.
    pub(crate) fn from_json(value: &Value) -> Self {
        match value {
            Value::Null => Self::Text(String::new()),
            Value::Bool(flag) => Self::Text(flag.to_string()),
            Value::Number(number) => Self::Text(number.to_string()),
            Value::String(text) => Self::Text(text.clone()),
            Value::Array(values) => Self::Members(
                values
                    .iter()
                    .enumerate()
                    .map(|(index, value)| (index.to_string(), Self::from_json(value)))
                    .collect(),
            ),
            Value::Object(members) => Self::Members(
                members
                    .iter()
                    .map(|(name, value)| (name.clone(), Self::from_json(value)))
                    .collect(),
            ),
        }
    }
}

/// The members of a list in the order of their numbers, which need not be the order in which they came.
pub(crate) fn in_order(members: &[(String, Node)]) -> Vec<&Node> {
    let mut numbered: Vec<(usize, &Node)> = members
        .iter()
        .map(|(name, node)| (name.parse().unwrap_or(usize::MAX), node))
        .collect();
    numbered.sort_by_key(|(number, _)| *number);
    numbered.into_iter().map(|(_, node)| node).collect()
}

pub(crate) fn is_list(members: &[(String, Node)]) -> bool {
    !members.is_empty() && members.iter().all(|(name, _)| name.parse::<usize>().is_ok())
}

/// Decodes a query string or a form body, or both one after the other.
pub(crate) fn decode(sources: &[&[u8]]) -> Result<Node, Refusal> {
    let mut root = Vec::new();
    for source in sources {
        for (name, value) in url::form_urlencoded::parse(source) {
            let path = segments(&name).ok_or_else(|| Refusal::invalid_shape(&name))?;
            insert(&mut root, &path, &value, &name)?;
        }
    }
    Ok(Node::Members(root))
}

/// `items[0][price]` → `["items", "0", "price"]`; `None` when the brackets do not pair up.
fn segments(name: &str) -> Option<Vec<&str>> {
    let Some(open) = name.find('[') else {
        return Some(vec![name]);
    };
    let (head, rest) = name.split_at(open);
    let inner = rest.strip_prefix('[')?.strip_suffix(']')?;
    let mut path = vec![head];
    path.extend(inner.split("]["));
    let balanced = path.iter().all(|segment| !segment.contains(['[', ']']));
    balanced.then_some(path)
}

fn insert(members: &mut Vec<(String, Node)>, path: &[&str], value: &str, whole: &str) -> Result<(), Refusal> {
    let Some((segment, rest)) = path.split_first() else {
        return Ok(());
    };
    let name = match *segment {
        "" => unnumbered(members, rest),
        named => named.to_owned(),
    };
    let position = members.iter().position(|(known, _)| *known == name);
    if rest.is_empty() {
        match position {
            None => members.push((name, Node::Text(value.to_owned()))),
            Some(at) if matches!(members[at].1, Node::Text(_)) => {
                members[at].1 = Node::Text(value.to_owned())
            }
            Some(_) => return Err(Refusal::invalid_shape(whole)),
        }
        return Ok(());
    }
    let at = position.unwrap_or_else(|| {
        members.push((name, Node::empty()));
        members.len() - 1
    });
    match &mut members[at].1 {
        Node::Members(inner) => insert(inner, rest, value, whole),
        Node::Text(_) => Err(Refusal::invalid_shape(whole)),
    }
}

/// The number an unindexed `[]` stands for: a new element, unless the last one still lacks the member that comes.
fn unnumbered(members: &[(String, Node)], rest: &[&str]) -> String {
    let last = members.len().checked_sub(1);
    match (last, rest.first()) {
        (Some(last), Some(member)) if !members[last].1.members().iter().any(|(known, _)| known == member) => {
            last.to_string()
        }
        _ => members.len().to_string(),
    }
}

/// A tree as a form: for calls that never were one.
pub(crate) fn encode(tree: &Node) -> String {
    let mut form = url::form_urlencoded::Serializer::new(String::new());
    append(&mut form, String::new(), tree);
    form.finish()
}

fn append(form: &mut url::form_urlencoded::Serializer<'_, String>, name: String, node: &Node) {
    match node {
        Node::Text(text) => {
            form.append_pair(&name, text);
        }
        Node::Members(members) => {
            for (member, inner) in members {
                let full = if name.is_empty() {
                    member.clone()
                } else {
                    format!("{name}[{member}]")
                };
                append(form, full, inner);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn decoded(form: &str) -> Value {
        decode(&[form.as_bytes()]).unwrap().to_json()
    }

    #[test]
    fn brackets_nest_whether_escaped_or_not() {
        let expected = json!({"items": [{"price": "price_1", "quantity": "3"}], "metadata": {"a b": "1&2"}});
        assert_eq!(
            decoded("items[0][price]=price_1&items[0][quantity]=3&metadata[a+b]=1%262"),
            expected
        );
        assert_eq!(
            decoded("items%5B0%5D%5Bprice%5D=price_1&items%5B0%5D%5Bquantity%5D=3&metadata%5Ba%20b%5D=1%262"),
            expected
        );
    }

    #[test]
    fn a_list_without_numbers_is_a_list() {
        assert_eq!(decoded("expand[]=a&expand[]=b"), json!({"expand": ["a", "b"]}));
        assert_eq!(
            decoded("items[][price]=p1&items[][quantity]=1&items[][price]=p2"),
            json!({"items": [{"price": "p1", "quantity": "1"}, {"price": "p2"}]})
        );
    }

    #[test]
    fn numbers_order_a_list_not_their_arrival() {
        assert_eq!(decoded("a[10]=k&a[2]=c&a[0]=a"), json!({"a": ["a", "c", "k"]}));
    }

    #[test]
    fn one_name_cannot_be_a_text_and_a_list() {
        assert!(decode(&[b"a=1&a[b]=2"]).is_err());
        assert!(decode(&[b"a[b]=2&a=1"]).is_err());
        assert!(decode(&[b"a[b=2"]).is_err());
    }

    #[test]
    fn nothing_is_nothing() {
        assert_eq!(decoded(""), json!({}));
    }
}
