//! Reads TOML into a config and finds every problem in it at once, rather than one a run.

use serde::de::DeserializeOwned;
use std::fmt;
use toml::{Table, Value};

/// One thing that is wrong with a config.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Where, e.g. `listen.agents`; empty for the file as a whole.
    pub at: String,
    /// What is wrong, and what would be right.
    pub what: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.at.as_str() {
            "" => f.write_str(&self.what),
            at => write!(f, "{at}: {}", self.what),
        }
    }
}

/// Reads `text` into `T`, every field of which must have a default. What cannot be read is reported, taken out, and the rest
/// is read again, so that all problems are found.
pub(super) fn tolerant<T: DeserializeOwned>(text: &str) -> (Option<T>, Vec<Problem>) {
    let mut table = match text.parse::<Table>() {
        Ok(table) => table,
        Err(e) => return (None, vec![Problem { at: String::new(), what: e.to_string().trim_end().to_owned() }]),
    };
    let mut problems = Vec::new();
    loop {
        let error = match serde_path_to_error::deserialize::<_, T>(Value::Table(table.clone())) {
            Ok(value) => return (Some(value), problems),
            Err(error) => error,
        };
        let path: Vec<String> = error.path().iter().map(ToString::to_string).collect();
        let what = error.inner().to_string().lines().next().unwrap_or_default().trim_end().to_owned();
        problems.push(Problem { at: error.path().to_string(), what });
        if !remove(&mut table, &path) {
            return (None, problems);
        }
    }
}

/// Takes out the value at the path, or the nearest one above it that is a table's.
fn remove(table: &mut Table, path: &[String]) -> bool {
    let Some((first, rest)) = path.split_first() else { return false };
    if let Some(Value::Table(inner)) = table.get_mut(first)
        && remove(inner, rest)
    {
        return true;
    }
    table.remove(first).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Debug, Default, PartialEq, Deserialize)]
    #[serde(default, deny_unknown_fields)]
    struct Inner {
        number: u16,
        list: Vec<u16>,
    }

    #[derive(Debug, Default, PartialEq, Deserialize)]
    #[serde(default, deny_unknown_fields)]
    struct Outer {
        a: Inner,
        b: Inner,
    }

    fn problems(text: &str) -> Vec<String> {
        tolerant::<Outer>(text).1.iter().map(|p| p.at.clone()).collect()
    }

    #[test]
    fn every_unknown_field_and_every_bad_value_is_found_in_one_run() {
        let mut found =
            problems("x = 1\n[a]\nnumber = 'one'\nnumbre = 1\n[b]\nlist = [1, 'two']\nnumber = 70000\n[c]\n");
        found.sort();
        assert_eq!(found, ["a.number", "a.numbre", "b.list[1]", "b.number", "c", "x"]);
    }

    #[test]
    fn what_is_right_is_read_in_spite_of_what_is_wrong() {
        let (value, _) = tolerant::<Outer>("[a]\nnumber = 7\nwhat = 1");
        assert_eq!(value.map(|v| v.a.number), Some(7));
    }

    #[test]
    fn a_file_that_is_no_toml_is_one_problem_with_its_line() {
        let (value, problems) = tolerant::<Outer>("[a\n");
        assert!(value.is_none());
        assert!(problems.len() == 1 && problems[0].what.contains("line 1"), "{problems:?}");
    }
}
