//! What is looked at now and then, held in few bytes meanwhile.
//!
//! A collector holds what it knows of ten thousand servers. Of each, a step looks at one after another; in between it lies in one block of bytes: numbers by what
//! they differ from the one before, names by their number in a table that all share ([`Names`]). What is unpacked is to the bit what was packed. Nobody can
//! forget to unpack: to look at a [`Packed`] is to unpack it. Who forgets to [`Packed::rest`] it only spends memory.

mod read;
mod write;

use crate::{Names, SortedMap};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::collections::BTreeMap;
use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::OnceLock;

/// Marks texts that many servers have in common: see [`shared`].
const SHARED: &str = "outband::shared";

/// Why something cannot be packed or unpacked: its type asks for what the format does not have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("packing: {0}")]
struct Error(String);

impl serde::ser::Error for Error {
    fn custom<T: fmt::Display>(text: T) -> Self {
        Self(text.to_string())
    }
}

impl serde::de::Error for Error {
    fn custom<T: fmt::Display>(text: T) -> Self {
        Self(text.to_string())
    }
}

/// A value that is packed while nobody looks at it.
pub struct Packed<T> {
    open: OnceLock<Box<T>>,
    /// As it was when it was last packed, unless it was changed since.
    kept: Option<Kept>,
}

#[derive(Clone)]
struct Kept {
    bytes: Box<[u8]>,
    names: Names,
}

impl<T> Default for Packed<T> {
    fn default() -> Self {
        Self { open: OnceLock::new(), kept: None }
    }
}

impl<T> From<T> for Packed<T> {
    fn from(value: T) -> Self {
        Self { open: OnceLock::from(Box::new(value)), kept: None }
    }
}

impl<T: Default + Serialize + DeserializeOwned> Packed<T> {
    /// Packs it. `names` is the table that its names are in from then on.
    pub fn rest(&mut self, names: &Names) {
        if self.kept.is_some() {
            self.open = OnceLock::new();
            return;
        }
        // What was never looked at is the default, which takes no room.
        let Some(open) = self.open.get() else { return };
        match write::pack(open.as_ref(), names) {
            // What is empty is all 0.
            Ok(bytes)
                if bytes.iter().all(|b| *b == 0)
                    && write::pack(&T::default(), names).is_ok_and(|empty| empty == bytes) =>
            {
                self.open = OnceLock::new();
            }
            Ok(bytes) => {
                self.kept = Some(Kept { bytes, names: names.clone() });
                self.open = OnceLock::new();
            }
            // It stays as it is: correct, and larger.
            Err(error) => debug_assert!(false, "{error}"),
        }
    }

    fn unpack(&self) -> Box<T> {
        let Some(kept) = &self.kept else { return Box::default() };
        // In its place nothing may be made up: whoever asks ends, and what the store holds is read anew.
        read::unpack(&kept.bytes, &kept.names)
            .unwrap_or_else(|error| unreachable!("it was packed by this program: {error}"))
    }

    /// Hands out what it is packed into, to be kept elsewhere; it is the default until that is handed back. `None` where it is not packed.
    pub(crate) fn hand_out(&mut self) -> Option<Box<[u8]>> {
        let kept = self.kept.take()?;
        self.open = OnceLock::new();
        Some(kept.bytes)
    }

    /// Takes back what was handed out.
    pub(crate) fn hand_back(&mut self, bytes: &[u8], names: &Names) {
        *self = Self { open: OnceLock::new(), kept: Some(Kept { bytes: bytes.into(), names: names.clone() }) };
    }

    /// How many bytes it is packed into; 0 where it is not.
    pub fn packed_len(&self) -> usize {
        self.kept.as_ref().map_or(0, |kept| kept.bytes.len())
    }
}

impl<T: Default + Serialize + DeserializeOwned> Deref for Packed<T> {
    type Target = T;
    fn deref(&self) -> &T {
        self.open.get_or_init(|| self.unpack())
    }
}

impl<T: Default + Serialize + DeserializeOwned> DerefMut for Packed<T> {
    fn deref_mut(&mut self) -> &mut T {
        if self.open.get().is_none() {
            self.open = OnceLock::from(self.unpack());
        }
        self.kept = None;
        match self.open.get_mut() {
            Some(open) => open,
            None => unreachable!("it was opened above"),
        }
    }
}

impl<T: Clone> Clone for Packed<T> {
    fn clone(&self) -> Self {
        // Of two the same, the smaller.
        let open = if self.kept.is_some() { OnceLock::new() } else { self.open.clone() };
        Self { open, kept: self.kept.clone() }
    }
}

impl<T: Default + Serialize + DeserializeOwned + fmt::Debug> fmt::Debug for Packed<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

impl<T: Default + Serialize + DeserializeOwned + PartialEq> PartialEq for Packed<T> {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

/// Written as what it holds.
impl<T: Default + Serialize + DeserializeOwned> Serialize for Packed<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.open.get() {
            Some(open) => open.serialize(serializer),
            None => self.unpack().serialize(serializer),
        }
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Packed<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        T::deserialize(deserializer).map(Self::from)
    }
}

/// A map whose keys are no texts: written as a list of pairs where people read it, as JSON has no such maps.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Pairs<M>(M);

impl<M> Deref for Pairs<M> {
    type Target = M;
    fn deref(&self) -> &M {
        &self.0
    }
}

impl<M> DerefMut for Pairs<M> {
    fn deref_mut(&mut self) -> &mut M {
        &mut self.0
    }
}

impl<M> Serialize for Pairs<M>
where
    for<'a> &'a M: Entries,
{
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let entries = (&self.0).entries();
        if serializer.is_human_readable() { serializer.collect_seq(entries) } else { serializer.collect_map(entries) }
    }
}

/// What [`Pairs`] holds: the entries of a map.
pub(crate) trait Entries {
    fn entries(self) -> impl ExactSizeIterator<Item = (impl Serialize, impl Serialize)>;
}

impl<K: Serialize, V: Serialize> Entries for &SortedMap<K, V> {
    fn entries(self) -> impl ExactSizeIterator<Item = (impl Serialize, impl Serialize)> {
        self.iter()
    }
}

impl<K: Serialize, V: Serialize> Entries for &BTreeMap<K, V> {
    fn entries(self) -> impl ExactSizeIterator<Item = (impl Serialize, impl Serialize)> {
        self.iter()
    }
}

impl<
    'de,
    K: Deserialize<'de>,
    V: Deserialize<'de>,
    M: Deserialize<'de> + FromIterator<(K, V)> + IntoIterator<Item = (K, V)>,
> Deserialize<'de> for Pairs<M>
{
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            Ok(Self(Vec::<(K, V)>::deserialize(deserializer)?.into_iter().collect()))
        } else {
            M::deserialize(deserializer).map(Self)
        }
    }
}

/// Fields that hold a text which many servers have in common, packed as its number: `#[serde(with = "crate::packed::shared")]`. Keys of maps are such texts anyway.
pub(crate) mod shared {
    use super::SHARED;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(crate) fn serialize<T: Serialize, S: Serializer>(text: &T, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_newtype_struct(SHARED, text)
    }

    pub(crate) fn deserialize<'de, T: Deserialize<'de>, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error> {
        T::deserialize(deserializer)
    }
}

/// The same for a text that is shared in memory, too.
pub(crate) mod shared_arc {
    use serde::de::Visitor;
    use serde::{Deserializer, Serializer};
    use std::fmt;
    use std::sync::Arc;

    #[derive(serde::Serialize)]
    struct Text<'a>(&'a str);

    pub(crate) fn serialize<S: Serializer>(text: &Arc<str>, serializer: S) -> Result<S::Ok, S::Error> {
        super::shared::serialize(&Text(text), serializer)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Arc<str>, D::Error> {
        struct Shared;
        impl Visitor<'_> for Shared {
            type Value = Arc<str>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text")
            }
            fn visit_str<E>(self, text: &str) -> Result<Arc<str>, E> {
                Ok(text.into())
            }
        }
        deserializer.deserialize_str(Shared)
    }
}

#[cfg(test)]
mod tests;
