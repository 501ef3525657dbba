//! Robots of group chats. All three answer HTTP 200 and tell of failures in the body.
//!
//! DingTalk: `POST …/robot/send?access_token=…&timestamp=MS&sign=…`, the sign being the base64 of HMAC-SHA256 under the secret of
//! `MS\nSECRET`. Feishu: `timestamp` (seconds) and `sign` stand in the body, the sign being the base64 of HMAC-SHA256 of nothing under the
//! key `SECONDS\nSECRET`. WeCom signs nothing.

use super::webhook::hmac_sha256;
use super::{Message, Refusal, http};
use crate::config::notify::Robot;
use crate::notify::secret::Secret;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};
use std::time::Duration;

/// WeCom takes 2048 bytes of text.
const LONGEST_WECOM: usize = 2000;
/// DingTalk takes 20 000 bytes of body, Feishu 20 KB; a byte of text may be two of JSON.
const LONGEST: usize = 9000;

/// Codes that mean "not so fast": three of DingTalk, one of WeCom, one of Feishu.
const TOO_FAST: [i64; 5] = [130_101, 410_100, 90_030, 45_009, 11_232];
/// How long a robot that was too fast is left alone: the limits are by the minute.
const COOL_DOWN: Duration = Duration::from_secs(60);

pub(super) async fn dingtalk(to: &Robot, message: &Message) -> Result<(), Refusal> {
    let token = Secret::read(&to.token_file)?;
    let base = to.endpoint.as_deref().unwrap_or("https://oapi.dingtalk.com/robot/send");
    let mut url = format!("{base}?access_token={}", encoded(token.show()));
    if let Some(file) = &to.secret_file {
        let at = message.now.as_millis();
        let sign = dingtalk_sign(Secret::read(file)?.show(), at);
        url = format!("{url}&timestamp={at}&sign={}", encoded(&sign));
    }
    post(to, &url, &json!({ "msgtype": "text", "text": { "content": text(message, LONGEST) } }), "errcode").await
}

pub(super) async fn wecom(to: &Robot, message: &Message) -> Result<(), Refusal> {
    let token = Secret::read(&to.token_file)?;
    let base = to.endpoint.as_deref().unwrap_or("https://qyapi.weixin.qq.com/cgi-bin/webhook/send");
    let url = format!("{base}?key={}", encoded(token.show()));
    post(to, &url, &json!({ "msgtype": "text", "text": { "content": text(message, LONGEST_WECOM) } }), "errcode").await
}

pub(super) async fn feishu(to: &Robot, message: &Message) -> Result<(), Refusal> {
    let token = Secret::read(&to.token_file)?;
    let base = to.endpoint.as_deref().unwrap_or("https://open.feishu.cn/open-apis/bot/v2/hook");
    let url = format!("{}/{}", base.trim_end_matches('/'), encoded(token.show()));
    let mut body = json!({ "msg_type": "text", "content": { "text": text(message, LONGEST) } });
    if let (Some(file), Some(map)) = (&to.secret_file, body.as_object_mut()) {
        let at = message.now.as_secs();
        map.insert("timestamp".to_owned(), at.to_string().into());
        map.insert("sign".to_owned(), feishu_sign(Secret::read(file)?.show(), at).into());
    }
    post(to, &url, &body, "code").await
}

fn dingtalk_sign(secret: &str, at_ms: i64) -> String {
    STANDARD.encode(hmac_sha256(secret.as_bytes(), format!("{at_ms}\n{secret}").as_bytes()))
}

fn feishu_sign(secret: &str, at_s: i64) -> String {
    STANDARD.encode(hmac_sha256(format!("{at_s}\n{secret}").as_bytes(), b""))
}

/// What stands for itself in an address (RFC 3986, 2.3) stays: a token that is a UUID is not to be altered.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

fn encoded(text: &str) -> String {
    utf8_percent_encode(text, RESERVED).to_string()
}

/// Subject and body; the key last, so that people see what came twice.
fn text(message: &Message, longest: usize) -> String {
    let mut text = format!("{}\n{}", message.subject, message.body);
    if text.len() > longest {
        text.truncate(text.floor_char_boundary(longest));
        text.push('…');
    }
    format!("{text}\n#{}", message.key.get(..8).unwrap_or_default())
}

async fn post(to: &Robot, url: &str, body: &Value, code: &str) -> Result<(), Refusal> {
    let request = http::client(to.ca_file.as_deref())?
        .post(url)
        .header("Content-Type", "application/json; charset=utf-8")
        .body(body.to_string());
    judge(&http::post(request).await?, code)
}

fn judge(answer: &str, field: &str) -> Result<(), Refusal> {
    let parsed: Option<Value> = serde_json::from_str(answer).ok();
    match parsed.as_ref().and_then(|v| v.get(field)).and_then(Value::as_i64) {
        Some(0) => Ok(()),
        Some(code) if TOO_FAST.contains(&code) => {
            Err(Refusal { after: Some(COOL_DOWN), rest: true, ..Refusal::later(format!("{field} {code}: too fast")) })
        }
        // A wrong token or sign: an operator can set it right, and the notice is not lost until then.
        Some(code) => Err(Refusal::later(format!("{field} {code}"))),
        None => Err(Refusal::later(format!("the answer has no {field}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::super::message;
    use super::*;

    #[test]
    fn an_answer_of_200_is_not_yet_a_delivery() {
        assert!(judge(r#"{"errcode":0,"errmsg":"ok"}"#, "errcode").is_ok());
        let wrong = judge(r#"{"errcode":310000,"errmsg":"sign not match"}"#, "errcode").unwrap_err();
        assert!(!wrong.for_good && wrong.after.is_none());
        assert_eq!(judge(r#"{"errcode":45009}"#, "errcode").unwrap_err().after, Some(COOL_DOWN));
        assert!(judge("<html>", "errcode").is_err());
    }

    #[test]
    fn a_text_fits_and_is_cut_between_characters() {
        let long = Message { body: "温".repeat(3000), ..message() };
        let text = text(&long, LONGEST_WECOM);
        assert!(text.len() <= 2048 && text.len() > 1990, "{}", text.len());
        assert!(text.ends_with("\n#00112233"));
    }

    #[test]
    fn the_signs_are_those_of_the_services_own_examples() {
        // Computed with the Python programs in both services' manuals: `hmac.new(secret, f'{ms}\n{secret}', sha256)` and
        // `hmac.new(f'{s}\n{secret}', digestmod=sha256)`, base64.
        assert_eq!(dingtalk_sign("SECabc", 1_577_262_236_757), "I5TKCOTTj6fad4sJ4q9RsIffw0PAChVQZQGTdtRbNEQ=");
        assert_eq!(feishu_sign("demo", 1_599_360_473), "l1N0gAcBjdwBvGm1xMjOF0XSyaLRpR7tuO5dHfhAYc8=");
    }

    /// Answers one request with `answer`; gives back its first line and its body.
    async fn one_request(listener: tokio::net::TcpListener, answer: &str) -> (String, Value) {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let mut stream = listener.accept().await.unwrap().0;
        let mut bytes = Vec::new();
        loop {
            stream.read_buf(&mut bytes).await.unwrap();
            let text = String::from_utf8_lossy(&bytes).into_owned();
            if let Some((head, body)) = text.split_once("\r\n\r\n")
                && let Ok(json) = serde_json::from_str(body)
            {
                let response = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{answer}", answer.len());
                stream.write_all(response.as_bytes()).await.unwrap();
                return (head.lines().next().unwrap().to_owned(), json);
            }
        }
    }

    #[tokio::test]
    async fn each_robot_gets_what_its_service_documents() {
        use std::os::unix::fs::PermissionsExt;
        rustls::crypto::ring::default_provider().install_default().unwrap_or_default();
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("secret");
        std::fs::write(&file, "to/ken").unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
        for kind in ["dingtalk", "wecom", "feishu"] {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            let robot = Robot {
                token_file: file.clone(),
                secret_file: Some(file.clone()),
                endpoint: Some(format!("http://{}/send", listener.local_addr().unwrap())),
                ca_file: None,
                per_minute: 20,
            };
            let message = message();
            let sent = async {
                match kind {
                    "dingtalk" => dingtalk(&robot, &message).await,
                    "wecom" => wecom(&robot, &message).await,
                    _ => feishu(&robot, &message).await,
                }
            };
            let answer = r#"{"errcode":0,"code":0}"#;
            let (sent, (line, body)) = tokio::join!(sent, one_request(listener, answer));
            sent.unwrap();
            let content = |v: &Value| v["content"].as_str().unwrap_or_default().starts_with("【P1】工单 7");
            match kind {
                "dingtalk" => {
                    assert!(
                        line.starts_with("POST /send?access_token=to%2Fken&timestamp=1800000005000&sign="),
                        "{line}"
                    );
                    assert!(body["msgtype"] == "text" && content(&body["text"]), "{body}");
                }
                "wecom" => {
                    assert!(line.starts_with("POST /send?key=to%2Fken "), "{line}");
                    assert!(body["msgtype"] == "text" && content(&body["text"]), "{body}");
                }
                _ => {
                    assert!(line.starts_with("POST /send/to%2Fken "), "{line}");
                    assert!(
                        body["msg_type"] == "text" && body["content"]["text"].as_str().unwrap().contains("工单 7"),
                        "{body}"
                    );
                    assert!(body["timestamp"] == "1800000005" && body["sign"].is_string(), "{body}");
                }
            }
        }
    }
}
