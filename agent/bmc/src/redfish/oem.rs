//! What makers put below `Oem`: one object a maker, whose name is of no matter here.

use super::lenient::{Field, Number, first_number};
use serde_json::Value;

/// The makers' objects below a resource's `Oem`, with their names.
pub(super) fn vendors(resource: &Value) -> impl Iterator<Item = (&str, &Value)> {
    let oem = resource.get("Oem").and_then(Value::as_object);
    oem.into_iter().flatten().filter(|(_, v)| v.is_object()).map(|(name, v)| (name.as_str(), v))
}

/// The first of several fields that any maker's object gives as a number, or else why there is none.
pub(super) fn oem_number(resource: &Value, names: &[&str]) -> Field<Number> {
    vendors(resource).fold(Field::Absent, |found, (vendor, body)| {
        found.or_else(|| first_number(body, names).below(&format!("Oem/{vendor}")))
    })
}

/// The first of several fields that any maker's object gives as text.
pub(super) fn oem_text(resource: &Value, names: &[&str]) -> Option<String> {
    vendors(resource).find_map(|(_, body)| super::report::name(body, names))
}
