//! Names that many servers have in common, each kept once.

#[expect(clippy::disallowed_types, reason = "numbers are looked up in it, nobody goes through it in its order")]
use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

/// More different names than this are not looked after: each then has its own room.
const MOST: usize = 65_536;

/// Sensors of one model of servers are called alike, and tell their states in the same words. A clone shares what is known.
#[derive(Debug, Clone, Default)]
pub struct Names(Arc<RwLock<Table>>);

/// The names, each with its number, which never changes.
#[derive(Debug, Default)]
pub(crate) struct Table {
    #[expect(clippy::disallowed_types, reason = "see above")]
    numbers: HashMap<Arc<str>, u32>,
    names: Vec<Arc<str>>,
}

impl Names {
    /// To look something up: several threads may at once.
    pub(crate) fn table(&self) -> RwLockReadGuard<'_, Table> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts a name in the table. `None` where there are too many already. Whoever holds the table has to let go of it first.
    pub(crate) fn put(&self, name: &str) -> Option<u32> {
        self.0.write().unwrap_or_else(PoisonError::into_inner).put(name)
    }

    /// The one copy of a name.
    pub fn share(&self, name: &str) -> Arc<str> {
        let known = self.table().known(name);
        let number = known.or_else(|| self.put(name));
        number.and_then(|number| self.table().name(number.into()).cloned()).unwrap_or_else(|| name.into())
    }
}

impl Table {
    /// The number of a name that is in the table.
    pub(crate) fn known(&self, name: &str) -> Option<u32> {
        self.numbers.get(name).copied()
    }

    fn put(&mut self, name: &str) -> Option<u32> {
        if let Some(number) = self.known(name) {
            return Some(number);
        }
        if self.names.len() >= MOST {
            return None;
        }
        let number = u32::try_from(self.names.len()).ok()?;
        let name: Arc<str> = name.into();
        self.numbers.insert(name.clone(), number);
        self.names.push(name);
        Some(number)
    }

    /// The name of a number.
    pub(crate) fn name(&self, number: u64) -> Option<&Arc<str>> {
        self.names.get(usize::try_from(number).ok()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_is_known_takes_no_room_again() {
        let names = Names::default();
        let (one, other) = (names.share("Fan 1A"), names.clone().share("Fan 1A"));
        assert!(Arc::ptr_eq(&one, &other));
        assert!(!Arc::ptr_eq(&one, &names.share("Fan 1B")));
    }

    #[test]
    fn where_there_are_too_many_names_each_has_its_own_room() {
        let names = Names::default();
        (0..MOST).for_each(|n| drop(names.share(&n.to_string())));
        let (one, other) = (names.share("one more"), names.share("one more"));
        assert!(!Arc::ptr_eq(&one, &other));
        assert_eq!((one, names.table().names.len()), (other, MOST));
    }
}
