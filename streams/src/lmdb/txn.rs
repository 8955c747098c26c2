//! Transactions: what a view shows, and what a write transaction changes.

use std::ops::Bound;

use heed::{AnyTls, MdbError, RoTxn, RwTxn};

use super::Db;
use super::map::Map;
use crate::error::StoreError;

/// The committed state of an environment, or that of the write transaction it was taken from.
#[derive(Clone, Copy)]
pub struct View<'t> {
    pub(super) map: &'t Map,
    pub(super) txn: &'t RoTxn<'t, AnyTls>,
}

/// A key and its value.
pub type Entry<'t> = (&'t [u8], &'t [u8]);

impl<'t> View<'t> {
    /// The value of a key.
    ///
    /// # Errors
    /// [`StoreError::Read`], here and below.
    pub fn get(&self, db: Db, key: &[u8]) -> Result<Option<&'t [u8]>, StoreError> {
        if key.is_empty() {
            return Ok(None);
        }
        db.0.get(self.txn, key).map_err(|e| self.map.read_failed(&e))
    }

    /// The last entry at or before a key.
    pub fn floor(&self, db: Db, key: &[u8]) -> Result<Option<Entry<'t>>, StoreError> {
        db.0.get_lower_than_or_equal_to(self.txn, key).map_err(|e| self.map.read_failed(&e))
    }

    /// Entries from a key on, in key order.
    pub fn from(
        &self,
        db: Db,
        key: &[u8],
    ) -> Result<impl Iterator<Item = Result<Entry<'t>, StoreError>> + use<'t>, StoreError> {
        let map = self.map;
        let start = if key.is_empty() { Bound::Unbounded } else { Bound::Included(key) };
        let range = (start, Bound::<&[u8]>::Unbounded);
        let found = db.0.range(self.txn, &range).map_err(|e| map.read_failed(&e))?;
        Ok(found.map(move |entry| entry.map_err(|e| map.read_failed(&e))))
    }

    /// Entries whose keys begin with `prefix`, in key order.
    pub fn prefix(
        &self,
        db: Db,
        prefix: &[u8],
    ) -> Result<impl Iterator<Item = Result<Entry<'t>, StoreError>> + use<'t>, StoreError> {
        let (wanted, mut entries) = (prefix.to_vec(), self.from(db, prefix)?);
        Ok(std::iter::from_fn(move || match entries.next()? {
            Ok((key, _)) if !key.starts_with(&wanted) => None,
            entry => Some(entry),
        }))
    }
}

/// A write transaction. Read in it through [`WriteTxn::view`].
pub struct WriteTxn<'t> {
    pub(super) map: &'t Map,
    pub(super) txn: RwTxn<'t>,
    pub(super) full: bool,
}

impl WriteTxn<'_> {
    /// What it sees: the committed state and its own writes.
    pub fn view(&self) -> View<'_> {
        View { map: self.map, txn: &self.txn }
    }

    /// Sets the value of a key of 1 to `KEY_BYTES_MAX` bytes.
    ///
    /// # Errors
    /// [`StoreError::Write`], here and below.
    pub fn put(&mut self, db: Db, key: &[u8], value: &[u8]) -> Result<(), StoreError> {
        let put = db.0.put(&mut self.txn, key, value);
        put.map_err(|e| self.failed(&e))
    }

    /// Takes a key away; nothing to do if it is missing.
    pub fn delete(&mut self, db: Db, key: &[u8]) -> Result<(), StoreError> {
        let deleted = db.0.delete(&mut self.txn, key);
        deleted.map(drop).map_err(|e| self.failed(&e))
    }

    /// Takes every key away that begins with `prefix`.
    pub fn delete_prefix(&mut self, db: Db, prefix: &[u8]) -> Result<(), StoreError> {
        loop {
            let next = self.view().prefix(db, prefix)?.next().transpose()?.map(|(key, _)| key.to_vec());
            let Some(key) = next else { return Ok(()) };
            self.delete(db, &key)?;
        }
    }

    fn failed(&mut self, e: &heed::Error) -> StoreError {
        self.full |= matches!(e, heed::Error::Mdb(MdbError::MapFull));
        self.map.write_failed(e)
    }
}
