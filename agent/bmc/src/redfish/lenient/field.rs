//! What a field holds, with the ways of holding nothing kept apart.

use super::{Number, as_number, as_text, as_time, as_truth, says_none};
use outband_schemas::Timestamp;
use serde_json::Value;
use std::fmt;

/// What a field holds. That it is not there, that it is there without a value now, and that it holds something that is none are three different things.
#[derive(Debug, Clone, PartialEq)]
pub enum Field<T> {
    /// The resource has no such field.
    Absent,
    /// The field is there and says that there is no value: `null`, blank, `"N/A"`.
    Null,
    /// The field holds something else than it should.
    Bad(Bad),
    /// The value.
    Value(T),
}

/// What stood where a value belongs, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bad {
    /// The field, or a JSON pointer without its leading slash, relative to the resource.
    pub field: String,
    /// What it holds: `an object`, `the text "abc"`.
    pub holds: String,
}

impl Bad {
    /// Notes what `value` is.
    pub fn new(field: &str, value: &Value) -> Self {
        Self { field: field.replace('~', "~0").replace('/', "~1"), holds: what(value) }
    }

    /// Where it stands, in a resource at `uri`.
    pub fn pointer(&self, uri: &str) -> String {
        match uri.split_once('#') {
            Some(_) => format!("{}/{}", uri.trim_end_matches('/'), self.field),
            None => format!("{uri}#/{}", self.field),
        }
    }
}

impl fmt::Display for Bad {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} holds {}", self.field, self.holds)
    }
}

fn what(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(b) => b.to_string(),
        Value::Number(n) => format!("the number {}", super::clip(&n.to_string(), 30)),
        Value::String(s) => format!("the text {:?}", super::clip(s, 40)),
        Value::Array(_) => "an array".to_owned(),
        Value::Object(_) => "an object".to_owned(),
    }
}

impl<T> Field<T> {
    /// The value, if there is one.
    pub fn ok(self) -> Option<T> {
        match self {
            Self::Value(value) => Some(value),
            Self::Absent | Self::Null | Self::Bad(_) => None,
        }
    }

    /// Whether there is a value.
    pub fn is_value(&self) -> bool {
        matches!(self, Self::Value(_))
    }

    /// Whether something was lost: the field is there and holds no such value.
    pub fn bad(&self) -> Option<&Bad> {
        match self {
            Self::Bad(bad) => Some(bad),
            Self::Absent | Self::Null | Self::Value(_) => None,
        }
    }

    /// Whether there is something to tell: a value, or that one was lost.
    pub fn is_telling(&self) -> bool {
        matches!(self, Self::Value(_) | Self::Bad(_))
    }

    /// The field by reference.
    pub fn as_ref(&self) -> Field<&T> {
        match self {
            Self::Absent => Field::Absent,
            Self::Null => Field::Null,
            Self::Bad(bad) => Field::Bad(bad.clone()),
            Self::Value(value) => Field::Value(value),
        }
    }

    /// With its value changed.
    pub fn map<U>(self, f: impl FnOnce(T) -> U) -> Field<U> {
        match self {
            Self::Absent => Field::Absent,
            Self::Null => Field::Null,
            Self::Bad(bad) => Field::Bad(bad),
            Self::Value(value) => Field::Value(f(value)),
        }
    }

    /// This field if it has a value, else the other if that says more: a value, then something bad, then null.
    pub fn or_else(self, other: impl FnOnce() -> Self) -> Self {
        if self.is_value() {
            return self;
        }
        match (self, other()) {
            (_, value @ Self::Value(_)) => value,
            (bad @ Self::Bad(_), _) | (_, bad @ Self::Bad(_)) => bad,
            (Self::Null, _) | (_, Self::Null) => Self::Null,
            _ => Self::Absent,
        }
    }

    /// As a field of the object `holder`.
    pub fn below(self, holder: &str) -> Self {
        match self {
            Self::Bad(bad) => Self::Bad(Bad { field: format!("{holder}/{}", bad.field), ..bad }),
            other => other,
        }
    }
}

impl<T> From<Option<T>> for Field<T> {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Self::Value)
    }
}

fn field<T>(resource: &Value, name: &str, read: impl FnOnce(&Value) -> Option<T>) -> Field<T> {
    match resource.get(name) {
        None => Field::Absent,
        Some(Value::Null) => Field::Null,
        Some(value) => match read(value) {
            Some(found) => Field::Value(found),
            None if says_none(value) => Field::Null,
            None => Field::Bad(Bad::new(name, value)),
        },
    }
}

/// A number: `46`, `"46"`, `"46 degrees C"`.
pub fn number_field(resource: &Value, name: &str) -> Field<Number> {
    field(resource, name, as_number)
}

/// The first of several fields that has a number, or else the one that says most of why there is none.
pub fn first_number(resource: &Value, names: &[&str]) -> Field<Number> {
    names.iter().fold(Field::Absent, |found, name| found.or_else(|| number_field(resource, name)))
}

/// A number in an object within the resource, as sensor excerpts are: `{"InputVoltage": {"Reading": 230}}`. The object's own place may hold the bare
/// number too.
pub fn excerpt_field(resource: &Value, name: &str) -> Field<Number> {
    match resource.get(name) {
        Some(inner @ Value::Object(_)) => number_field(inner, "Reading").below(name),
        _ => number_field(resource, name),
    }
}

/// A text; numbers and booleans are written out.
pub fn text_field(resource: &Value, name: &str) -> Field<String> {
    field(resource, name, as_text)
}

/// A truth: `true`, `"Yes"`, `1`.
pub fn truth_field(resource: &Value, name: &str) -> Field<bool> {
    field(resource, name, as_truth)
}

/// A time.
pub fn time_field(resource: &Value, name: &str) -> Field<Timestamp> {
    field(resource, name, as_time)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn absent_null_and_bad_are_told_apart() {
        let r = json!({"null": null, "none": "N/A", "blank": " ", "bad": {"x": 1}, "word": "hot", "good": 4});
        assert_eq!(number_field(&r, "other"), Field::Absent);
        for none in ["null", "none", "blank"] {
            assert_eq!(number_field(&r, none), Field::Null, "{none}");
        }
        assert_eq!(number_field(&r, "bad").bad().unwrap().to_string(), "bad holds an object");
        assert_eq!(number_field(&r, "word").bad().unwrap().to_string(), "word holds the text \"hot\"");
        assert_eq!(number_field(&r, "good").ok().unwrap().value, 4.0);
    }

    #[test]
    fn what_was_lost_is_named_by_its_pointer() {
        let r = json!({"Reading": [], "Speed": {"Reading": true}});
        let lost = |f: Field<Number>, uri: &str| f.bad().unwrap().pointer(uri);
        assert_eq!(lost(number_field(&r, "Reading"), "/c/Thermal#/Fans/0"), "/c/Thermal#/Fans/0/Reading");
        assert_eq!(lost(excerpt_field(&r, "Speed"), "/c/Fans/1"), "/c/Fans/1#/Speed/Reading");
    }

    #[test]
    fn of_several_fields_the_one_with_a_value_counts_and_else_the_one_that_lost_it() {
        let names = ["a", "b", "c"];
        assert_eq!(first_number(&json!({"a": [], "b": null, "c": 3}), &names).ok().unwrap().value, 3.0);
        assert_eq!(first_number(&json!({"a": null, "b": [], "c": null}), &names).bad().unwrap().field, "b");
        assert_eq!(first_number(&json!({"b": null}), &names), Field::Null);
        assert_eq!(first_number(&json!({}), &names), Field::Absent);
    }
}
