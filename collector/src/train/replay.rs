//! History, day by day, as a collector would have seen it.

use super::source::Histories;
use outband_health::model::{self, Day};
use std::collections::BTreeSet;

/// A fleet as it was known at the end of a day.
#[derive(Debug)]
pub struct Replay<'a> {
    history: &'a Histories,
    known: Vec<model::History>,
    /// Drives whose medium has shown something new of late.
    awake: BTreeSet<usize>,
    next: usize,
    today: Option<Day>,
}

impl<'a> Replay<'a> {
    /// Before the first day.
    pub fn new(history: &'a Histories) -> Self {
        let known = vec![model::History::default(); history.lives.len()];
        Replay { history, known, awake: BTreeSet::new(), next: 0, today: None }
    }

    /// The days of the history: the first with a reading, and the newest on which a drive was seen.
    pub fn days(history: &Histories) -> Option<(Day, Day)> {
        Some((history.readings.first()?.day, history.lives.iter().map(|l| l.last).max()?))
    }

    /// Goes on to the end of `day`.
    pub fn advance(&mut self, day: Day) {
        while let Some(reading) = self.history.readings.get(self.next).filter(|r| r.day <= day) {
            self.next += 1;
            let Some(known) = self.known.get_mut(reading.drive) else { continue };
            known.read(reading.day, &reading.smart);
            if known.is_awake(reading.day) {
                self.awake.insert(reading.drive);
            }
        }
        let (lives, known) = (&self.history.lives, &self.known);
        self.awake.retain(|&drive| {
            let here = lives.get(drive).is_some_and(|l| l.is_read_on(day));
            here && known.get(drive).is_some_and(|k| k.is_awake(day))
        });
        self.today = Some(day);
    }

    /// The drives that are to be scored today, by their place, with what is known of them.
    pub fn awake(&self) -> impl Iterator<Item = (usize, &model::History)> {
        self.awake.iter().filter_map(|&drive| Some((drive, self.known.get(drive)?)))
    }
}
