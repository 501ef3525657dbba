//! What is on the shelves, from a CSV file: `site,part,quantity`.

use crate::topology::csv;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Why the shelves are not known.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file cannot be read.
    #[error("cannot read the stock file {path}: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// The file is wrong.
    #[error("the stock file {path} cannot be used: line {line}: {what}")]
    Wrong {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong with it.
        what: String,
    },
}

/// One row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shelf {
    /// The site.
    pub site: String,
    /// The model or part number, as the file has it.
    pub part: String,
    /// How many there are.
    pub quantity: u64,
}

impl Shelf {
    /// Whether these are such parts: by model or part number, whatever the case of letters.
    pub fn fits(&self, site: &str, model: &str, part_number: Option<&str>) -> bool {
        let is = |name: &str| name.trim().eq_ignore_ascii_case(&self.part);
        self.site == site && (is(model) || part_number.is_some_and(is))
    }
}

/// Reads a file.
pub fn load(path: &Path) -> Result<Vec<Shelf>, Error> {
    let text = fs::read_to_string(path).map_err(|source| Error::Read { path: path.to_owned(), source })?;
    parse(&text).map_err(|(line, what)| Error::Wrong { path: path.to_owned(), line, what })
}

/// Reads the text of a file, or says which line is wrong and why.
pub fn parse(text: &str) -> Result<Vec<Shelf>, (usize, String)> {
    let mut rows = csv::rows(text)?.into_iter();
    let (_, head) =
        rows.next().ok_or_else(|| (1, "the first line names the columns: site,part,quantity".to_owned()))?;
    let column = |name: &str| {
        let at = head.iter().position(|h| h.trim().eq_ignore_ascii_case(name));
        at.ok_or_else(|| (1, format!("the column {name} is missing")))
    };
    let (site, part, quantity) = (column("site")?, column("part")?, column("quantity")?);
    let mut shelves: Vec<Shelf> = Vec::new();
    for (line, row) in rows {
        let of = |at: usize, name: &str| {
            let text = row.get(at).map(|v| v.trim()).filter(|v| !v.is_empty());
            text.ok_or_else(|| (line, format!("no {name}")))
        };
        let (site, part, text) = (of(site, "site")?, of(part, "part")?, of(quantity, "quantity")?);
        let quantity = text.parse().map_err(|_| (line, format!("{text:?} is no quantity such as 3")))?;
        if shelves.iter().any(|s| s.fits(site, part, None)) {
            return Err((line, format!("{part} at {site} stands twice")));
        }
        shelves.push(Shelf { site: site.to_owned(), part: part.to_owned(), quantity });
    }
    Ok(shelves)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shelf_fits_by_model_or_part_number() {
        let all =
            parse("\u{feff}part,site,quantity\nST4000NM0023,dc1,2\n# spares of the north hall\n875942-001,dc1,1\n")
                .unwrap();
        assert_eq!(all.iter().map(|s| s.quantity).collect::<Vec<_>>(), [2, 1]);
        assert!(all[0].fits("dc1", "st4000nm0023 ", None) && !all[0].fits("dc2", "ST4000NM0023", None));
        assert!(all[1].fits("dc1", "DPS-800", Some("875942-001")));
    }

    #[test]
    fn what_is_wrong_is_said_with_its_line() {
        let wrong = |text: &str| parse(text).unwrap_err().0;
        assert_eq!(wrong(""), 1);
        assert_eq!(wrong("site,part\ndc1,x\n"), 1);
        assert_eq!(wrong("site,part,quantity\ndc1,x,two\n"), 2);
        assert_eq!(wrong("site,part,quantity\ndc1,x,-1\n"), 2);
        assert_eq!(wrong("site,part,quantity\ndc1,x,1\ndc1,X,2\n"), 3);
        assert_eq!(wrong("site,part,quantity\ndc1,,1\n"), 2);
    }
}
