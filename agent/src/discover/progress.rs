//! How far it is, on stderr: one line that changes on a terminal, a line now and then elsewhere.

use std::io::{self, Write};
use std::time::{Duration, Instant};

/// How often a line is written where nobody watches it change.
const EVERY: Duration = Duration::from_secs(5);
const TERMINAL_EVERY: Duration = Duration::from_millis(100);

/// What is being done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    Ping,
    Https,
    Login,
}

impl Stage {
    fn words(self) -> &'static str {
        match self {
            Self::Ping => "presence pings",
            Self::Https => "HTTPS ports",
            Self::Login => "logins",
        }
    }
}

/// Progress of a discovery.
pub(super) struct Progress<'a> {
    err: &'a mut dyn Write,
    terminal: bool,
    quiet: bool,
    stage: Stage,
    total: usize,
    last: Option<Instant>,
}

impl<'a> Progress<'a> {
    pub(super) fn new(err: &'a mut dyn Write, terminal: bool, quiet: bool) -> Self {
        Self { err, terminal, quiet, stage: Stage::Ping, total: 0, last: None }
    }

    /// A stage of so many steps begins.
    pub(super) fn begin(&mut self, stage: Stage, total: usize) {
        (self.stage, self.total, self.last) = (stage, total, None);
        self.at(0, None);
    }

    /// So many steps are done.
    pub(super) fn at(&mut self, done: usize, note: Option<&str>) {
        let pause = if self.terminal { TERMINAL_EVERY } else { EVERY };
        let due = self.last.is_none_or(|at| at.elapsed() >= pause) || done == self.total;
        if self.quiet || !due {
            return;
        }
        self.last = Some(Instant::now());
        let (words, total) = (self.stage.words(), self.total);
        let note = note.map(|n| format!(" ({n})")).unwrap_or_default();
        let line = format!("{words}: {done} of {total}{note}");
        let result = if self.terminal { write!(self.err, "\r\x1b[K{line}") } else { writeln!(self.err, "{line}") };
        let result = result.and_then(|()| self.err.flush());
        self.keep(result);
    }

    /// Clears the line that changes.
    pub(super) fn end(&mut self) {
        if self.terminal && !self.quiet {
            let result = write!(self.err, "\r\x1b[K").and_then(|()| self.err.flush());
            self.keep(result);
        }
    }

    /// A stderr that takes nothing any more is nobody to tell; the work goes on.
    fn keep(&mut self, result: io::Result<()>) {
        if let Err(error) = result {
            tracing::debug!(%error, "no progress can be shown");
            self.quiet = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elsewhere_than_on_a_terminal_the_first_and_the_last_step_are_lines() {
        let mut out = Vec::new();
        let mut progress = Progress::new(&mut out, false, false);
        progress.begin(Stage::Login, 3);
        (1..=3).for_each(|n| progress.at(n, None));
        progress.end();
        assert_eq!(String::from_utf8(out).unwrap(), "logins: 0 of 3\nlogins: 3 of 3\n");
    }

    #[test]
    fn quiet_is_quiet() {
        let mut out = Vec::new();
        let mut progress = Progress::new(&mut out, true, true);
        progress.begin(Stage::Ping, 1);
        progress.at(1, None);
        progress.end();
        assert!(out.is_empty());
    }
}
