//! The bytes of a record: how a value is told by the one before, and how records are read.

use super::page::{BEGINS, CHANGED, LAG, Last, MOST_SHAPES, OFFSETS, SHAPE, STEP, ones};
use crate::chunk::bits::{put_varint, scaled, take_bytes, take_varint, unzigzag, zigzag};

/// Codes below this are a whole number by which the value is more: 0 for -1, 1 for 1, 2 for -2 and so on.
const NEAR: u8 = 240;
/// The last value that was not that one.
const OTHER: u8 = 240;
/// By which whole number it is more.
const MORE: u8 = 241;
/// By how many thousandths it is more, where both are whole numbers of them.
const THOUSANDTHS: u8 = 242;
/// A number, 8 bytes.
const NUMBER: u8 = 243;
/// A word: its place.
const WORD: u8 = 244;
/// Nothing.
const NOTHING: u8 = 245;
/// The same value.
const SAME: u8 = 246;
/// Another quality, 2 bytes; then comes one of the codes above.
const QUALITY: u8 = 247;

/// What whole numbers a difference may have: up to there `f64` adds them exactly.
const EXACT: f64 = (1_i64 << 52) as f64;

/// How a value is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Told {
    Same,
    Other,
    More(i64),
    Thousandths(i64),
    Is(Last),
}

/// How a point is told by the one before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Code {
    pub(super) quality: Option<u16>,
    pub(super) told: Told,
}

/// A number as so many thousandths, where that gives it again to the last bit.
fn thousandths(n: f64) -> Option<i64> {
    scaled(n, 1000.0)
}

/// The whole number by which a number is more than another, where adding it gives the same number again.
#[allow(clippy::cast_possible_truncation, reason = "both lie within the whole numbers that f64 holds exactly")]
fn more(from: f64, to: f64) -> Option<i64> {
    let whole = |n: f64| n.abs() < EXACT && n.fract() == 0.0;
    // A negative zero is a number of its own.
    (whole(from) && whole(to) && to.to_bits() != (-0.0_f64).to_bits()).then_some((to - from) as i64)
}

/// How a value is told by the last one and the one before that was another.
pub(super) fn told(last: Last, other: Last, now: Last) -> Told {
    if now == last {
        return Told::Same;
    }
    if now == other {
        return Told::Other;
    }
    let (Last::Number(from), Last::Number(to)) = (last, now) else { return Told::Is(now) };
    let (from, to) = (f64::from_bits(from), f64::from_bits(to));
    if let Some(more) = more(from, to) {
        return Told::More(more);
    }
    match (thousandths(from), thousandths(to)) {
        (Some(from), Some(to)) => Told::Thousandths(to.wrapping_sub(from)),
        _ => Told::Is(now),
    }
}

/// Writes a code.
pub(super) fn put(out: &mut Vec<u8>, code: &Code) {
    if let Some(quality) = code.quality {
        out.push(QUALITY);
        out.extend(quality.to_le_bytes());
    }
    match code.told {
        Told::Same => out.push(SAME),
        Told::Other => out.push(OTHER),
        Told::More(more) => match zigzag(more).checked_sub(1).and_then(|n| u8::try_from(n).ok()) {
            Some(near) if near < NEAR => out.push(near),
            _ => {
                out.push(MORE);
                put_varint(out, zigzag(more));
            }
        },
        Told::Thousandths(more) => {
            out.push(THOUSANDTHS);
            put_varint(out, zigzag(more));
        }
        Told::Is(Last::Number(bits)) => {
            out.push(NUMBER);
            out.extend(bits.to_le_bytes());
        }
        Told::Is(Last::Word(at)) => {
            out.push(WORD);
            put_varint(out, u64::from(at));
        }
        Told::Is(Last::Nothing) => out.push(NOTHING),
    }
}

/// Reads a code.
fn take(rest: &mut &[u8]) -> Option<Code> {
    let mut quality = None;
    let mut code = byte(rest)?;
    if code == QUALITY {
        quality = Some(u16::from_le_bytes(take_bytes(rest, 2).ok()?.try_into().ok()?));
        code = byte(rest)?;
    }
    let told = match code {
        near if near < NEAR => Told::More(unzigzag(u64::from(near) + 1)),
        OTHER => Told::Other,
        MORE => Told::More(unzigzag(take_varint(rest).ok()?)),
        THOUSANDTHS => Told::Thousandths(unzigzag(take_varint(rest).ok()?)),
        NUMBER => Told::Is(Last::Number(u64::from_le_bytes(take_bytes(rest, 8).ok()?.try_into().ok()?))),
        WORD => Told::Is(Last::Word(u32::try_from(take_varint(rest).ok()?).ok()?)),
        NOTHING => Told::Is(Last::Nothing),
        SAME => Told::Same,
        _ => return None,
    };
    Some(Code { quality, told })
}

fn byte(rest: &mut &[u8]) -> Option<u8> {
    let (byte, behind) = rest.split_first()?;
    *rest = behind;
    Some(*byte)
}

/// What is known of a series while records are read.
#[derive(Debug, Clone, Copy, Default)]
struct Standing {
    value: Last,
    other: Last,
    quality: u16,
}

impl Standing {
    fn change(&mut self, code: &Code) -> Option<()> {
        self.quality = code.quality.unwrap_or(self.quality);
        let now = match (code.told, self.value) {
            (Told::Same, _) => return Some(()),
            (Told::Other, _) => self.other,
            (Told::Is(now), _) => now,
            (Told::More(more), Last::Number(from)) => Last::Number((f64::from_bits(from) + more as f64).to_bits()),
            (Told::Thousandths(more), Last::Number(from)) => {
                let parts = thousandths(f64::from_bits(from))?.wrapping_add(more);
                Last::Number((parts as f64 / 1000.0).to_bits())
            }
            (Told::More(_) | Told::Thousandths(_), _) => return None,
        };
        self.other = std::mem::replace(&mut self.value, now);
        Some(())
    }
}

/// A shape while records are read.
#[derive(Debug, Clone, Copy, Default)]
struct Group<'a> {
    series: u64,
    at: i64,
    step: i64,
    offsets: &'a [u8],
    /// Of the only series that is asked for: its place in the group, and how much later than the first it was read.
    only: Option<(usize, i64)>,
}

impl Group<'_> {
    fn find(&mut self, only: usize) -> Option<()> {
        self.only = None;
        if self.series >> only & 1 == 0 {
            return Some(());
        }
        let n = (self.series & !(u64::MAX << only)).count_ones() as usize;
        let (mut offset, mut offsets) = (0, self.offsets);
        for _ in 0..n {
            offset += unzigzag(take_varint(&mut offsets).ok()?);
        }
        self.only = Some((n, offset));
        Some(())
    }
}

/// Reads records one after the other.
pub(super) struct Reader<'a> {
    rest: &'a [u8],
    only: Option<usize>,
    groups: [Group<'a>; MOST_SHAPES],
    standings: [Standing; 64],
    lag: i64,
}

impl<'a> Reader<'a> {
    /// Of all series, or of the one at a place.
    pub(super) fn new(bytes: &'a [u8], only: Option<usize>) -> Self {
        let groups = [Group::default(); MOST_SHAPES];
        Self { rest: bytes, only, groups, standings: [Standing::default(); 64], lag: 0 }
    }

    /// The next record: of each of its points the place, the time, value and quality, and when it came (both times in milliseconds since the start of the
    /// window).
    pub(super) fn record(&mut self, mut each: impl FnMut(usize, u32, Last, u16, i64)) -> Option<()> {
        let rest = &mut self.rest;
        let head = byte(rest)?;
        let group = self.groups.get_mut(usize::from(head & SHAPE))?;
        if head & BEGINS != 0 {
            let series = u64::from_le_bytes(take_bytes(rest, 8).ok()?.try_into().ok()?);
            *group = Group { series, ..Group::default() };
        }
        if head & STEP != 0 {
            group.step += unzigzag(take_varint(rest).ok()?);
        }
        group.at += group.step;
        if head & OFFSETS != 0 {
            let from = *rest;
            for _ in 1..group.series.count_ones() {
                take_varint(rest).ok()?;
            }
            group.offsets = from.get(..from.len() - rest.len())?;
        }
        if head & (BEGINS | OFFSETS) != 0
            && let Some(only) = self.only
        {
            group.find(only)?;
        }
        if head & LAG != 0 {
            self.lag = self.lag.wrapping_add(unzigzag(take_varint(rest).ok()?));
        }
        let mut changed = 0_u64;
        if head & CHANGED != 0 {
            let bytes = take_bytes(rest, u64::from(group.series.count_ones().div_ceil(8))).ok()?;
            changed = bytes.iter().rev().fold(0, |bits, byte| bits << 8 | u64::from(*byte));
        }
        let (mut at, mut offsets) = (group.at, group.offsets);
        let received = group.at.wrapping_add(self.lag);
        if let Some(only) = self.only {
            // What does not change needs no look.
            for n in ones(changed) {
                let code = take(rest)?;
                if group.only.is_some_and(|(own, _)| own == n) {
                    self.standings.get_mut(only)?.change(&code)?;
                }
            }
            if let Some((_, offset)) = group.only {
                let standing = self.standings.get(only)?;
                each(only, u32::try_from(at + offset).ok()?, standing.value, standing.quality, received);
            }
            return Some(());
        }
        for (n, place) in ones(group.series).enumerate() {
            if n > 0 {
                at += unzigzag(take_varint(&mut offsets).ok()?);
            }
            let code = if changed >> n & 1 == 1 { Some(take(rest)?) } else { None };
            let standing = self.standings.get_mut(place)?;
            if let Some(code) = code {
                standing.change(&code)?;
            }
            each(place, u32::try_from(at).ok()?, standing.value, standing.quality, received);
        }
        Some(())
    }
}
