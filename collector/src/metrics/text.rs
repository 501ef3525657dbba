//! The text in which figures are told: Prometheus's exposition format, version 0.0.4
//! (<https://prometheus.io/docs/instrumenting/exposition_formats/>). Pure.

use std::fmt::{Display, Write};

/// What a figure is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// It goes up and down.
    Gauge,
    /// It counts since the start. The name ends in `_total`.
    Counter,
}

/// A page of figures.
#[derive(Debug, Default)]
pub struct Page {
    text: String,
}

impl Page {
    /// A figure and its values, one for each set of labels. Nothing is written of one that has no values: what is not known is not told.
    pub fn put<V: Display>(&mut self, name: &str, kind: Kind, help: &str, values: &[(&[(&str, &str)], V)]) {
        if values.is_empty() {
            return;
        }
        let kind = match kind {
            Kind::Gauge => "gauge",
            Kind::Counter => "counter",
        };
        // Writing to a String cannot fail.
        write!(self.text, "# HELP {name} {}\n# TYPE {name} {kind}\n", escape(help, false)).unwrap_or_default();
        for (labels, value) in values {
            self.text.push_str(name);
            for (n, (label, word)) in labels.iter().enumerate() {
                let open = if n == 0 { '{' } else { ',' };
                write!(self.text, "{open}{label}=\"{}\"", escape(word, true)).unwrap_or_default();
            }
            let close = if labels.is_empty() { "" } else { "}" };
            writeln!(self.text, "{close} {value}").unwrap_or_default();
        }
    }

    /// A gauge without labels.
    pub fn gauge(&mut self, name: &str, help: &str, value: impl Display) {
        self.put(name, Kind::Gauge, help, &[(&[], value)]);
    }

    /// The text.
    pub fn into_text(self) -> String {
        self.text
    }
}

fn escape(text: &str, quotes: bool) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '"' if quotes => out.push_str("\\\""),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_as_the_format_has_it() {
        let mut page = Page::default();
        page.gauge("outband_one", "One.", 1);
        let labels: &[(&str, &str)] = &[("agent", "a\"b\\c\nd"), ("lane", "event")];
        page.put("outband_two_total", Kind::Counter, "Two\nlines.", &[(labels, 2.5)]);
        page.put::<u64>("outband_none", Kind::Gauge, "Nothing.", &[]);
        let want = "# HELP outband_one One.\n# TYPE outband_one gauge\noutband_one 1\n\
            # HELP outband_two_total Two\\nlines.\n# TYPE outband_two_total counter\n\
            outband_two_total{agent=\"a\\\"b\\\\c\\nd\",lane=\"event\"} 2.5\n";
        assert_eq!(page.into_text(), want);
    }
}
