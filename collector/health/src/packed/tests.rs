//! What is unpacked is what was packed.

use super::*;
use crate::SortedMap;
use proptest::prelude::*;
use std::collections::BTreeMap;

/// A bit of everything that types are made of.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct Mixed {
    wide: i64,
    narrow: Vec<i32>,
    counts: (u8, u16, u32, u64),
    floats: Vec<(f32, f64)>,
    yes: bool,
    one: char,
    text: String,
    #[serde(with = "shared")]
    name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    left_out: Option<i64>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    none: BTreeMap<String, u8>,
    kinds: Vec<Kind>,
    map: SortedMap<String, Option<Kind>>,
    inner: Packed<Inner>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
enum Kind {
    Bare,
    One(i64),
    Two(f64, String),
    Named { at: i64, of: Option<Box<Kind>> },
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct Inner {
    levels: BTreeMap<i32, (f32, f32)>,
}

fn kind() -> impl Strategy<Value = Kind> {
    let leaf = prop_oneof![
        Just(Kind::Bare),
        any::<i64>().prop_map(Kind::One),
        (float(), ".{0,8}").prop_map(|(n, text)| Kind::Two(n, text)),
    ];
    leaf.prop_recursive(3, 8, 1, |inner| {
        (any::<i64>(), proptest::option::of(inner)).prop_map(|(at, of)| Kind::Named { at, of: of.map(Box::new) })
    })
}

/// Floating-point numbers as sensors tell them, and as they do not.
fn float() -> impl Strategy<Value = f64> {
    prop_oneof![
        (-20_000_i32..20_000).prop_map(f64::from),
        (-20_000_i32..20_000).prop_map(|n| f64::from(n) / 100.0),
        any::<f64>().prop_filter("equal to itself", |n| !n.is_nan()),
        Just(-0.0),
    ]
}

prop_compose! {
    fn mixed()(
        (wide, narrow, counts) in (any::<i64>(), proptest::collection::vec(any::<i32>(), 0..5), any::<(u8, u16, u32, u64)>()),
        floats in proptest::collection::vec((float().prop_map(|n| n as f32), float()), 0..6),
        (yes, one, text, name) in (any::<bool>(), any::<char>(), ".{0,9}", "[ab]{0,2}"),
        left_out in any::<Option<i64>>(),
        none in proptest::collection::btree_map("[ab]{0,2}", any::<u8>(), 0..3),
        kinds in proptest::collection::vec(kind(), 0..4),
        map in proptest::collection::btree_map("[a-c]{0,2}", proptest::option::of(kind()), 0..6),
        levels in proptest::collection::btree_map(any::<i32>(), (float().prop_map(|n| n as f32), Just(0.5_f32)), 0..4),
    ) -> Mixed {
        let (map, inner) = (map.into_iter().collect(), Packed::from(Inner { levels }));
        Mixed { wide, narrow, counts, floats, yes, one, text, name, left_out, none, kinds, map, inner }
    }
}

fn bits(value: &Mixed) -> Vec<(u32, u64)> {
    value.floats.iter().map(|(a, b)| (a.to_bits(), b.to_bits())).collect()
}

proptest! {
    #[test]
    fn what_is_unpacked_is_to_the_bit_what_was_packed(value in mixed(), other in mixed()) {
        let names = Names::default();
        let (mut first, mut second) = (Packed::from(value.clone()), Packed::from(other.clone()));
        first.rest(&names);
        second.rest(&names);
        prop_assert!(first.packed_len() > 0);
        prop_assert_eq!(bits(&first), bits(&value));
        prop_assert_eq!(&*first, &value);
        prop_assert_eq!(&*second, &other);
        // Looked at, and changed in between.
        first.rest(&names);
        first.wide = first.wide.wrapping_add(1);
        first.rest(&names);
        prop_assert_eq!(first.wide, value.wide.wrapping_add(1));
        prop_assert_eq!(&first.clone(), &first);
    }

    #[test]
    fn it_is_written_and_read_as_what_it_holds(value in mixed()) {
        // JSON has no infinity.
        prop_assume!(value.floats.iter().all(|(a, b)| a.is_finite() && b.is_finite()));
        let mut packed = Packed::from(value.clone());
        packed.rest(&Names::default());
        let text = serde_json::to_string(&packed).unwrap();
        prop_assert_eq!(&text, &serde_json::to_string(&value).unwrap());
    }
}

#[test]
fn what_is_not_there_yet_is_the_default_and_takes_no_room() {
    let mut packed: Packed<Mixed> = Packed::default();
    packed.rest(&Names::default());
    assert_eq!(packed.packed_len(), 0);
    assert_eq!(*packed, Mixed::default());
}

#[test]
fn bytes_that_are_cut_off_are_an_error_and_not_a_value() {
    let names = Names::default();
    let bytes = write::pack(&vec![("a".to_owned(), 1.5_f64), ("b".to_owned(), 3.3)], &names).unwrap();
    for cut in 0..bytes.len() {
        assert!(read::unpack::<Vec<(String, f64)>>(&bytes[..cut], &names).is_err(), "{cut}");
    }
}

#[test]
fn values_that_change_little_take_a_byte_or_two_each() {
    let names = Names::default();
    let samples: Vec<(i64, f64)> = (0..16).map(|n| (1_800_000_000_000 + n * 60_000, 34.0 + (n % 2) as f64)).collect();
    let bytes = write::pack(&samples, &names).unwrap();
    assert!(bytes.len() <= 16 * 5 + 5, "{}", bytes.len());
}
