//! Parts that fit, from a CSV file: `component,part_model,firmware,server_model,verdict`. `component` is a class or empty, `verdict` is `qualified` or
//! `unqualified`, and a `*` at the end of a name stands for any end; an empty cell for anything.

use crate::topology::csv;
use outband_health::triage::Listed;
use outband_schemas::{ComponentClass, Part};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// The columns, all of which have to be there.
const COLUMNS: [&str; 5] = ["component", "part_model", "firmware", "server_model", "verdict"];

/// Why there is no list.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file cannot be read.
    #[error("cannot read the list of parts that fit {path}: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// The file is wrong.
    #[error("the list of parts that fit {path} cannot be used: line {line}: {what}")]
    Wrong {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong with it.
        what: String,
    },
}

/// A list of parts that fit, and of some that do not.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Compatibility {
    rows: Vec<Row>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Row {
    class: Option<ComponentClass>,
    part: String,
    firmware: String,
    server: String,
    qualified: bool,
}

impl Compatibility {
    /// Reads a file.
    pub fn load(path: &Path) -> Result<Self, Error> {
        let text = fs::read_to_string(path).map_err(|source| Error::Read { path: path.to_owned(), source })?;
        Self::parse(&text).map_err(|(line, what)| Error::Wrong { path: path.to_owned(), line, what })
    }

    /// Reads the text of a file, or says which line is wrong and why.
    pub fn parse(text: &str) -> Result<Self, (usize, String)> {
        let mut rows = csv::rows(text)?.into_iter();
        let want = || format!("the first line names the columns: {}", COLUMNS.join(","));
        let (line, head) = rows.next().ok_or_else(|| (1, want()))?;
        let head: Vec<String> = head.iter().map(|name| name.trim().to_lowercase()).collect();
        if head != COLUMNS {
            return Err((line, want()));
        }
        let mut list = Self::default();
        for (line, row) in rows {
            let cell = |at: usize| row.get(at).map(|v| v.trim().to_owned()).unwrap_or_default();
            let qualified = match cell(4).as_str() {
                "qualified" => true,
                "unqualified" => false,
                other => return Err((line, format!("verdict {other:?} is neither qualified nor unqualified"))),
            };
            let class = match cell(0).as_str() {
                "" => None,
                word => Some(word.parse().map_err(|_| (line, format!("{word:?} is no class of components")))?),
            };
            if cell(1).is_empty() {
                return Err((line, "part_model is empty".to_owned()));
            }
            list.rows.push(Row { class, part: cell(1), firmware: cell(2), server: cell(3), qualified });
        }
        Ok(list)
    }

    /// What the list says of a part in a server of this model. `None`: it says nothing of such parts there.
    pub fn of(&self, part: &Part, server_model: &str) -> Option<Listed> {
        let (model, firmware) = (part.model.as_deref()?, part.firmware.as_deref().unwrap_or_default());
        let class = part.component.class();
        let there: Vec<&Row> = self.rows.iter().filter(|row| is(&row.server, server_model)).collect();
        let named: Vec<&Row> = there.iter().copied().filter(|row| is(&row.part, model)).collect();
        let exact = |row: &Row| firmware.is_empty() || is(&row.firmware, firmware);
        if named.iter().any(|row| exact(row) && !row.qualified) {
            let what =
                format!("the list of parts names {model} with firmware {firmware:?} as unqualified for {server_model}");
            return Some(Listed::Unqualified(what));
        }
        if named.iter().any(|row| exact(row) && row.qualified) {
            return Some(Listed::Qualified);
        }
        let listed: Vec<&str> = named.iter().filter(|r| r.qualified).map(|r| r.firmware.as_str()).collect();
        if !listed.is_empty() {
            let what = format!(
                "the list of parts has {model} for {server_model} with firmware {}, and not with {firmware:?}",
                listed.join(", ")
            );
            return Some(Listed::Missing(what));
        }
        // Parts of a class of which the list names any are to be on it.
        let others = there.iter().any(|row| row.qualified && row.class == Some(class));
        others.then(|| {
            Listed::Missing(format!(
                "the list of parts names others of class {class} for {server_model}, and not {model}"
            ))
        })
    }
}

/// Whether a name is the one that a cell means.
fn is(cell: &str, name: &str) -> bool {
    let (cell, name) = (cell.to_lowercase(), name.trim().to_lowercase());
    cell.is_empty() || cell.strip_suffix('*').map_or(cell == name, |start| name.starts_with(start))
}

#[cfg(test)]
mod tests {
    use super::*;
    use outband_schemas::{ComponentId, Source};

    fn part(model: &str, firmware: &str) -> Part {
        Part {
            component: ComponentId::new(ComponentClass::Disk, "3").unwrap(),
            manufacturer: None,
            model: Some(model.to_owned()),
            part_number: None,
            serial: None,
            firmware: Some(firmware.to_owned()),
            capacity_bytes: None,
            source: Source(String::new()),
        }
    }

    #[test]
    fn a_part_is_told_by_its_model_its_firmware_and_its_server() {
        let list = Compatibility::parse(
            "component,part_model,firmware,server_model,verdict\ndisk,ST8000*,SN04,R750,qualified\n,PM9A3,GDC5*,,unqualified\n",
        )
        .unwrap();
        assert_eq!(list.of(&part("ST8000NM0055", "SN04"), "R750"), Some(Listed::Qualified));
        assert!(
            matches!(list.of(&part("ST8000NM0055", "SN03"), "R750"), Some(Listed::Missing(why)) if why.contains("SN04"))
        );
        assert!(matches!(list.of(&part("PM9A3", "GDC5602Q"), "X11"), Some(Listed::Unqualified(_))));
        assert!(matches!(list.of(&part("HUH7280", "1"), "R750"), Some(Listed::Missing(why)) if why.contains("others")));
        assert_eq!(list.of(&part("HUH7280", "1"), "X11"), None, "of that server the list says nothing");
    }

    #[test]
    fn what_is_wrong_is_said_with_its_line() {
        let head = "component,part_model,firmware,server_model,verdict\n";
        let wrong = |text: &str| Compatibility::parse(text).unwrap_err().0;
        assert_eq!(wrong(""), 1);
        assert_eq!(wrong("part_model,verdict\n"), 1);
        assert_eq!(wrong(&format!("{head}disk,A,1,R750,maybe\n")), 2);
        assert_eq!(wrong(&format!("{head}disc,A,1,R750,qualified\n")), 2);
        assert_eq!(wrong(&format!("{head}disk,,1,R750,qualified\n")), 2);
    }
}
