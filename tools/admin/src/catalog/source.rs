//! A catalog file as it is written: members with the line that they are on, and everything that is wrong with them.
//!
//! Reading never stops at the first fault. A member that is wrong is noted, and something stands in for it that gives no other member a fault;
//! what the rules say of the stand-in itself is not told. So one run tells everything.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// Something wrong with a catalog file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fault {
    /// Counted from 1.
    pub line: usize,
    /// Which member, by its path; empty for the file as a whole.
    pub member: String,
    /// What is wrong with it.
    pub fault: String,
}

impl std::fmt::Display for Fault {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { line, member, fault } = self;
        if member.is_empty() {
            write!(out, "line {line}: {fault}")
        } else {
            write!(out, "line {line}: {member}: {fault}")
        }
    }
}

/// A file being read.
pub(super) struct Source {
    /// Where each line ends: a file may have as many faults as lines.
    ends: Vec<usize>,
    faults: RefCell<Vec<Fault>>,
    /// The paths of the members for which something stands in.
    unread: RefCell<BTreeSet<String>>,
}

impl Source {
    pub(super) fn new(text: &str) -> Self {
        Self {
            ends: text.match_indices('\n').map(|(at, _)| at).collect(),
            faults: RefCell::default(),
            unread: RefCell::default(),
        }
    }

    pub(super) fn fault(&self, at: usize, member: &str, fault: impl ToString) {
        self.faults.borrow_mut().push(Fault {
            line: self.ends.partition_point(|end| *end < at) + 1,
            member: member.to_owned(),
            fault: fault.to_string(),
        });
    }

    /// Something stands in for the member of this path.
    fn not_read(&self, member: &str) {
        self.unread.borrow_mut().insert(member.to_owned());
    }

    /// Whether something stands in for the member of this path, or for one that it is a part of.
    fn is_unread(&self, member: &str) -> bool {
        let unread = self.unread.borrow();
        let ends = member.match_indices('.').map(|(at, _)| at).chain([member.len()]);
        ends.map(|end| &member[..end]).any(|part| unread.contains(part))
    }

    /// What was found, in the order of the lines.
    pub(super) fn into_faults(self) -> Vec<Fault> {
        let mut faults = self.faults.into_inner();
        faults.sort();
        faults.dedup();
        faults
    }
}

/// One table of a file.
pub(super) struct Table<'a, 's> {
    source: &'s Source,
    table: &'s DeTable<'a>,
    /// Where it begins.
    at: usize,
    path: String,
    read: RefCell<BTreeSet<&'static str>>,
}

/// A value of a file, and where it is.
pub(super) struct Member<'a, 's> {
    source: &'s Source,
    value: &'s Spanned<DeValue<'a>>,
    at: usize,
    path: String,
}

impl<'a, 's> Table<'a, 's> {
    pub(super) fn root(source: &'s Source, table: &'s Spanned<DeTable<'a>>) -> Self {
        Self {
            source,
            table: table.get_ref(),
            at: 0,
            path: String::new(),
            read: RefCell::default(),
        }
    }

    /// A member that may be absent.
    pub(super) fn get(&self, name: &'static str) -> Option<Member<'a, 's>> {
        self.read.borrow_mut().insert(name);
        let (key, value) = self.table.iter().find(|(key, _)| key.get_ref() == name)?;
        Some(self.member(key.span(), name, value))
    }

    /// A member that must be there, read by `read`; none when it is absent or wrong, which is noted.
    pub(super) fn required<T>(
        &self,
        name: &'static str,
        read: impl FnOnce(&Member<'a, 's>) -> Option<T>,
    ) -> Option<T> {
        match self.get(name) {
            Some(member) => read(&member),
            None => {
                self.missing(name);
                None
            }
        }
    }

    /// Notes that a member is missing that must be there.
    pub(super) fn missing(&self, name: &str) {
        self.fault(format!("{name} is missing"));
        self.source.not_read(&self.under(name));
    }

    /// Something stands in for the whole of it.
    pub(super) fn not_read(&self) {
        self.source.not_read(&self.path);
    }

    /// For how many members of the file something stands in so far.
    pub(super) fn unread(&self) -> usize {
        self.source.unread.borrow().len()
    }

    /// A member that may be absent, read by `read`; none when it is wrong, which is noted.
    pub(super) fn optional<T>(
        &self,
        name: &'static str,
        absent: T,
        read: impl FnOnce(&Member<'a, 's>) -> Option<T>,
    ) -> Option<T> {
        match self.get(name) {
            Some(member) => read(&member),
            None => Some(absent),
        }
    }

    /// The tables that a table holds by name, in the order of the file.
    pub(super) fn entries(&self) -> Vec<(&'s str, Member<'a, 's>)> {
        let mut entries: Vec<_> = self
            .table
            .iter()
            .map(|(key, value)| {
                let name = key.get_ref().as_ref();
                (name, self.member(key.span(), name, value))
            })
            .collect();
        entries.sort_by_key(|(_, member)| member.at);
        entries
    }

    /// Notes every member that nobody asked for: it was meant for something.
    pub(super) fn finish(&self) {
        for (key, _) in self.table {
            let name: &str = key.get_ref().as_ref();
            if !self.read.borrow().contains(name) {
                self.source
                    .fault(key.span().start, &self.under(name), "is no member of the catalog");
            }
        }
    }

    pub(super) fn fault(&self, fault: impl ToString) {
        self.source.fault(self.at, &self.path, fault);
    }

    /// Notes a fault of a member by its path within this table: `tiers[1].up_to`. Where that is not in the file, the nearest that
    /// is gets the blame. One that could not be read has its fault already.
    pub(super) fn fault_of(&self, path: &str, fault: impl ToString) {
        if self.source.is_unread(&self.under(path)) {
            return;
        }
        let mut at = self.at;
        let mut table = Some(self.table);
        for step in path.split('.') {
            let (name, index) = match step.split_once('[') {
                Some((name, rest)) => (name, rest.trim_end_matches(']').parse::<usize>().ok()),
                None => (step, None),
            };
            let Some((key, value)) =
                table.and_then(|table| table.iter().find(|(key, _)| key.get_ref() == name))
            else {
                break;
            };
            at = key.span().start;
            let mut value = value;
            if let (Some(index), DeValue::Array(array)) = (index, value.get_ref())
                && let Some(element) = array.get(index)
            {
                at = element.span().start;
                value = element;
            }
            table = match value.get_ref() {
                DeValue::Table(table) => Some(table),
                _ => None,
            };
        }
        self.source.fault(at, &self.under(path), fault);
    }

    fn under(&self, name: &str) -> String {
        if self.path.is_empty() {
            name.to_owned()
        } else {
            format!("{}.{name}", self.path)
        }
    }

    fn member(&self, key: Range<usize>, name: &str, value: &'s Spanned<DeValue<'a>>) -> Member<'a, 's> {
        Member {
            source: self.source,
            value,
            at: key.start,
            path: self.under(name),
        }
    }
}

impl<'a, 's> Member<'a, 's> {
    pub(super) fn fault(&self, fault: impl ToString) {
        self.source.fault(self.at, &self.path, fault);
        self.source.not_read(&self.path);
    }

    pub(super) fn table(&self) -> Option<Table<'a, 's>> {
        match self.value.get_ref() {
            DeValue::Table(table) => Some(Table {
                source: self.source,
                table,
                at: self.at,
                path: self.path.clone(),
                read: RefCell::default(),
            }),
            _ => self.none("must be a table"),
        }
    }

    /// The elements of an array.
    pub(super) fn elements(&self) -> Option<Vec<Member<'a, 's>>> {
        match self.value.get_ref() {
            DeValue::Array(array) => Some(
                array
                    .iter()
                    .enumerate()
                    .map(|(index, value)| Member {
                        source: self.source,
                        value,
                        at: value.span().start,
                        path: format!("{}[{index}]", self.path),
                    })
                    .collect(),
            ),
            _ => self.none("must be an array"),
        }
    }

    pub(super) fn text(&self) -> Option<&'s str> {
        match self.value.get_ref() {
            DeValue::String(text) => Some(text.as_ref()),
            _ => self.none("must be a text in quotes"),
        }
    }

    /// A text that is something.
    pub(super) fn parsed<T>(&self) -> Option<T>
    where
        T: std::str::FromStr,
        T::Err: std::fmt::Display,
    {
        self.noted(self.text()?.parse())
    }

    /// A number or a text in decimals. A number is taken as it is written: nothing is lost on the way.
    pub(super) fn decimal<T>(&self) -> Option<T>
    where
        T: std::str::FromStr,
        T::Err: std::fmt::Display,
    {
        let text = match self.value.get_ref() {
            DeValue::Integer(number) if number.radix() == 10 => number.as_str(),
            DeValue::Float(number) => number.as_str(),
            DeValue::String(text) => text.as_ref(),
            _ => return self.none("must be a number"),
        };
        self.noted(text.parse())
    }

    /// A whole number.
    pub(super) fn whole<T: std::str::FromStr>(&self) -> Option<T> {
        let number = match self.value.get_ref() {
            DeValue::Integer(number) if number.radix() == 10 => number.as_str().parse().ok(),
            _ => None,
        };
        number.or_else(|| self.none("must be a whole number"))
    }

    pub(super) fn boolean(&self) -> Option<bool> {
        match self.value.get_ref() {
            DeValue::Boolean(value) => Some(*value),
            _ => self.none("must be true or false"),
        }
    }

    /// Whether it is a text, where it may be something else as well.
    pub(super) fn is_text(&self) -> bool {
        matches!(self.value.get_ref(), DeValue::String(_))
    }

    /// Keeps a good value; notes the fault of a bad one.
    pub(super) fn noted<T>(&self, value: Result<T, impl std::fmt::Display>) -> Option<T> {
        value.map_err(|fault| self.fault(fault)).ok()
    }

    pub(super) fn none<T>(&self, fault: &str) -> Option<T> {
        self.fault(fault);
        None
    }
}
