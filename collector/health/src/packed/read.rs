//! Unpacking: what [`super::write`] tells of, back to front.

use super::Error;
use super::write::{RAW, SCALES};
use crate::Names;
use crate::names::Table;
use serde::de::{self, DeserializeSeed, IntoDeserializer, Visitor};
use std::sync::RwLockReadGuard;

/// Unpacks a value.
pub(super) fn unpack<T: de::DeserializeOwned>(bytes: &[u8], names: &Names) -> Result<T, Error> {
    let mut reader = Reader { rest: bytes, names: names.table(), long: 0, short: 0, number: 0 };
    let value = T::deserialize(&mut reader)?;
    if reader.rest.is_empty() { Ok(value) } else { Err(Error(format!("{} bytes too many", reader.rest.len()))) }
}

struct Reader<'a> {
    rest: &'a [u8],
    names: RwLockReadGuard<'a, Table>,
    long: i64,
    short: i32,
    number: i64,
}

fn unzigzag(n: u64) -> i64 {
    (n >> 1).cast_signed() ^ -(n & 1).cast_signed()
}

fn short() -> Error {
    Error("bytes are missing".to_owned())
}

fn not_had(what: &str) -> Error {
    Error(format!("{what} is not in the format"))
}

impl<'a> Reader<'a> {
    fn byte(&mut self) -> Result<u8, Error> {
        let (first, rest) = self.rest.split_first().ok_or_else(short)?;
        self.rest = rest;
        Ok(*first)
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], Error> {
        let (taken, rest) = self.rest.split_at_checked(length).ok_or_else(short)?;
        self.rest = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Error> {
        let (taken, rest) = self.rest.split_first_chunk().ok_or_else(short)?;
        self.rest = rest;
        Ok(*taken)
    }

    fn varint(&mut self) -> Result<u64, Error> {
        let mut n = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            n |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(n);
            }
        }
        Err(Error("a number of more than 64 bits".to_owned()))
    }

    fn length(&mut self) -> Result<usize, Error> {
        usize::try_from(self.varint()?).map_err(|_| short())
    }

    fn narrow<T: TryFrom<u64>>(&mut self) -> Result<T, Error> {
        T::try_from(self.varint()?).map_err(|_| Error("a number is too large".to_owned()))
    }

    /// A number in ones, tenths or thousandths; `None`: its bits follow.
    fn decimal(&mut self) -> Result<Option<f64>, Error> {
        let told = self.varint()?;
        let scale = SCALES.get(usize::try_from(told & RAW).map_err(|_| short())?);
        Ok(scale.map(|by| {
            self.number = self.number.wrapping_add(unzigzag(told >> 2));
            self.number as f64 / by
        }))
    }

    /// A text, handed to `visit` where it is.
    fn text<T>(&mut self, visit: impl FnOnce(&str) -> Result<T, Error>) -> Result<T, Error> {
        if let Some(number) = self.varint()?.checked_sub(1) {
            return visit(self.names.name(number).ok_or_else(|| Error("a name that is not known".to_owned()))?);
        }
        let length = self.length()?;
        visit(std::str::from_utf8(self.take(length)?).map_err(|e| Error(e.to_string()))?)
    }
}

macro_rules! numbers {
    ($($verb:ident => $visit:ident($read:expr)),* $(,)?) => {$(
        fn $verb<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
            let read: fn(&mut Reader<'de>) -> Result<_, Error> = $read;
            visitor.$visit(read(self)?)
        }
    )*};
}

impl<'de> de::Deserializer<'de> for &mut Reader<'de> {
    type Error = Error;

    fn is_human_readable(&self) -> bool {
        false
    }

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Error> {
        Err(not_had("a value of a type that it tells itself"))
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Error> {
        Err(not_had("a value that nobody wants"))
    }

    numbers! {
        deserialize_bool => visit_bool(|r| Ok(r.byte()? != 0)),
        deserialize_i8 => visit_i32(Reader::short),
        deserialize_i16 => visit_i32(Reader::short),
        deserialize_i32 => visit_i32(Reader::short),
        deserialize_i64 => visit_i64(|r| {
            r.long = r.long.wrapping_add(unzigzag(r.varint()?));
            Ok(r.long)
        }),
        deserialize_u8 => visit_u8(Reader::narrow),
        deserialize_u16 => visit_u16(Reader::narrow),
        deserialize_u32 => visit_u32(Reader::narrow),
        deserialize_u64 => visit_u64(Reader::varint),
        deserialize_f32 => visit_f32(|r| match r.decimal()? {
            Some(n) => Ok(n as f32),
            None => Ok(f32::from_le_bytes(r.array()?)),
        }),
        deserialize_f64 => visit_f64(|r| match r.decimal()? {
            Some(n) => Ok(n),
            None => Ok(f64::from_le_bytes(r.array()?)),
        }),
    }

    fn deserialize_char<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_char(char::from_u32(self.narrow()?).ok_or_else(|| not_had("half a character"))?)
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.text(|text| visitor.visit_str(text))
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.text(|text| visitor.visit_str(text))
    }

    fn deserialize_bytes<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        let length = self.length()?;
        visitor.visit_borrowed_bytes(self.take(length)?)
    }

    fn deserialize_byte_buf<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_bytes(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        if self.byte()? == 0 { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_unit()
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_unit()
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        let left = self.length()?;
        visitor.visit_seq(More(self, left))
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, left: usize, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_seq(More(self, left))
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        left: usize,
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_seq(More(self, left))
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        let left = self.length()?;
        visitor.visit_map(More(self, left))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_seq(More(self, fields.len()))
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_enum(self)
    }

    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_u32(self.narrow()?)
    }
}

impl Reader<'_> {
    fn short(&mut self) -> Result<i32, Error> {
        self.short = self.short.wrapping_add(unzigzag(self.varint()?) as i32);
        Ok(self.short)
    }
}

/// So many values more.
struct More<'r, 'de>(&'r mut Reader<'de>, usize);

impl<'de> de::SeqAccess<'de> for More<'_, 'de> {
    type Error = Error;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Error> {
        let Some(left) = self.1.checked_sub(1) else { return Ok(None) };
        self.1 = left;
        seed.deserialize(&mut *self.0).map(Some)
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.1)
    }
}

impl<'de> de::MapAccess<'de> for More<'_, 'de> {
    type Error = Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Error> {
        let Some(left) = self.1.checked_sub(1) else { return Ok(None) };
        self.1 = left;
        seed.deserialize(&mut *self.0).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Error> {
        seed.deserialize(&mut *self.0)
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.1)
    }
}

impl<'de> de::EnumAccess<'de> for &mut Reader<'de> {
    type Error = Error;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Self), Error> {
        let index: u32 = self.narrow()?;
        let variant = seed.deserialize(IntoDeserializer::<Error>::into_deserializer(index))?;
        Ok((variant, self))
    }
}

impl<'de> de::VariantAccess<'de> for &mut Reader<'de> {
    type Error = Error;

    fn unit_variant(self) -> Result<(), Error> {
        Ok(())
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Error> {
        seed.deserialize(self)
    }

    fn tuple_variant<V: Visitor<'de>>(self, left: usize, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_seq(More(self, left))
    }

    fn struct_variant<V: Visitor<'de>>(self, fields: &'static [&'static str], visitor: V) -> Result<V::Value, Error> {
        visitor.visit_seq(More(self, fields.len()))
    }
}
