//! What all HTTP channels share.

use super::Refusal;
use reqwest::header::{HeaderMap, RETRY_AFTER};
use reqwest::{Certificate, Client, RequestBuilder, StatusCode, Url};
use std::path::Path;
use std::time::{Duration, SystemTime};

/// An answer is read no further than this: a service that says more says nothing that matters here.
const LONGEST_ANSWER: usize = 16 << 10;

/// Whether an address can be posted to.
pub(super) fn check_url(url: &str) -> Result<(), String> {
    match url.parse::<Url>() {
        Ok(url) if matches!(url.scheme(), "http" | "https") && url.has_host() => Ok(()),
        Ok(_) | Err(_) => Err("the address must begin with https:// (or http://) and name a host".to_owned()),
    }
}

/// A client that follows no redirect: what is signed for one address is for no other.
pub(super) fn client(ca_file: Option<&Path>) -> Result<Client, Refusal> {
    let mut builder = Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(Duration::from_secs(10))
        .user_agent(concat!("outband-collector/", env!("CARGO_PKG_VERSION")));
    if let Some(path) = ca_file {
        let pem = std::fs::read(path).map_err(|e| Refusal::later(format!("cannot read {}: {e}", path.display())))?;
        let bad = |e| Refusal::later(format!("{} is no certificate: {e}", path.display()));
        for certificate in Certificate::from_pem_bundle(&pem).map_err(bad)? {
            builder = builder.add_root_certificate(certificate);
        }
    }
    builder.build().map_err(|e| Refusal::later(e.without_url().to_string()))
}

/// Sends a request; answers the text of an answer that says yes.
pub(super) async fn post(request: RequestBuilder) -> Result<String, Refusal> {
    // The address may hold a token: it goes into no error.
    let failed = |e: reqwest::Error| Refusal::later(chain(&e.without_url()));
    let mut answer = request.send().await.map_err(failed)?;
    let (status, headers) = (answer.status(), answer.headers().clone());
    let mut body = Vec::new();
    while body.len() < LONGEST_ANSWER {
        match answer.chunk().await.map_err(failed)? {
            Some(chunk) => body.extend_from_slice(&chunk),
            None => break,
        }
    }
    body.truncate(LONGEST_ANSWER);
    let text = String::from_utf8_lossy(&body).into_owned();
    if status.is_success() { Ok(text) } else { Err(refused(status, &headers)) }
}

fn refused(status: StatusCode, headers: &HeaderMap) -> Refusal {
    let why = format!("HTTP {status}");
    // A client's error stays one however often it is made; these pass, the first two once an operator gives us another secret.
    let passes = [
        StatusCode::UNAUTHORIZED,
        StatusCode::FORBIDDEN,
        StatusCode::REQUEST_TIMEOUT,
        StatusCode::TOO_EARLY,
        StatusCode::TOO_MANY_REQUESTS,
    ];
    if status.is_client_error() && !passes.contains(&status) {
        return Refusal::for_good(why);
    }
    let after = headers.get(RETRY_AFTER).and_then(|v| v.to_str().ok()).and_then(|v| retry_after(v, SystemTime::now()));
    let rest = status == StatusCode::TOO_MANY_REQUESTS && after.is_some();
    Refusal { after, rest, ..Refusal::later(why) }
}

/// Seconds, or a date (RFC 9110, 10.2.3).
fn retry_after(value: &str, now: SystemTime) -> Option<Duration> {
    if let Ok(seconds) = value.trim().parse() {
        return Some(Duration::from_secs(seconds));
    }
    let at = jiff::fmt::rfc2822::parse(value.trim()).ok()?.timestamp();
    SystemTime::from(at).duration_since(now).ok()
}

/// An error with its causes: the outermost says little.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let words = error.to_string();
        if !text.contains(&words) {
            text = format!("{text}: {words}");
        }
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_other_sides_wish_is_read_as_seconds_and_as_a_date() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777 - 60);
        assert_eq!(retry_after("120", now), Some(Duration::from_secs(120)));
        assert_eq!(retry_after("Sun, 06 Nov 1994 08:49:37 GMT", now), Some(Duration::from_secs(60)));
        assert_eq!(retry_after("soon", now), None);
    }

    #[test]
    fn a_clients_error_is_for_good_and_a_servers_is_not() {
        let of = |status| refused(status, &HeaderMap::new()).for_good;
        assert!(of(StatusCode::NOT_FOUND) && of(StatusCode::BAD_REQUEST) && of(StatusCode::GONE));
        assert!(
            !of(StatusCode::UNAUTHORIZED)
                && !of(StatusCode::TOO_MANY_REQUESTS)
                && !of(StatusCode::SERVICE_UNAVAILABLE)
                && !of(StatusCode::FOUND)
        );
    }

    #[test]
    fn only_web_addresses_can_be_posted_to() {
        assert!(check_url("https://hooks.example.com/x").is_ok());
        assert!(check_url("file:///etc/passwd").is_err() && check_url("hooks.example.com").is_err());
    }
}
