//! Long lists whose members come only one by one, since the BMC has no pages and all at once would take too long, are read in portions: some with each of the
//! polls of the inventory that follow, until all were read. So no poll is long, and what is quick to read is told at once.

use super::route::Role;
use outband_schemas::{Identity, Section};
use std::collections::{BTreeMap, VecDeque};

/// How many members one poll reads.
pub(super) const PORTION: usize = 24;
/// A list that has no more members is read at once.
const SHORT: usize = 12;

/// A member of a list, to be read later.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Member {
    pub(super) uri: String,
    pub(super) role: Role,
    /// The system or chassis that it belongs to.
    pub(super) owner: String,
    pub(super) collection: String,
    /// Its place in the collection.
    pub(super) index: usize,
}

/// What an inventory has still to read, and what it has to know of what it read before.
#[derive(Debug, Clone, Default)]
pub(super) struct Portions {
    left: VecDeque<Member>,
    /// Whose parts they are: said with each portion.
    pub(super) identity: Identity,
    /// The firmware images told since the inventory began: name and version, and where.
    pub(super) images: BTreeMap<(String, String, String), String>,
    /// The version of each system's BIOS and where it stands: told where no image turns out to be it.
    pub(super) bios: Vec<(String, String)>,
}

impl Portions {
    /// Whether so many members of a list are read in portions.
    pub(super) fn divides(section: Section, role: Role, members: usize) -> bool {
        section == Section::Inventory
            && matches!(role, Role::Firmware | Role::Memory | Role::Processor)
            && members > SHORT
    }

    /// Begins an inventory anew.
    pub(super) fn begin(&mut self) {
        *self = Self::default();
    }

    /// Keeps a member for later.
    pub(super) fn put_off(&mut self, member: Member) {
        self.left.push_back(member);
    }

    /// The next portion; empty where nothing is left.
    pub(super) fn next(&mut self) -> Vec<Member> {
        self.left.drain(..self.left.len().min(PORTION)).collect()
    }

    /// What is left, for people; `None` where nothing is.
    pub(super) fn words(&self) -> Option<String> {
        let words: Vec<String> = self.left().into_iter().map(|(role, n)| format!("{n} × {}", role.what())).collect();
        (!words.is_empty()).then(|| words.join(", "))
    }

    /// How many members are left, by what they are.
    pub(super) fn left(&self) -> BTreeMap<Role, usize> {
        let mut left = BTreeMap::new();
        for member in &self.left {
            *left.entry(member.role).or_default() += 1;
        }
        left
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_member_is_read_once_and_no_portion_is_long(count in 0usize..200) {
            let mut portions = Portions::default();
            for index in 0..count {
                let (owner, collection) = (String::new(), "/f".to_owned());
                portions.put_off(Member { uri: format!("/f/{index}"), role: Role::Firmware, owner, collection, index });
            }
            let mut read = Vec::new();
            loop {
                let portion = portions.next();
                prop_assert!(portion.len() <= PORTION);
                if portion.is_empty() {
                    break;
                }
                read.extend(portion.into_iter().map(|m| m.index));
            }
            prop_assert_eq!(read, (0..count).collect::<Vec<_>>());
            prop_assert!(portions.left().is_empty());
        }
    }
}
