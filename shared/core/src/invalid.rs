//! Everything that is wrong with an input, collected before anything is answered.

use std::collections::BTreeMap;

/// The faults of one input: those of the whole, and those of single members by name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Invalid {
    /// Faults of the input as a whole.
    pub form: Vec<String>,
    /// Faults by the name of the member, as the caller spelt it.
    pub fields: BTreeMap<String, Vec<String>>,
}

impl Invalid {
    /// An input that is wrong as a whole.
    pub fn form(fault: impl Into<String>) -> Self {
        Self {
            form: vec![fault.into()],
            fields: BTreeMap::new(),
        }
    }

    /// Adds a fault of one member.
    pub fn field(&mut self, name: &str, fault: impl Into<String>) {
        self.fields.entry(name.to_owned()).or_default().push(fault.into());
    }

    /// Keeps a good value; notes the fault of a bad one.
    pub fn take<T>(&mut self, name: &str, value: Result<T, impl Into<String>>) -> Option<T> {
        value.map_err(|fault| self.field(name, fault)).ok()
    }

    /// Keeps a good value; notes everything that is wrong with a bad one.
    pub fn gather<T>(&mut self, value: Result<T, Self>) -> Option<T> {
        value.map_err(|more| self.and(more)).ok()
    }

    /// Adds everything that was found wrong elsewhere.
    pub fn and(&mut self, more: Self) {
        self.form.extend(more.form);
        for (name, faults) in more.fields {
            self.fields.entry(name).or_default().extend(faults);
        }
    }

    /// Whether something is wrong with a member.
    #[must_use]
    pub fn blames(&self, name: &str) -> bool {
        self.fields.contains_key(name)
    }

    /// Whether nothing is wrong.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.form.is_empty() && self.fields.is_empty()
    }
}
