//! Signed JSON to an address of the operator's. The receiver checks `Outband-Signature: v1=HEX`, the HMAC-SHA256 under the shared secret of
//! `TIMESTAMP.BODY`, where the timestamp (Unix seconds) is `Outband-Timestamp`; it refuses what is too old, and knows a notice that comes
//! twice by its `Idempotency-Key`.

use super::{Message, Refusal, http};
use crate::config::notify::Webhook;
use crate::notify::secret::Secret;
use hmac::{Hmac, KeyInit, Mac};
use serde::Serialize;
use sha2::Sha256;

#[derive(Serialize)]
struct Body<'a> {
    key: &'a str,
    ticket: String,
    seq: u32,
    cause: &'a str,
    priority: String,
    lang: &'a str,
    to: &'a str,
    subject: &'a str,
    body: &'a str,
    made_at: String,
}

pub(super) async fn send(to: &Webhook, message: &Message) -> Result<(), Refusal> {
    let secret = Secret::read(&to.secret_file)?;
    let body = body(message)?;
    let at = message.now.as_secs();
    let request = http::client(to.ca_file.as_deref())?
        .post(&to.url)
        .header("Content-Type", "application/json")
        .header("Idempotency-Key", &message.key)
        .header("Outband-Timestamp", at)
        .header("Outband-Signature", format!("v1={}", signature(secret.show(), at, &body)))
        .body(body);
    http::post(request).await.map(drop)
}

/// The body; the same bytes on every delivery.
fn body(message: &Message) -> Result<String, Refusal> {
    let body = Body {
        key: &message.key,
        ticket: format!("tickets/{}", message.ticket),
        seq: message.seq,
        cause: &message.cause,
        priority: format!("P{}", message.priority),
        lang: &message.lang,
        to: &message.to,
        subject: &message.subject,
        body: &message.body,
        made_at: message.made_at.to_string(),
    };
    serde_json::to_string(&body).map_err(|e| Refusal::for_good(e.to_string()))
}

fn signature(secret: &str, at: i64, body: &str) -> String {
    hmac_sha256(secret.as_bytes(), format!("{at}.{body}").as_bytes()).iter().map(|b| format!("{b:02x}")).collect()
}

/// HMAC-SHA256 (RFC 2104).
pub(super) fn hmac_sha256(key: &[u8], text: &[u8]) -> Vec<u8> {
    // HMAC takes keys of any length.
    match Hmac::<Sha256>::new_from_slice(key) {
        Ok(mut mac) => {
            mac.update(text);
            mac.finalize().into_bytes().to_vec()
        }
        Err(_) => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::message;
    use super::*;

    #[test]
    fn the_signature_is_that_of_rfc_4231() {
        // Test case 2.
        let mac = hmac_sha256(b"Jefe", b"what do ya want for nothing?");
        let hex: String = mac.iter().map(|b| format!("{b:02x}")).collect();
        assert_eq!(hex, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    }

    #[test]
    fn the_body_does_not_change_with_the_time_of_the_try() {
        let later = Message { now: message().now.plus(std::time::Duration::from_secs(600)), ..message() };
        assert_eq!(body(&message()), body(&later));
        assert_ne!(signature("s", 1, "x"), signature("s", 2, "x"));
    }
}
