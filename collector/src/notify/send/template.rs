//! Any HTTP API, by templates.

use super::{Message, Refusal, http};
use crate::config::notify::{Content, Http};
use crate::notify::secret::Secret;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

const NAMES: [&str; 7] = ["to", "subject", "body", "key", "ticket", "priority", "secret"];

/// How a value is written where it stands.
#[derive(Debug, Clone, Copy)]
enum Place {
    Url,
    Header,
    Json,
    Form,
    Text,
}

/// What is wrong with the config.
pub(super) fn check(to: &Http) -> Result<(), String> {
    http::check_url(&fill(&to.url, Place::Url, |_| "x".to_owned()))?;
    for text in to.headers.values().chain([&to.url, &to.body]) {
        if text.contains("{secret}") && to.secret_file.is_none() {
            return Err("{secret} stands for the content of secret_file, which is not given".to_owned());
        }
    }
    if matches!(to.content, Content::Json) {
        let sample = fill(&to.body, Place::Json, |_| "1".to_owned());
        serde_json::from_str::<serde_json::Value>(&sample).map_err(|e| format!("body is no JSON: {e}"))?;
    }
    Ok(())
}

pub(super) async fn send(to: &Http, message: &Message) -> Result<(), Refusal> {
    let secret = to.secret_file.as_deref().map(Secret::read).transpose()?;
    let value = |name: &str| match name {
        "to" => message.to.clone(),
        "subject" => message.subject.clone(),
        "body" => message.body.clone(),
        "key" => message.key.clone(),
        "ticket" => message.ticket.to_string(),
        "priority" => format!("P{}", message.priority),
        _ => secret.as_ref().map_or_else(String::new, |s| s.show().to_owned()),
    };
    let (place, content_type) = match to.content {
        Content::Json => (Place::Json, "application/json; charset=utf-8"),
        Content::Form => (Place::Form, "application/x-www-form-urlencoded"),
        Content::Text => (Place::Text, "text/plain; charset=utf-8"),
    };
    let mut request = http::client(to.ca_file.as_deref())?
        .post(fill(&to.url, Place::Url, value))
        .header("Content-Type", content_type)
        .header("Idempotency-Key", &message.key);
    for (name, template) in &to.headers {
        request = request.header(name, fill(template, Place::Header, value));
    }
    let answer = http::post(request.body(fill(&to.body, place, value))).await?;
    match &to.success {
        Some(mark) if !answer.contains(mark.as_str()) => {
            Err(Refusal::later(format!("the answer does not hold {mark:?}")))
        }
        Some(_) | None => Ok(()),
    }
}

/// Puts values for their names, in one pass: what a value says is never taken for a name.
fn fill(template: &str, place: Place, value: impl Fn(&str) -> String) -> String {
    let mut out = String::new();
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('{') {
        out.push_str(before);
        let name = NAMES.into_iter().find(|n| after.strip_prefix(n).is_some_and(|t| t.starts_with('}')));
        match name {
            Some(name) => {
                out.push_str(&escaped(&value(name), place));
                rest = after.get(name.len() + 1..).unwrap_or_default();
            }
            None => {
                out.push('{');
                rest = after;
            }
        }
    }
    out + rest
}

fn escaped(value: &str, place: Place) -> String {
    match place {
        Place::Url | Place::Form => utf8_percent_encode(value, NON_ALPHANUMERIC).to_string(),
        // Line ends would begin another header.
        Place::Header => value.chars().filter(|c| !c.is_control()).collect(),
        Place::Json => {
            let quoted = serde_json::Value::from(value).to_string();
            quoted.trim_start_matches('"').strip_suffix('"').map_or_else(String::new, str::to_owned)
        }
        Place::Text => value.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn whatever_a_value_holds_the_json_stays_that_json(value in "\\PC{0,40}") {
            let text = fill(r#"{"to":"{to}","n":{"x":1}}"#, Place::Json, |_| value.clone());
            let json: serde_json::Value = serde_json::from_str(&text).unwrap();
            prop_assert_eq!(json["to"].as_str(), Some(value.as_str()));
        }
    }

    #[test]
    fn a_value_is_never_taken_for_a_name() {
        assert_eq!(
            fill("{to} {body}", Place::Text, |n| if n == "to" { "{body}".to_owned() } else { n.to_owned() }),
            "{body} body"
        );
    }

    #[test]
    fn a_template_that_cannot_work_is_refused() {
        let http = |body: &str| {
            toml::from_str::<Http>(&format!("url = 'https://sms.example.com/{{to}}'\nbody = '{body}'")).unwrap()
        };
        assert!(check(&http(r#"{"text":"{subject}"}"#)).is_ok());
        assert!(check(&http(r#"{"text":"{subject}"#)).is_err());
        assert!(check(&http(r#"{"key":"{secret}"}"#)).is_err());
    }
}
