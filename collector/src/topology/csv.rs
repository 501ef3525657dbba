//! Comma-separated values as RFC 4180 has them, without line breaks in values.

/// A line, from 1, and what is said of it.
type OfLine<T> = (usize, T);

/// The rows that are not empty, each with its line from 1; or the line that is wrong and why.
pub(crate) fn rows(text: &str) -> Result<Vec<OfLine<Vec<String>>>, OfLine<String>> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    (1..)
        .zip(text.lines())
        .filter(|(_, line)| !line.trim().is_empty() && !line.starts_with('#'))
        .map(|(number, line)| Ok((number, row(line).ok_or_else(|| (number, "a quote is not closed".to_owned()))?)))
        .collect()
}

fn row(line: &str) -> Option<Vec<String>> {
    let mut values = vec![String::new()];
    let mut quoted = false;
    let mut chars = line.chars().peekable();
    while let Some(c) = chars.next() {
        let value = values.last_mut()?;
        match c {
            '"' if quoted && chars.peek() == Some(&'"') => {
                value.push('"');
                chars.next();
            }
            '"' => quoted = !quoted,
            ',' if !quoted => values.push(String::new()),
            other => value.push(other),
        }
    }
    (!quoted).then_some(values)
}
