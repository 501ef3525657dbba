//! From text to [`File`], with every problem of shape found at once: each wrong value is noted, taken out, and the rest read again.

use super::file::File;
use super::problem::{Problems, Step};
use serde_path_to_error::Segment;
use toml::{Table, Value};

/// Reads as much of `text` as has the right shape. What has not is noted in `problems` and left out.
/// `None` where the text is no TOML: what stands in it is then anybody's guess.
pub(super) fn parse(text: &str, problems: &mut Problems) -> Option<File> {
    let mut table: Table = match toml::from_str(text) {
        Ok(table) => table,
        Err(_) => {
            let (_, errors) = toml::de::DeTable::parse_recoverable(text);
            for error in errors {
                problems.add_at_byte(error.span().map_or(0, |s| s.start), error.message());
            }
            return None;
        }
    };
    loop {
        let error = match serde_path_to_error::deserialize::<_, File>(table.clone()) {
            Ok(file) => return Some(file),
            Err(error) => error,
        };
        let steps: Vec<Step> = error.path().iter().filter_map(step).collect();
        let mut root = Value::Table(table);
        let removed = remove(&mut root, &steps);
        problems.add(&steps, error.inner().message().trim());
        table = match root {
            Value::Table(table) if removed => table,
            // Nothing left that could be taken out: what is noted must do.
            _ => return Some(File::default()),
        };
    }
}

fn step(segment: &Segment) -> Option<Step> {
    match segment {
        Segment::Seq { index } => Some(Step::Index(*index)),
        Segment::Map { key } | Segment::Enum { variant: key } => Some(Step::Key(key.clone())),
        Segment::Unknown => None,
    }
}

/// Takes the value at `steps` out. An element of an array is emptied instead, so that the others keep their places.
fn remove(value: &mut Value, steps: &[Step]) -> bool {
    match (value, steps) {
        (Value::Table(table), [Step::Key(key)]) => table.remove(key).is_some(),
        (Value::Array(array), [Step::Index(index)]) => array.get_mut(*index).is_some_and(|element| {
            // Whether the list is of tables or of texts is not known here: the empty table is tried, then the empty text.
            *element = match element {
                Value::Table(t) if t.is_empty() => Value::String(String::new()),
                Value::String(t) if t.is_empty() => return false,
                _ => Value::Table(Table::new()),
            };
            true
        }),
        (Value::Table(table), [Step::Key(key), rest @ ..]) => table.get_mut(key).is_some_and(|v| remove(v, rest)),
        (Value::Array(array), [Step::Index(index), rest @ ..]) => {
            array.get_mut(*index).is_some_and(|v| remove(v, rest))
        }
        _ => false,
    }
}
