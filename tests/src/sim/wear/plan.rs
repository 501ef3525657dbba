//! What wears, what breaks without warning, and what merely looks like wear.

use super::dice::Dice;

/// What is simulated.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Everything follows from it.
    pub seed: u64,
    /// Racks, each with its own air and its own feeds.
    pub racks: usize,
    /// Servers of a rack.
    pub servers: usize,
    /// Hours that are simulated.
    pub hours: i64,
}

/// The kind of part that fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    /// A fan.
    Fan,
    /// A power supply.
    Psu,
    /// The way of heat from a processor to the air.
    Thermal,
    /// A memory module.
    Dimm,
}

impl Class {
    /// The word used in files.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Fan => "fan",
            Self::Psu => "psu",
            Self::Thermal => "thermal",
            Self::Dimm => "dimm",
        }
    }
}

/// A part that really fails.
#[derive(Debug, Clone)]
pub struct Truth {
    /// The server, counted within its rack.
    pub server: usize,
    /// The component's name.
    pub component: String,
    /// The kind of part.
    pub class: Class,
    /// The mode of wear.
    pub mode: &'static str,
    /// The hour in which it begins; for a sudden failure the hour of the failure.
    pub onset: i64,
    /// The hour in which it fails.
    pub fails: i64,
}

/// Something that looks like wear and is none.
#[derive(Debug, Clone)]
pub struct Confounder {
    /// What it is.
    pub what: &'static str,
    /// The component's name; empty: the whole server.
    pub component: String,
    /// From this hour.
    pub from: i64,
    /// To this hour.
    pub to: i64,
}

/// Something that the log or an operator would tell.
#[derive(Debug, Clone)]
pub struct Happening {
    /// The server, counted within its rack.
    pub server: usize,
    /// The component's name; empty: the server.
    pub component: String,
    /// What happened.
    pub event: &'static str,
    /// The hour.
    pub at: i64,
}

/// A mode of failure: its name, how common it is, days from onset to failure (least, most), depth (least, most).
pub(super) type Mode = (&'static str, f64, (f64, f64), (f64, f64));

/// One part's fate.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fate {
    pub(super) mode: &'static str,
    pub(super) onset: i64,
    pub(super) fails: i64,
    /// How far the wear goes, in the mode's own unit.
    pub(super) depth: f64,
    /// How it bends: 1 is even, more is late.
    pub(super) bend: f64,
}

impl Fate {
    /// Draws a fate: a share of parts fail within the time that is simulated.
    pub(super) fn draw(dice: &mut Dice, hours: i64, share: f64, modes: &[Mode]) -> Option<Self> {
        if !dice.chance(share) {
            return None;
        }
        let total: f64 = modes.iter().map(|m| m.1).sum();
        let mut left = dice.within(0.0, total);
        let (mode, _, days, depth) = *modes.iter().find(|m| {
            left -= m.1;
            left <= 0.0
        })?;
        let fails = dice.within(20.0 * 24.0, hours as f64 * 1.2) as i64;
        let lasts = (dice.within(days.0, days.1) * 24.0) as i64;
        Some(Self {
            mode,
            onset: fails - lasts,
            fails,
            depth: dice.within(depth.0, depth.1),
            bend: dice.within(1.2, 2.6),
        })
    }

    /// How far it has gone at an hour: 0 before the onset, 1 at the failure.
    pub(super) fn progress(&self, hour: i64) -> f64 {
        let whole = (self.fails - self.onset).max(1) as f64;
        ((hour - self.onset) as f64 / whole).clamp(0.0, 1.0).powf(self.bend)
    }

    pub(super) fn truth(&self, server: usize, component: &str, class: Class) -> Truth {
        let onset = if self.mode == "sudden" { self.fails } else { self.onset };
        Truth { server, component: component.to_owned(), class, mode: self.mode, onset, fails: self.fails }
    }
}

/// A time within which something lasts.
#[derive(Debug, Clone, Copy)]
pub(super) struct Span {
    pub(super) from: i64,
    pub(super) to: i64,
    pub(super) size: f64,
}

/// Draws the times at which something befalls, `a_month` on average.
pub(super) fn spans(dice: &mut Dice, hours: i64, a_month: f64, lasts: (f64, f64), size: (f64, f64)) -> Vec<Span> {
    let n = dice.poisson(a_month * hours as f64 / 730.0) as usize;
    let mut all: Vec<Span> = (0..n)
        .map(|_| {
            let from = dice.within(0.0, hours as f64) as i64;
            let to = from + dice.within(lasts.0, lasts.1).max(1.0) as i64;
            Span { from, to, size: dice.within(size.0, size.1) }
        })
        .collect();
    all.sort_by_key(|s| s.from);
    all
}

/// The size of what lasts at an hour; 0: nothing.
pub(super) fn during(spans: &[Span], hour: i64) -> f64 {
    spans.iter().filter(|s| s.from <= hour && hour < s.to).map(|s| s.size).sum()
}
