//! A table of objects, in the order of their creation and found by id.
//!
//! It filters and pages nothing; see [`crate::rules::listing`].
//!
//! Worlds are copied to try things out in, and to go back to: a copy shares its rows until either side writes one.

use std::collections::HashMap;
use std::ops::{Index, IndexMut};
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::id::Id;

/// An object that has an id.
pub(crate) trait Row: Clone {
    type Id: Id;
    /// What Stripe calls such an object in an error: `No such customer: '…'`.
    const OBJECT: &'static str;

    fn id(&self) -> &Self::Id;
}

/// Rows in the order of their creation. Rows that others refer to are never removed, only marked.
#[derive(Clone, Debug)]
pub(crate) struct Table<T> {
    rows: Vec<Arc<T>>,
    positions: Arc<HashMap<Arc<str>, usize>>,
}

impl<T> Default for Table<T> {
    fn default() -> Self {
        Self {
            rows: Vec::new(),
            positions: Arc::default(),
        }
    }
}

impl<T: Row> Table<T> {
    pub(crate) fn insert(&mut self, row: T) -> T::Id {
        let id = row.id().clone();
        Arc::make_mut(&mut self.positions).insert(id.as_str().into(), self.rows.len());
        self.rows.push(Arc::new(row));
        id
    }

    pub(crate) fn get(&self, id: &T::Id) -> Option<&T> {
        self.find(id.as_str())
    }

    /// Looks up by an id that a caller wrote.
    pub(crate) fn find(&self, id: &str) -> Option<&T> {
        self.positions.get(id).map(|position| &*self.rows[*position])
    }

    pub(crate) fn get_mut(&mut self, id: &T::Id) -> Option<&mut T> {
        self.positions
            .get(id.as_str())
            .map(|position| Arc::make_mut(&mut self.rows[*position]))
    }

    /// In the order of creation.
    pub(crate) fn iter(&self) -> impl DoubleEndedIterator<Item = &T> + ExactSizeIterator {
        self.rows.iter().map(|row| &**row)
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.rows.iter_mut().map(Arc::make_mut)
    }

    /// Takes a row out for good: only for rows nothing refers to by index.
    pub(crate) fn remove(&mut self, id: &T::Id) -> Option<T> {
        let position = *self.positions.get(id.as_str())?;
        let row = self.rows.remove(position);
        *self = Self::from_rows(std::mem::take(&mut self.rows));
        Some(Arc::unwrap_or_clone(row))
    }

    fn from_rows(rows: Vec<Arc<T>>) -> Self {
        let positions = rows
            .iter()
            .enumerate()
            .map(|(at, row)| (row.id().as_str().into(), at))
            .collect();
        Self {
            rows,
            positions: Arc::new(positions),
        }
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
        Arc::make_mut(&mut self.rows[self.positions[id.as_str()]])
    }
}

impl<T: Row + Serialize> Serialize for Table<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter())
    }
}

impl<'de, T: Row + Deserialize<'de>> Deserialize<'de> for Table<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let rows = Vec::<T>::deserialize(deserializer)?;
        Ok(Self::from_rows(rows.into_iter().map(Arc::new).collect()))
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
