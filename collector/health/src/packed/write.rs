//! Packing.
//!
//! | what | bytes |
//! |---|---|
//! | unsigned numbers, lengths, variants | LEB128 |
//! | signed numbers | LEB128 of the zigzag of the distance to the one before of the same width |
//! | floating-point numbers | LEB128 of the zigzag of the distance to the one before, in ones, tenths or thousandths, with two bits that tell which; where it is none of these, 3 and its bits |
//! | texts | their number in the table, counted from 1; those that are not in it 0, length and bytes. In it are put keys of maps, and what is marked as shared |
//! | options, and what a struct leaves out | 0, or 1 and the value: what is empty is 0 anyway |
//! | structs, tuples | their fields |

use super::{Error, SHARED};
use crate::Names;
use crate::names::Table;
use serde::{Serialize, ser};
use std::cell::Cell;
use std::fmt::{self, Write};
use std::sync::RwLockReadGuard;

pub(super) const SCALES: [f64; 3] = [1.0, 10.0, 1000.0];
pub(super) const RAW: u64 = 3;
/// Sums of distances stay far below what a number of 64 bits holds.
const LARGEST: f64 = (1_u64 << 45) as f64;

thread_local! {
    /// Room to pack in, kept from one value to the next.
    static ROOM: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// Packs a value.
pub(super) fn pack<T: Serialize>(value: &T, names: &Names) -> Result<Box<[u8]>, Error> {
    let mut writer = Writer {
        out: ROOM.take(),
        text: String::new(),
        names,
        table: Some(names.table()),
        shared: false,
        key: false,
        long: 0,
        short: 0,
        number: 0,
    };
    writer.out.clear();
    let done = value.serialize(&mut writer);
    let bytes = writer.out.as_slice().into();
    ROOM.set(writer.out);
    done.map(|()| bytes)
}

struct Writer<'a> {
    out: Vec<u8>,
    /// Room for a text that is put together.
    text: String,
    names: &'a Names,
    /// The same, held as long as no name is put in it.
    table: Option<RwLockReadGuard<'a, Table>>,
    /// The next text is one in common.
    shared: bool,
    /// This is a map's key: its texts are.
    key: bool,
    long: i64,
    short: i32,
    number: i64,
}

pub(super) fn zigzag(n: i64) -> u64 {
    ((n << 1) ^ (n >> 63)).cast_unsigned()
}

impl Writer<'_> {
    fn varint(&mut self, mut n: u64) {
        while n >= 0x80 {
            self.out.push(n as u8 | 0x80);
            n >>= 7;
        }
        self.out.push(n as u8);
    }

    fn put(&mut self, name: &str) -> Option<u32> {
        self.table = None;
        let number = self.names.put(name);
        self.table = Some(self.names.table());
        number
    }

    fn length(&mut self, length: Option<usize>) -> Result<(), Error> {
        let length = length.ok_or_else(|| Error("a list that does not know its length".to_owned()))?;
        self.varint(length as u64);
        Ok(())
    }

    /// A number in ones, tenths or thousandths, where it is one to the bit.
    fn decimal(&mut self, value: f64, is_it: impl Fn(f64) -> bool) -> bool {
        for (scale, by) in (0..).zip(SCALES) {
            let n = (value * by).round();
            if n.is_nan() || n.abs() >= LARGEST {
                break;
            }
            let n = n as i64;
            if is_it(n as f64 / by) {
                self.varint(zigzag(n - self.number) << 2 | scale);
                self.number = n;
                return true;
            }
        }
        self.varint(RAW);
        false
    }
}

impl ser::Serializer for &mut Writer<'_> {
    type Ok = ();
    type Error = Error;
    type SerializeSeq = Self;
    type SerializeTuple = Self;
    type SerializeTupleStruct = Self;
    type SerializeTupleVariant = Self;
    type SerializeMap = Self;
    type SerializeStruct = Self;
    type SerializeStructVariant = Self;

    fn is_human_readable(&self) -> bool {
        false
    }

    fn serialize_bool(self, v: bool) -> Result<(), Error> {
        self.out.push(u8::from(v));
        Ok(())
    }

    fn serialize_i8(self, v: i8) -> Result<(), Error> {
        self.serialize_i32(v.into())
    }

    fn serialize_i16(self, v: i16) -> Result<(), Error> {
        self.serialize_i32(v.into())
    }

    fn serialize_i32(self, v: i32) -> Result<(), Error> {
        self.varint(zigzag(i64::from(v.wrapping_sub(self.short))));
        self.short = v;
        Ok(())
    }

    fn serialize_i64(self, v: i64) -> Result<(), Error> {
        self.varint(zigzag(v.wrapping_sub(self.long)));
        self.long = v;
        Ok(())
    }

    fn serialize_u8(self, v: u8) -> Result<(), Error> {
        self.serialize_u64(v.into())
    }

    fn serialize_u16(self, v: u16) -> Result<(), Error> {
        self.serialize_u64(v.into())
    }

    fn serialize_u32(self, v: u32) -> Result<(), Error> {
        self.serialize_u64(v.into())
    }

    fn serialize_u64(self, v: u64) -> Result<(), Error> {
        self.varint(v);
        Ok(())
    }

    fn serialize_f32(self, v: f32) -> Result<(), Error> {
        if !self.decimal(v.into(), |n| (n as f32).to_bits() == v.to_bits()) {
            self.out.extend_from_slice(&v.to_le_bytes());
        }
        Ok(())
    }

    fn serialize_f64(self, v: f64) -> Result<(), Error> {
        if !self.decimal(v, |n| n.to_bits() == v.to_bits()) {
            self.out.extend_from_slice(&v.to_le_bytes());
        }
        Ok(())
    }

    fn serialize_char(self, v: char) -> Result<(), Error> {
        self.serialize_u32(v.into())
    }

    fn serialize_str(self, v: &str) -> Result<(), Error> {
        let is_shared = std::mem::take(&mut self.shared) || self.key;
        let known = self.table.as_ref().and_then(|table| table.known(v));
        let number = if known.is_none() && is_shared { self.put(v) } else { known };
        match number {
            Some(number) => {
                self.varint(u64::from(number) + 1);
                return Ok(());
            }
            None => self.varint(0),
        }
        self.serialize_bytes(v.as_bytes())
    }

    fn collect_str<T: fmt::Display + ?Sized>(self, value: &T) -> Result<(), Error> {
        let mut text = std::mem::take(&mut self.text);
        text.clear();
        let done = write!(text, "{value}").map_err(|e| Error(e.to_string())).and_then(|()| self.serialize_str(&text));
        self.text = text;
        done
    }

    fn serialize_bytes(self, v: &[u8]) -> Result<(), Error> {
        self.varint(v.len() as u64);
        self.out.extend_from_slice(v);
        Ok(())
    }

    fn serialize_none(self) -> Result<(), Error> {
        self.out.push(0);
        Ok(())
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), Error> {
        self.out.push(1);
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result<(), Error> {
        Ok(())
    }

    fn serialize_unit_struct(self, _: &'static str) -> Result<(), Error> {
        Ok(())
    }

    fn serialize_unit_variant(self, _: &'static str, index: u32, _: &'static str) -> Result<(), Error> {
        self.serialize_u32(index)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, name: &'static str, value: &T) -> Result<(), Error> {
        self.shared |= name == SHARED;
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        index: u32,
        _: &'static str,
        value: &T,
    ) -> Result<(), Error> {
        self.varint(index.into());
        value.serialize(self)
    }

    fn serialize_seq(self, length: Option<usize>) -> Result<Self, Error> {
        self.length(length)?;
        Ok(self)
    }

    fn serialize_tuple(self, _: usize) -> Result<Self, Error> {
        Ok(self)
    }

    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<Self, Error> {
        Ok(self)
    }

    fn serialize_tuple_variant(self, _: &'static str, index: u32, _: &'static str, _: usize) -> Result<Self, Error> {
        self.varint(index.into());
        Ok(self)
    }

    fn serialize_map(self, length: Option<usize>) -> Result<Self, Error> {
        self.length(length)?;
        Ok(self)
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Self, Error> {
        Ok(self)
    }

    fn serialize_struct_variant(self, _: &'static str, index: u32, _: &'static str, _: usize) -> Result<Self, Error> {
        self.varint(index.into());
        Ok(self)
    }
}

/// Lists, tuples, structs: one after another.
macro_rules! one_after_another {
    ($($kind:ident::$verb:ident($($name:ty)?)),*) => {$(
        impl ser::$kind for &mut Writer<'_> {
            type Ok = ();
            type Error = Error;

            fn $verb<T: Serialize + ?Sized>(&mut self, $(_: $name,)? value: &T) -> Result<(), Error> {
                value.serialize(&mut **self)
            }

            fn end(self) -> Result<(), Error> {
                Ok(())
            }

            one_after_another!(@skip $($name)?);
        }
    )*};
    (@skip $name:ty) => {
        fn skip_field(&mut self, _: &'static str) -> Result<(), Error> {
            self.out.push(0);
            Ok(())
        }
    };
    (@skip) => {};
}

one_after_another!(
    SerializeSeq::serialize_element(),
    SerializeTuple::serialize_element(),
    SerializeTupleStruct::serialize_field(),
    SerializeTupleVariant::serialize_field(),
    SerializeStruct::serialize_field(&'static str),
    SerializeStructVariant::serialize_field(&'static str)
);

impl ser::SerializeMap for &mut Writer<'_> {
    type Ok = ();
    type Error = Error;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), Error> {
        let outer = std::mem::replace(&mut self.key, true);
        let done = key.serialize(&mut **self);
        self.key = outer;
        done
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        value.serialize(&mut **self)
    }

    fn end(self) -> Result<(), Error> {
        Ok(())
    }
}
