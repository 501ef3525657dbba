//! The five whys of a fault: what people wrote into comments and verdicts, a line each, that begins with `why:` or `为什么：`; and what they
//! say is to be done so that it does not come again, after `prevent:` or `预防：`.

use outband_ticket::{Action, Transition, Visibility};

/// How many whys there are.
pub const WHYS: usize = 5;

/// What people found out.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct Whys {
    /// Why, and why that, in the order of their numbers, else in that in which they were written; at most five.
    pub whys: Vec<String>,
    /// What is to be done.
    pub prevent: Vec<String>,
}

/// Reads a log; only what the customer may read, where `customer`.
pub fn whys(log: &[Transition], customer: bool) -> Whys {
    let mut numbered: Vec<(usize, String)> = Vec::new();
    let mut found = Whys::default();
    for entry in log {
        let text = match &entry.action {
            Action::Comment { text, visibility } if !customer || *visibility == Visibility::Customer => text,
            Action::Verdict { detail, .. } => detail,
            _ => continue,
        };
        for line in text.lines() {
            if let Some((number, why)) = why(line) {
                let at = number.unwrap_or(numbered.len() + 1);
                // Said again, it takes the place of what was said before.
                numbered.retain(|(n, _)| *n != at);
                numbered.push((at, why.to_owned()));
            } else if let Some(what) = after(line, &["prevent", "预防"]) {
                found.prevent.push(what.to_owned());
            }
        }
    }
    numbered.sort_by_key(|(at, _)| *at);
    found.whys = numbered.into_iter().take(WHYS).map(|(_, why)| why).collect();
    found
}

fn why(line: &str) -> Option<(Option<usize>, &str)> {
    let line = line.trim();
    let rest = ["why", "Why", "WHY", "为什么"].iter().find_map(|word| line.strip_prefix(word))?.trim_start();
    let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, rest) = rest.split_at_checked(digits)?;
    let text = rest.trim_start().strip_prefix([':', '：'])?.trim();
    (!text.is_empty()).then(|| (number.parse().ok(), text))
}

fn after<'a>(line: &'a str, words: &[&str]) -> Option<&'a str> {
    let (word, text) = line.trim().split_once([':', '：'])?;
    let text = text.trim();
    (words.contains(&word.trim().to_lowercase().as_str()) && !text.is_empty()).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::case::tests::Tale;
    use outband_ticket::{Priority, Verdict};

    fn comment(text: &str, visibility: Visibility) -> Action {
        Action::Comment { text: text.to_owned(), visibility }
    }

    #[test]
    fn whys_are_read_from_comments_and_verdicts_by_their_numbers() {
        let detail = "why 3: no spare was watched\nPrevent: watch spares".to_owned();
        let tale = Tale::opened(1, Priority::P2, 0)
            .then(1, comment("为什么2：固件有缺陷\nwhy 1: the drive died", Visibility::Customer))
            .then(2, comment("why not tomorrow?\nWhy 1: the drive's firmware hung", Visibility::Internal))
            .then(3, Action::Verdict { verdict: Verdict::Confirmed, detail, part: None });
        let found = whys(&tale.log, false);
        assert_eq!(found.whys, ["the drive's firmware hung", "固件有缺陷", "no spare was watched"]);
        assert_eq!(found.prevent, ["watch spares"]);
    }

    #[test]
    fn a_customer_reads_no_internal_comment() {
        let tale = Tale::opened(1, Priority::P2, 0).then(1, comment("why: we forgot", Visibility::Internal));
        assert!(whys(&tale.log, true).whys.is_empty());
        assert_eq!(whys(&tale.log, false).whys, ["we forgot"]);
    }
}
