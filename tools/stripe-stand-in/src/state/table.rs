//! A table of objects, in the order of their creation and found by id.
//!
//! It filters and pages nothing; see [`crate::rules::listing`].

use std::collections::HashMap;
use std::ops::{Index, IndexMut};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::id::Id;

/// An object that has an id.
pub(crate) trait Row {
    type Id: Id;
    /// What Stripe calls such an object in an error: `No such customer: '…'`.
    const OBJECT: &'static str;

    fn id(&self) -> &Self::Id;
}

/// Rows in the order of their creation. Rows that others refer to are never removed, only marked.
#[derive(Clone, Debug)]
pub(crate) struct Table<T> {
    rows: Vec<T>,
    positions: HashMap<String, usize>,
}

impl<T> Default for Table<T> {
    fn default() -> Self {
        Self {
            rows: Vec::new(),
            positions: HashMap::new(),
        }
    }
}

impl<T: Row> Table<T> {
    pub(crate) fn insert(&mut self, row: T) -> T::Id {
        let id = row.id().clone();
        self.positions.insert(id.as_str().to_owned(), self.rows.len());
        self.rows.push(row);
        id
    }

    pub(crate) fn get(&self, id: &T::Id) -> Option<&T> {
        self.find(id.as_str())
    }

    /// Looks up by an id that a caller wrote.
    pub(crate) fn find(&self, id: &str) -> Option<&T> {
        self.positions.get(id).map(|position| &self.rows[*position])
    }

    pub(crate) fn get_mut(&mut self, id: &T::Id) -> Option<&mut T> {
        self.positions
            .get(id.as_str())
            .map(|position| &mut self.rows[*position])
    }

    /// In the order of creation.
    pub(crate) fn iter(&self) -> impl DoubleEndedIterator<Item = &T> + ExactSizeIterator {
        self.rows.iter()
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.rows.iter_mut()
    }

    /// Takes a row out for good: only for rows nothing refers to by index.
    pub(crate) fn remove(&mut self, id: &T::Id) -> Option<T> {
        let position = *self.positions.get(id.as_str())?;
        let row = self.rows.remove(position);
        *self = Self::from_rows(std::mem::take(&mut self.rows));
        Some(row)
    }

    fn from_rows(rows: Vec<T>) -> Self {
        let positions = rows
            .iter()
            .enumerate()
            .map(|(at, row)| (row.id().as_str().to_owned(), at))
            .collect();
        Self { rows, positions }
    }
}

/// For ids that come from the state itself: such a row is there.
impl<T: Row> Index<&T::Id> for Table<T> {
    type Output = T;

    fn index(&self, id: &T::Id) -> &T {
        &self.rows[self.positions[id.as_str()]]
    }
}

impl<T: Row> IndexMut<&T::Id> for Table<T> {
    fn index_mut(&mut self, id: &T::Id) -> &mut T {
        &mut self.rows[self.positions[id.as_str()]]
    }
}

impl<T: Serialize> Serialize for Table<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.rows.serialize(serializer)
    }
}

impl<'de, T: Row + Deserialize<'de>> Deserialize<'de> for Table<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self::from_rows(Vec::deserialize(deserializer)?))
    }
}

/// Says for a struct with an `id` that it is a row.
macro_rules! row {
    ($row:ty, $id:ty, $object:literal) => {
        impl $crate::state::Row for $row {
            type Id = $id;
            const OBJECT: &'static str = $object;

            fn id(&self) -> &Self::Id {
                &self.id
            }
        }
    };
}
pub(crate) use row;
