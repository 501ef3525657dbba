//! Where on a module its errors are, as far as log entries say: rank, bank, row, column.
//!
//! Most BMCs name the module only. Those that name more write it as words and numbers: `Socket=1 Channel=2 DIMM=0 Rank=1` (Intel's message
//! registry), `Bank Group: 2, Bank: 3, Row: 0x1A2B, Column: 0x40`, `rank 0 bank 5 row 4711`. Errors of one row or one bank are a fault
//! of the array, which stays; errors all over the module are a fault of what all share, or none of the module's (Sridharan and Liberty, A study of DRAM
//! failures in the field, SC 2012).

use crate::window::EventNote;
use std::collections::BTreeMap;

/// A place on a module, as far as an entry names it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Cell {
    pub(super) rank: Option<u64>,
    pub(super) group: Option<u64>,
    pub(super) bank: Option<u64>,
    pub(super) row: Option<u64>,
    pub(super) column: Option<u64>,
}

impl Cell {
    /// The place that an entry names; `None`: it names none.
    pub(super) fn of(message: &str) -> Option<Self> {
        let said = message.to_ascii_lowercase();
        // The banks of a machine check are registers of the processor.
        if said.contains("machine check") || said.contains("apic") {
            return None;
        }
        let group = number_after(&said, &["bank group", "bankgroup", "bank_group", "bg"]);
        let bank = number_after(&said, &["bank address", "bank"]);
        let cell = Self {
            rank: number_after(&said, &["rank"]),
            group,
            bank,
            row: number_after(&said, &["row address", "row"]),
            column: number_after(&said, &["column address", "column", "col"]),
        };
        (cell != Self::default()).then_some(cell)
    }

    /// The array that it is in: its rank, bank group and bank.
    fn array(&self) -> [Option<u64>; 3] {
        [self.rank, self.group, self.bank]
    }
}

/// The number that follows one of these words, decimal or with `0x` hexadecimal.
fn number_after(said: &str, words: &[&str]) -> Option<u64> {
    words.iter().find_map(|word| said.match_indices(word).find_map(|(at, _)| number_at(said, at, word)))
}

fn number_at(said: &str, at: usize, word: &str) -> Option<u64> {
    let before = said.get(..at)?.chars().next_back();
    if before.is_some_and(|c| c.is_ascii_alphanumeric()) {
        return None;
    }
    let rest = said.get(at + word.len()..)?;
    let digits = rest.trim_start_matches([' ', '=', ':', '#', '_']);
    // `banks 3`, `rowhammer`: another word.
    if rest.len() - digits.len() > 3 {
        return None;
    }
    let whole = |radix: u32, digits: &str| {
        let end = digits.find(|c: char| !c.is_digit(radix)).unwrap_or(digits.len());
        let follows = digits.get(end..).and_then(|s| s.chars().next());
        (!follows.is_some_and(|c| c.is_ascii_alphanumeric()))
            .then(|| u64::from_str_radix(digits.get(..end)?, radix).ok())
            .flatten()
    };
    match digits.strip_prefix("0x") {
        Some(hex) => whole(16, hex),
        None => whole(10, digits),
    }
}

/// So many entries with a place say something of where errors are.
const LEAST: usize = 3;

/// Where the errors of these entries are, in words; `None` where too few say it.
pub(super) fn told(notes: &[&EventNote]) -> Option<String> {
    let cells: Vec<Cell> = notes.iter().filter_map(|note| Cell::of(&note.message)).collect();
    if cells.len() < LEAST {
        return None;
    }
    spread(cells.iter().filter_map(|cell| Some((cell.array(), cell.row?))), "row")
        .or_else(|| spread(cells.iter().filter(|cell| cell.bank.is_some()).map(Cell::array), "bank"))
        .or_else(|| spread(cells.iter().filter_map(|cell| cell.rank), "rank"))
}

/// Whether one of these is named again and again, or many.
fn spread<T: Ord>(named: impl Iterator<Item = T>, what: &str) -> Option<String> {
    let mut counts: BTreeMap<T, usize> = BTreeMap::new();
    for one in named {
        *counts.entry(one).or_default() += 1;
    }
    let (all, most) = (counts.values().sum::<usize>(), counts.values().copied().max()?);
    match () {
        () if all < LEAST => None,
        // Three of four, and the same one twice at least.
        () if most * 4 >= all * 3 => Some(format!("the errors are in one {what}, again and again")),
        () => Some(format!("the errors are spread over several {what}s")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn makers_ways_of_naming_a_place_are_read() {
        let cell = |rank, group, bank, row, column| Some(Cell { rank, group, bank, row, column });
        let cases = [
            ("Memory ECC correctable error. Socket=1 Channel=2 DIMM=0 Rank=1.", cell(Some(1), None, None, None, None)),
            (
                "Corrected ECC error, DIMM A3, Rank: 0, Bank Group: 2, Bank: 3, Row: 0x1A2B, Column: 0x40",
                cell(Some(0), Some(2), Some(3), Some(0x1A2B), Some(0x40)),
            ),
            ("CE on DIMM_B1 rank 0 bank 5 row 4711 col 12", cell(Some(0), None, Some(5), Some(4711), Some(12))),
            ("Correctable memory error rate exceeded for DIMM_A1.", None),
            ("Uncorrectable Machine Check Exception (Processor 2, APIC ID 0x80, Bank 0x12)", None),
            ("rowhammer mitigation on banks, row A", None),
        ];
        for (message, expected) in cases {
            assert_eq!(Cell::of(message), expected, "{message}");
        }
    }
}
