//! E-mail by SMTP.

use super::http::chain;
use super::{Message, Refusal};
use crate::config::notify::{Email, Security};
use crate::notify::secret::Secret;
use lettre::message::header::{ContentType, HeaderName, HeaderValue};
use lettre::message::{Mailbox, Message as Mail};
use lettre::transport::smtp::AsyncSmtpTransportBuilder;
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, Tls, TlsParameters};
use lettre::{AsyncSmtpTransport, AsyncTransport, Tokio1Executor};
use std::time::Duration;

/// What is wrong with the config.
pub(super) fn check(to: &Email) -> Result<(), String> {
    to.from.parse::<Mailbox>().map_err(|_| format!("from: {:?} is no mail address", to.from))?;
    if to.user.is_some() != to.password_file.is_some() {
        return Err("user and password_file belong together".to_owned());
    }
    if to.user.is_some() && to.security == Security::None {
        return Err("a password would travel in the clear: choose starttls or tls".to_owned());
    }
    Ok(())
}

pub(super) async fn send(to: &Email, message: &Message) -> Result<(), Refusal> {
    let mail = mail(to, message)?;
    let answer = transport(to)?.send(mail).await;
    answer.map(drop).map_err(|e| {
        // A password that the server does not take is for an operator to set right; the mail can wait for that.
        let login = e.status().is_some_and(|code| [530, 534, 535, 538].contains(&u16::from(code)));
        Refusal { for_good: e.is_permanent() && !login, after: None, rest: false, why: chain(&e) }
    })
}

fn mail(to: &Email, message: &Message) -> Result<Mail, Refusal> {
    let bad = |what: &str| Refusal::for_good(format!("{what} is no mail address"));
    let from: Mailbox = to.from.parse().map_err(|_| bad("the sender's"))?;
    let recipient: Mailbox = message.to.parse().map_err(|_| bad("the recipient's"))?;
    let domain = from.email.domain().to_owned();
    let key = HeaderName::new_from_ascii_str("Idempotency-Key");
    // The same on every delivery: mailboxes that know a Message-ID already show the mail once.
    let mut mail = Mail::builder()
        .from(from)
        .to(recipient)
        .subject(&message.subject)
        .message_id(Some(format!("<{}@{domain}>", message.key)))
        .raw_header(HeaderValue::new(key, message.key.clone()))
        .raw_header(HeaderValue::new(HeaderName::new_from_ascii_str("Auto-Submitted"), "auto-generated".to_owned()));
    if let Some(thread) = &message.thread {
        // A mail that nobody got is the first of the thread: all others refer to it.
        let root = format!("<{thread}@{domain}>");
        mail = mail.in_reply_to(root.clone()).references(root);
    }
    if let Ok(seconds) = u64::try_from(message.made_at.as_secs()) {
        mail = mail.date(std::time::SystemTime::UNIX_EPOCH + Duration::from_secs(seconds));
    }
    mail.header(ContentType::TEXT_PLAIN).body(message.body.clone()).map_err(|e| Refusal::for_good(e.to_string()))
}

fn transport(to: &Email) -> Result<AsyncSmtpTransport<Tokio1Executor>, Refusal> {
    let (tls, port) = match to.security {
        Security::Tls => (Tls::Wrapper(parameters(to)?), 465),
        Security::Starttls => (Tls::Required(parameters(to)?), 587),
        Security::None => (Tls::None, 25),
    };
    let mut builder: AsyncSmtpTransportBuilder =
        AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(&to.host).port(to.port.unwrap_or(port)).tls(tls);
    if let (Some(user), Some(file)) = (&to.user, &to.password_file) {
        builder = builder.credentials(Credentials::new(user.clone(), Secret::read(file)?.show().to_owned()));
    }
    Ok(builder.timeout(Some(Duration::from_secs(20))).build())
}

fn parameters(to: &Email) -> Result<TlsParameters, Refusal> {
    let mut builder = TlsParameters::builder(to.host.clone());
    if let Some(path) = &to.ca_file {
        let pem = std::fs::read(path).map_err(|e| Refusal::later(format!("cannot read {}: {e}", path.display())))?;
        let bad = |e| Refusal::later(format!("{} is no certificate: {e}", path.display()));
        builder = builder.add_root_certificate(Certificate::from_pem(&pem).map_err(bad)?);
    }
    builder.build_rustls().map_err(|e| Refusal::later(chain(&e)))
}

#[cfg(test)]
mod tests {
    use super::super::message;
    use super::*;

    fn channel() -> Email {
        toml::from_str("host = 'mail.example.com'\nfrom = 'Outband <outband@example.com>'").unwrap()
    }

    #[test]
    fn every_delivery_of_a_notice_is_the_same_mail() {
        let mail = |m: &Message| String::from_utf8(mail(&channel(), m).unwrap().formatted()).unwrap();
        let later = Message { now: message().now.plus(Duration::from_secs(600)), ..message() };
        let text = mail(&message());
        assert_eq!(text, mail(&later));
        assert!(text.contains("Message-ID: <00112233445566778899aabbccddeeff@example.com>"), "{text}");
    }

    #[test]
    fn a_password_is_never_sent_in_the_clear() {
        let mut channel = channel();
        channel.user = Some("outband".to_owned());
        channel.password_file = Some("/etc/outband/mail".into());
        assert!(check(&channel).is_ok());
        channel.security = Security::None;
        assert!(check(&channel).is_err());
    }
}
