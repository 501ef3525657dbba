//! Content lines of RFC 5545 section 3.1: unfolded, and taken apart into name, parameters and value.

/// A content line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Line {
    /// Where it begins, from 1.
    pub(super) number: usize,
    /// In upper case.
    pub(super) name: String,
    /// Names in upper case, values without quotes.
    pub(super) params: Vec<(String, String)>,
    pub(super) value: String,
}

impl Line {
    pub(super) fn param(&self, name: &str) -> Option<&str> {
        self.params.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }

    /// The value of a TEXT property without its escapes.
    pub(super) fn text(&self) -> String {
        let mut out = String::with_capacity(self.value.len());
        let mut chars = self.value.chars();
        while let Some(c) = chars.next() {
            match c {
                '\\' => match chars.next() {
                    Some('n' | 'N') => out.push('\n'),
                    Some(other) => out.push(other),
                    None => {}
                },
                c => out.push(c),
            }
        }
        out
    }
}

/// The lines of a file; those that are none are complained about. Lone line feeds and a byte-order mark are common, and read.
pub(super) fn lines(text: &str, complain: &mut impl FnMut(usize, String)) -> Vec<Line> {
    let mut folded: Vec<(usize, String)> = Vec::new();
    for (index, raw) in text.trim_start_matches('\u{feff}').split('\n').enumerate() {
        let raw = raw.strip_suffix('\r').unwrap_or(raw);
        match (raw.strip_prefix([' ', '\t']), folded.last_mut()) {
            (Some(rest), Some((_, line))) => line.push_str(rest),
            _ => folded.push((index + 1, raw.to_owned())),
        }
    }
    let mut out = Vec::new();
    for (number, line) in folded.into_iter().filter(|(_, line)| !line.trim().is_empty()) {
        match line_of(number, &line) {
            Some(line) => out.push(line),
            None => complain(number, format!("{:?} is no content line", clipped(&line))),
        }
    }
    out
}

/// The beginning of a text, for messages.
pub(super) fn clipped(text: &str) -> String {
    text.chars().take(60).collect()
}

fn line_of(number: usize, line: &str) -> Option<Line> {
    // A colon or semicolon within quotes belongs to a parameter.
    let mut quoted = false;
    let mut cuts = Vec::new();
    let mut colon = None;
    for (at, c) in line.char_indices() {
        match c {
            '"' => quoted = !quoted,
            ';' if !quoted => cuts.push(at),
            ':' if !quoted => {
                colon = Some(at);
                break;
            }
            _ => {}
        }
    }
    let colon = colon?;
    let head_end = cuts.first().copied().unwrap_or(colon);
    let name = line[..head_end].trim().to_ascii_uppercase();
    if name.is_empty() || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-') {
        return None;
    }
    let ends = cuts.iter().skip(1).copied().chain([colon]);
    let params = cuts.iter().zip(ends).filter_map(|(from, to)| {
        let (name, value) = line.get(from + 1..to)?.split_once('=')?;
        Some((name.trim().to_ascii_uppercase(), value.trim_matches('"').to_owned()))
    });
    Some(Line { number, name, params: params.collect(), value: line[colon + 1..].to_owned() })
}
