//! What is nobody's business: names of people, addresses, passwords, tokens. Left out of everything that leaves the house.
//!
//! Texts of BMCs follow no grammar, so this errs on the side of leaving out: a version that looks like an address stays only where it is known to
//! be a version of this server.

use outband_ticket::{AccessStep, Action, Ticket, Transition};
use serde_json::Value;
use std::collections::BTreeSet;

/// What stands in place of it. Texts come in many languages, so this is none.
const PERSON: &str = "[person]";
const ADDRESS: &str = "[address]";
const SECRET: &str = "[secret]";

/// Words after which a secret follows.
const SECRETS: [&str; 15] = [
    "password",
    "passwd",
    "passphrase",
    "pwd",
    "secret",
    "token",
    "bearer",
    "basic",
    "apikey",
    "api_key",
    "authorization",
    "cookie",
    "community",
    "密码",
    "口令",
];
/// Words after which somebody's name follows.
const PEOPLE: [&str; 12] = [
    "username",
    "user name",
    "userid",
    "user id",
    "user",
    "account",
    "login name",
    "logged in as",
    "using",
    "用户名",
    "用户",
    "账号",
];
/// What may follow such a word and is no name.
const NO_NAMES: [&str; 44] = [
    "requested",
    "initiated",
    "action",
    "logged",
    "login",
    "logout",
    "account",
    "accounts",
    "name",
    "session",
    "sessions",
    "command",
    "commands",
    "defined",
    "intervention",
    "via",
    "from",
    "was",
    "has",
    "had",
    "is",
    "are",
    "and",
    "or",
    "in",
    "on",
    "to",
    "interface",
    "data",
    "mode",
    "space",
    "id",
    "the",
    "a",
    "an",
    "power",
    "reset",
    "redfish",
    "ipmi",
    "not",
    "of",
    "with",
    "for",
    "by",
];
/// Fields of JSON that hold such.
const FIELDS: [&str; 15] = [
    "user",
    "password",
    "passwd",
    "secret",
    "token",
    "account",
    "community",
    "email",
    "clientip",
    "client_ip",
    "remoteip",
    "ipaddress",
    "ipv4",
    "ipv6",
    "originatingaddress",
];

/// The people that stand in a ticket and its log.
pub fn people<'a>(ticket: &'a Ticket, log: &'a [Transition]) -> impl Iterator<Item = String> + 'a {
    let doers = log.iter().map(|entry| &entry.who);
    let named = log.iter().filter_map(|entry| match &entry.action {
        Action::Assign { to } => Some(to),
        Action::Access { step: AccessStep::Granted { holder, .. }, .. } => Some(holder),
        _ => None,
    });
    let kept = ticket.assignee.iter().chain(ticket.comments.iter().map(|comment| &comment.who));
    doers.chain(named).chain(kept).cloned()
}

/// An action with what people wrote in it, and the collector of what it saw, made into something else.
pub fn rewritten(action: &Action, text: impl Fn(&str) -> String) -> Action {
    let mut action = action.clone();
    match &mut action {
        Action::Comment { text: said, .. } => *said = text(said),
        Action::Locate { root_cause } => *root_cause = text(root_cause),
        Action::Verdict { detail, part, .. } => {
            *detail = text(detail);
            *part = part.as_deref().map(&text);
        }
        Action::Suppress { by, .. } => *by = text(by),
        Action::Triage { triage } => triage.because.iter_mut().for_each(|fact| *fact = text(fact)),
        Action::Evidence { facts, reason, title, .. } => {
            facts.iter_mut().for_each(|fact| fact.text = text(&fact.text));
            reason.iter_mut().chain(title).for_each(|said| *said = text(said));
        }
        _ => {}
    }
    action
}

/// Leaves out what is nobody's business.
#[derive(Debug, Clone, Default)]
pub struct Scrubber {
    /// Names of people that are known to be such.
    names: BTreeSet<String>,
    /// Versions: not addresses, whatever they look like.
    versions: BTreeSet<String>,
}

impl Scrubber {
    /// One that knows these people's names, and these versions of firmware. Names that stand for a role are no person's.
    pub fn new(names: impl IntoIterator<Item = String>, versions: impl IntoIterator<Item = String>) -> Self {
        let role =
            |name: &str| crate::token::Role::ALL.iter().any(|role| role.as_str() == name) || name == crate::react::WHO;
        let names = names.into_iter().map(|n| n.trim().to_owned()).filter(|n| n.chars().count() > 1 && !role(n));
        Self { names: names.collect(), versions: versions.into_iter().collect() }
    }

    /// The text without it. Control characters become blanks.
    pub fn clean(&self, text: &str) -> String {
        let text: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        let text = after_words(&text, &SECRETS, SECRET, |_| true);
        let text = after_words(&text, &PEOPLE, PERSON, |name| !NO_NAMES.contains(&name.to_lowercase().as_str()));
        let text = before_words(&text);
        let text = self.names.iter().fold(text, |text, name| replace_word(&text, name, PERSON));
        self.tokens(&text)
    }

    /// A text of several lines without it, line by line.
    pub fn clean_lines(&self, text: &str) -> String {
        text.lines().map(|line| self.clean(line)).collect::<Vec<_>>().join("\n")
    }

    /// A JSON document without it, and whether anything had to go.
    pub fn clean_json(&self, value: &Value) -> (Value, bool) {
        match value {
            Value::String(text) => {
                let clean = self.clean(text);
                let changed = clean != *text;
                (Value::String(clean), changed)
            }
            Value::Array(items) => {
                let (items, changed): (Vec<_>, Vec<_>) = items.iter().map(|item| self.clean_json(item)).unzip();
                (Value::Array(items), changed.contains(&true))
            }
            Value::Object(fields) => {
                let mut changed = false;
                let fields = fields.iter().map(|(key, value)| {
                    let low = key.to_lowercase();
                    let (value, other) = match value {
                        Value::String(_) | Value::Number(_) if FIELDS.iter().any(|f| low.contains(f)) => {
                            (Value::String(PERSON.to_owned()), true)
                        }
                        value => self.clean_json(value),
                    };
                    changed |= other;
                    (key.clone(), value)
                });
                let fields = fields.collect();
                (Value::Object(fields), changed)
            }
            other => (other.clone(), false),
        }
    }

    /// Addresses and tokens, which show by themselves what they are.
    fn tokens(&self, text: &str) -> String {
        let mut out = String::with_capacity(text.len());
        for piece in text.split_inclusive(|c: char| {
            c.is_whitespace() || matches!(c, ',' | ';' | '"' | '\'' | '<' | '>' | '，' | '；' | '。' | '（' | '）')
        }) {
            let token = piece.trim_end_matches(|c: char| !c.is_ascii_alphanumeric() && c != ']');
            let head =
                token.len() - token.trim_start_matches(|c: char| matches!(c, '(' | '{' | '=') || !c.is_ascii()).len();
            let (head, token_text) = token.split_at(head);
            match self.what(token_text) {
                Some(instead) => {
                    out.push_str(head);
                    out.push_str(instead);
                    out.push_str(piece.get(token.len()..).unwrap_or_default());
                }
                None => out.push_str(piece),
            }
        }
        out
    }

    fn what(&self, token: &str) -> Option<&'static str> {
        if token.len() < 3 || self.versions.contains(token) {
            return None;
        }
        if let Some((_, value)) = token.split_once('=')
            && let Some(found) = self.what(value)
        {
            return Some(found);
        }
        if token.starts_with("outband-") && token.len() > 60 {
            return Some(SECRET);
        }
        if let Some((local, domain)) = token.rsplit_once('@')
            && !local.is_empty()
            && domain.contains(|c: char| c.is_ascii_alphanumeric())
        {
            return Some(if token.contains("://") { ADDRESS } else { PERSON });
        }
        let rest = token.split_once("://").map_or(token, |(_, rest)| rest);
        is_address(rest).then_some(ADDRESS)
    }
}

/// `10.1.2.3`, `10.1.2.3:443`, `10.1.2.0/24`, `fe80::1%eth0`, `[fe80::1]:443`, with a path behind it or not.
fn is_address(text: &str) -> bool {
    let host = match text.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => text.split(['/', '%', '?', ']']).next().unwrap_or_default(),
    };
    let host = host.split('%').next().unwrap_or_default();
    if let Ok(address) = host.parse::<std::net::Ipv6Addr>() {
        // A mere `::` is punctuation.
        return !address.is_unspecified();
    }
    let host = host.split(':').next().unwrap_or_default();
    host.parse::<std::net::Ipv4Addr>().is_ok()
}

/// What follows one of these words, where that is wanted out.
fn after_words(text: &str, words: &[&str], instead: &str, wanted: impl Fn(&str) -> bool) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    'text: while let Some(first) = rest.chars().next() {
        let whole = !out.chars().next_back().is_some_and(|c| c.is_ascii_alphanumeric());
        for word in words {
            let Some(head) = rest.get(..word.len()) else { continue };
            if !head.eq_ignore_ascii_case(word) || (!whole && first.is_ascii()) {
                continue;
            }
            let tail = rest.get(word.len()..).unwrap_or_default();
            let gap = tail.len() - tail.trim_start_matches([' ', ':', '=', '：', '是', '\'', '"', '(', '（']).len();
            let (between, tail) = tail.split_at(gap);
            if between.is_empty() && first.is_ascii() {
                continue;
            }
            let end = tail
                .find(|c: char| {
                    c.is_whitespace()
                        || matches!(c, ',' | ';' | '\'' | '"' | ')' | '，' | '；' | '。' | '）')
                        || (!first.is_ascii() && !c.is_ascii())
                })
                .unwrap_or(tail.len());
            // `Authorization: Bearer …`: the scheme is no secret, what follows is.
            let scheme = |value: &str| ["bearer", "basic"].iter().any(|s| value.eq_ignore_ascii_case(s));
            if tail.get(..end).is_some_and(scheme) {
                continue;
            }
            let (value, tail) = tail.split_at(end);
            let value = value.trim_end_matches('.');
            let named = between.contains([':', '=', '：', '\'', '"', '(']);
            if value.is_empty() || value.starts_with('[') || !(named || wanted(value)) {
                continue;
            }
            out.push_str(head);
            out.push_str(between);
            out.push_str(instead);
            rest = tail;
            continue 'text;
        }
        out.push(first);
        rest = rest.get(first.len_utf8()..).unwrap_or_default();
    }
    out
}

/// Whoever `logged in`, on, out or off.
fn before_words(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(" logged ") {
        let (before, tail) = rest.split_at(at);
        let ends = |c: char| c.is_whitespace() || matches!(c, ',' | ';' | '(' | '\'' | '"');
        let start = before.char_indices().rev().find(|(_, c)| ends(*c)).map_or(0, |(i, c)| i + c.len_utf8());
        let (head, name) = before.split_at_checked(start).unwrap_or((before, ""));
        let deed = tail.get(" logged ".len()..).unwrap_or_default();
        let somebody = ["in", "on", "out", "off"].iter().any(|w| deed.starts_with(w));
        let known = name.is_empty() || name.starts_with('[') || NO_NAMES.contains(&name.to_lowercase().as_str());
        out.push_str(head);
        out.push_str(if somebody && !known { PERSON } else { name });
        out.push_str(" logged ");
        rest = deed;
    }
    out.push_str(rest);
    out
}

/// A name wherever it stands as a word of its own; scripts without blanks have no such words.
fn replace_word(text: &str, name: &str, instead: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(name) {
        let (before, tail) = rest.split_at(at);
        let after = tail.get(name.len()..).unwrap_or_default();
        let joins = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
        out.push_str(before);
        let inside = name.is_ascii() && (joins(out.chars().next_back()) || joins(after.chars().next()));
        out.push_str(if inside { name } else { instead });
        rest = after;
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn clean(text: &str) -> String {
        Scrubber::new(["wang".to_owned(), "李伟".to_owned()], ["2.75.75.75".to_owned()]).clean(text)
    }

    #[test]
    fn addresses_of_all_kinds_go() {
        for text in [
            "from 10.1.2.3 and Redfish",
            "at 10.1.2.3:443.",
            "(192.168.7.20)",
            "net 10.0.0.0/8",
            "fe80::1%eth0",
            "[2001:db8::7]:443",
            "https://10.9.8.7/redfish/v1",
            "ip=10.1.2.3",
            "来自10.1.2.3。",
        ] {
            let clean = clean(text);
            assert!(clean.contains(ADDRESS) && !clean.contains("10.") && !clean.contains("::"), "{text} -> {clean}");
        }
    }

    #[test]
    fn a_version_that_looks_like_an_address_stays_where_it_is_known() {
        assert_eq!(clean("updated to 2.75.75.75."), "updated to 2.75.75.75.");
        assert_eq!(clean("updated to 2.81.81.81."), "updated to [address].");
        assert_eq!(clean("at 03:21:34 Foo::Bar 5.10.50.00"), "at 03:21:34 Foo::Bar 5.10.50.00");
    }

    #[test]
    fn people_go_and_what_users_do_stays() {
        assert_eq!(clean("Login of wang, mail wang@example.com"), "Login of [person], mail [person]");
        assert_eq!(clean("using root, from 10.1.2.3"), "using [person], from [address]");
        assert_eq!(clean("user: admin changed it"), "user: [person] changed it");
        assert_eq!(clean("User 'zhao' logged in"), "User '[person]' logged in");
        assert_eq!(clean("User requested power cycle"), "User requested power cycle");
        assert_eq!(clean("用户：admin 登录；李伟已确认"), "用户：[person] 登录；[person]已确认");
        assert_eq!(clean("wangle is a word"), "wangle is a word");
        assert_eq!(clean("cord; lili logged in from 10.1.2.3"), "cord; [person] logged in from [address]");
        assert_eq!(clean("it was logged on Monday, 3 errors logged"), "it was logged on Monday, 3 errors logged");
    }

    #[test]
    fn secrets_go() {
        for text in [
            "password=Hunter2 set",
            "Password: Hunter2",
            "Authorization: Bearer Hunter2",
            "密码是Hunter2",
            "token Hunter2",
        ] {
            let clean = clean(text);
            assert!(clean.contains(SECRET) && !clean.contains("Hunter2"), "{text} -> {clean}");
        }
        let token = format!("see outband-operator-{}", "0".repeat(64));
        assert_eq!(clean(&token), "see [secret]");
    }

    #[test]
    fn fields_of_raw_entries_that_hold_such_go() {
        let raw = serde_json::json!({"Id": "7", "Oem": {"UserName": "root", "ClientIP": "x", "n": 1}, "Message": "from 10.1.2.3"});
        let (clean, changed) = Scrubber::default().clean_json(&raw);
        assert!(changed);
        assert_eq!(
            clean,
            serde_json::json!({"Id": "7", "Oem": {"UserName": "[person]", "ClientIP": "[person]", "n": 1}, "Message": "from [address]"})
        );
        assert!(!Scrubber::default().clean_json(&serde_json::json!({"Id": "7", "Created": "2026-01-01T00:00:00Z"})).1);
    }

    proptest! {
        #[test]
        fn a_known_name_an_address_and_a_password_never_come_through(before in "[ -~\u{4e00}-\u{4e20}]{0,20}", after in "[ -~\u{4e00}-\u{4e20}]{0,20}") {
            let text = format!("{before} 10.20.30.40 wang password=Hunter2 {after}");
            let clean = clean(&text);
            prop_assert!(!clean.contains("10.20.30.40") && !clean.contains(" wang ") && !clean.contains("Hunter2"), "{clean}");
        }

        #[test]
        fn what_was_cleaned_is_clean(text in "\\PC{0,60}") {
            let once = clean(&text);
            prop_assert_eq!(clean(&once), once);
        }
    }
}
