//! Entries of a store in order of their keys: those that are held, and between them those that only the
//! checkpoint has.

use std::borrow::Cow;
use std::collections::btree_set;
use std::iter::Peekable;

use crate::record::Key;
use crate::store::base::StoreBase;
use crate::store::by_key::ByKey;
use crate::store::kv::Slot;

/// See [`KvStore::range_from`](crate::store::kv::KvStore::range_from).
#[derive(Debug)]
pub struct Range<'a> {
    held: Peekable<btree_set::Range<'a, Key>>,
    slots: &'a ByKey<Slot>,
    page: Peekable<std::vec::IntoIter<(Vec<u8>, Vec<u8>)>>,
    /// The next page begins at or after this key.
    unread: Option<(&'a StoreBase, Vec<u8>)>,
}

impl<'a> Range<'a> {
    /// Entries of the base read at a time.
    const PAGE: usize = 256;

    pub(super) fn new(
        held: btree_set::Range<'a, Key>,
        slots: &'a ByKey<Slot>,
        unread: Option<(&'a StoreBase, Vec<u8>)>,
    ) -> Range<'a> {
        Range { held: held.peekable(), slots, page: Vec::new().into_iter().peekable(), unread }
    }

    fn turn_page(&mut self) {
        if self.page.peek().is_some() {
            return;
        }
        let Some((base, from)) = self.unread.take() else { return };
        let page = base.page(&from, Range::PAGE);
        if let Some((last, _)) = page.last().filter(|_| page.len() == Range::PAGE) {
            self.unread = Some((base, [last, &[0][..]].concat()));
        }
        self.page = page.into_iter().peekable();
    }
}

impl<'a> Iterator for Range<'a> {
    type Item = (Cow<'a, [u8]>, Cow<'a, [u8]>);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            self.turn_page();
            let held = self.held.peek().map(|key| &***key);
            let far = self.page.peek().map(|(key, _)| key.as_slice());
            let near = match (held, far) {
                (Some(held), Some(far)) if far < held => false,
                (Some(held), Some(far)) => {
                    // What is held is newer.
                    if far == held {
                        self.page.next();
                    }
                    true
                }
                (Some(_), None) => true,
                (None, Some(_)) => false,
                (None, None) => return None,
            };
            if !near {
                return self.page.next().map(|(key, value)| (Cow::Owned(key), Cow::Owned(value)));
            }
            let Some(key) = self.held.next() else { continue };
            if let Some(value) = self.slots.get(key).and_then(Slot::value) {
                return Some((Cow::Borrowed(&**key), Cow::Borrowed(value)));
            }
        }
    }
}
