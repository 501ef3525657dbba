//! The channels against servers that are not ours: aiosmtpd, Python's HTTP server, rsyslog.

use super::*;
use crate::config::notify::Channel;
use serde_json::Value;
use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Instant;

const USER: &str = "outband-mailer";
const PASSWORD: &str = "planted-password-1";
const SECRET: &str = "planted-secret-2";
const TOKEN: &str = "planted-token-3";

/// A process that ends with its test.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        self.0.kill().unwrap_or_default();
        self.0.wait().unwrap();
    }
}

/// Debian's Python, which has Debian's modules; another one where that is not there.
fn python() -> Command {
    let debian = Path::new("/usr/bin/python3");
    Command::new(if debian.exists() { debian } else { Path::new("python3") })
}

fn has_aiosmtpd() -> bool {
    let there = python().args(["-c", "import aiosmtpd"]).stderr(Stdio::null()).status().is_ok_and(|s| s.success());
    if !there {
        eprintln!("skipped: needs python3 with aiosmtpd (Debian: python3-aiosmtpd)");
    }
    there
}

fn server(script: &str, arguments: &[&str]) -> (Process, u16) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/servers").join(script);
    let mut child = python().arg(path).args(arguments).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    (Process(child), line.trim().parse().unwrap())
}

fn closed(dir: &Path, name: &str, text: &str) -> PathBuf {
    let path = dir.join(name);
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    path
}

/// A directory with a private CA, a server's certificate under it, and secrets.
struct Home {
    dir: tempfile::TempDir,
}

impl Home {
    fn new() -> Self {
        use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
        rustls::crypto::ring::default_provider().install_default().unwrap_or_default();
        let dir = tempfile::tempdir().unwrap();
        for ca in ["ca", "other"] {
            let key = KeyPair::generate().unwrap();
            let mut params = CertificateParams::default();
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            params.distinguished_name.push(rcgen::DnType::CommonName, format!("{ca} of a test"));
            let cert = params.self_signed(&key).unwrap();
            fs::write(dir.path().join(format!("{ca}.pem")), cert.pem()).unwrap();
            if ca == "ca" {
                let issuer = Issuer::new(params, key);
                let own = KeyPair::generate().unwrap();
                let names = vec!["localhost".to_owned()];
                let cert = CertificateParams::new(names).unwrap().signed_by(&own, &issuer).unwrap();
                fs::write(dir.path().join("cert.pem"), cert.pem()).unwrap();
                fs::write(dir.path().join("key.pem"), own.serialize_pem()).unwrap();
            }
        }
        for (name, text) in [("password", PASSWORD), ("wrong", "not-it"), ("secret", SECRET), ("token", TOKEN)] {
            closed(dir.path(), name, text);
        }
        Self { dir }
    }

    fn path(&self, name: &str) -> String {
        self.dir.path().join(name).display().to_string()
    }

    fn smtp(&self, mode: &str, security: &str) -> (Process, u16) {
        let [cert, key, record] = ["cert.pem", "key.pem", "mails"].map(|n| self.path(n));
        let (user, password) = if security == "none" { ("", "") } else { (USER, PASSWORD) };
        server("smtp_modes.py", &[mode, security, &cert, &key, user, password, &record])
    }

    fn email(&self, port: u16, security: &str) -> Channel {
        let login = match security {
            "none" => String::new(),
            _ => format!("user = '{USER}'\npassword_file = '{}'\n", self.path("password")),
        };
        channel(&format!(
            "kind = 'email'\nhost = 'localhost'\nport = {port}\nsecurity = '{security}'\nfrom = 'Outband <outband@example.com>'\n{login}\
             ca_file = '{}'",
            self.path("ca.pem")
        ))
    }

    /// What a server noted, one JSON value a line.
    fn noted(&self, record: &str) -> Vec<Value> {
        let text = fs::read_to_string(self.path(record)).unwrap_or_default();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

fn channel(text: &str) -> Channel {
    let channel: Channel = toml::from_str(text).unwrap();
    check(&channel).unwrap();
    channel
}

async fn tried(channel: &Channel, message: &Message) -> Result<(), Refusal> {
    tried_for(channel, message, 20).await
}

async fn tried_for(channel: &Channel, message: &Message, seconds: u64) -> Result<(), Refusal> {
    let result = send_within(channel, message, Duration::from_secs(seconds)).await;
    if let Err(refusal) = &result {
        let said = format!("{refusal:?}");
        assert!(![PASSWORD, SECRET, TOKEN].iter().any(|planted| said.contains(planted)), "{said}");
        assert!(!said.contains("ops@example.com") && !said.contains("sign="), "{said}");
    }
    result
}

/// Long, in several planes of Unicode, with lines that a mail server could take for commands.
fn hard_text() -> String {
    let line = "温度超限 𠮷野家 🔥 é \t end";
    format!("{line}\n.\n..two dots\nFrom here\n{}\n{line}", "长".repeat(40_000))
}

#[tokio::test]
async fn a_mail_arrives_whole_over_starttls_and_over_tls_from_the_first_byte_under_a_private_ca() {
    if !has_aiosmtpd() {
        return;
    }
    for security in ["starttls", "tls", "none"] {
        let home = Home::new();
        let (_server, port) = home.smtp("ok", security);
        let message = Message { body: hard_text(), ..message() };
        tried(&home.email(port, security), &message).await.unwrap();
        let mail = home.noted("mails").remove(0);
        assert_eq!((&mail["tls"], &mail["login"]), (&(security != "none").into(), &(security != "none").into()));
        assert_eq!(mail["text"].as_str().unwrap().replace("\r\n", "\n").trim_end(), message.body, "{security}");
        assert_eq!(
            (&mail["charset"], &mail["headers"]["subject"]),
            (&"utf-8".into(), &message.subject.as_str().into())
        );
        assert!(mail["longest"].as_u64().unwrap() <= 998 && mail["bare"] == false, "{}", mail["longest"]);
        assert_eq!(mail["headers"]["message-id"], format!("<{}@example.com>", message.key));
        for header in ["references", "in-reply-to"] {
            assert_eq!(mail["headers"][header], "<ticket-7.1800000000000@example.com>", "mails of one ticket thread");
        }
        assert_eq!(mail["headers"]["auto-submitted"], "auto-generated");
    }
}

#[tokio::test]
async fn no_text_can_add_a_header_or_a_recipient() {
    if !has_aiosmtpd() {
        return;
    }
    let home = Home::new();
    let (_server, port) = home.smtp("ok", "starttls");
    let subjects =
        ["web1\r\nBcc: thief@example.com", "温\nBcc: thief@example.com\n\nbody", "a\rBcc: thief@example.com\u{0}"];
    for subject in subjects {
        let message = Message { subject: subject.to_owned(), ..message() };
        tried(&home.email(port, "starttls"), &message).await.unwrap();
    }
    let mails = home.noted("mails");
    assert_eq!(mails.len(), subjects.len());
    for mail in mails {
        assert!(!mail["names"].as_array().unwrap().contains(&"bcc".into()), "{mail}");
        assert_eq!(mail["to"], serde_json::json!(["ops@example.com"]));
        assert!(mail["text"].as_str().unwrap().starts_with("情况：温度超限"), "{mail}");
    }
}

#[tokio::test]
async fn a_mail_server_that_cannot_now_is_asked_again_and_one_that_never_will_is_not() {
    if !has_aiosmtpd() {
        return;
    }
    for (mode, for_good) in [
        ("hang", false),
        ("mute", false),
        ("greylist", false),
        ("busy", false),
        ("forgetful", false),
        ("full", true),
        ("unknown", true),
    ] {
        let home = Home::new();
        let (_server, port) = home.smtp(mode, "starttls");
        let patience = if for_good || !["hang", "mute"].contains(&mode) { 20 } else { 2 };
        let refusal = tried_for(&home.email(port, "starttls"), &message(), patience).await.unwrap_err();
        assert_eq!(refusal.for_good, for_good, "{mode}: {refusal:?}");
        assert!(home.noted("mails").is_empty(), "{mode}");
    }
    let nobody = tried(&Home::new().email(9, "starttls"), &message()).await.unwrap_err();
    assert!(!nobody.for_good && nobody.why.contains("refused"), "{nobody:?}");
}

#[tokio::test]
async fn nothing_is_sent_to_a_mail_server_that_cannot_prove_who_it_is_or_does_not_encrypt() {
    if !has_aiosmtpd() {
        return;
    }
    for security in ["starttls", "tls"] {
        let home = Home::new();
        let (_server, port) = home.smtp("ok", security);
        let Channel::Email(known) = home.email(port, security) else { unreachable!() };
        let mut stranger = known.clone();
        stranger.ca_file = Some(home.path("other.pem").into());
        let mut misnamed = known.clone();
        misnamed.host = "127.0.0.1".to_owned();
        for email in [stranger, misnamed] {
            let refusal = tried(&Channel::Email(email), &message()).await.unwrap_err();
            assert!(!refusal.for_good && refusal.why.to_lowercase().contains("certificate"), "{refusal:?}");
        }
        let mut wrong = known;
        wrong.password_file = Some(home.path("wrong").into());
        let refusal = tried(&Channel::Email(wrong), &message()).await.unwrap_err();
        assert!(!refusal.for_good && refusal.why.contains("535"), "an operator can set that right: {refusal:?}");
        assert!(home.noted("mails").is_empty());
    }
    let home = Home::new();
    let (_plain, port) = home.smtp("ok", "none");
    let refusal = tried(&home.email(port, "starttls"), &message()).await.unwrap_err();
    assert!(!refusal.for_good, "{refusal:?}");
    assert!(home.noted("mails").is_empty());
}

fn now() -> Timestamp {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    Timestamp::from_millis(i64::try_from(since.as_millis()).unwrap())
}

/// A robot's channel; for the SMS provider, a template.
fn robot(home: &Home, kind: &str, port: u16) -> Channel {
    let [ca, token, secret] = ["ca.pem", "token", "secret"].map(|n| home.path(n));
    let base = format!("https://localhost:{port}");
    let (path, signed) = match kind {
        "dingtalk" => ("/robot/send", true),
        "wecom" => ("/cgi-bin/webhook/send", false),
        "feishu" => ("/open-apis/bot/v2/hook", true),
        _ => {
            return channel(&format!(
                "kind = 'http'\nurl = '{base}/sms'\nheaders = {{ Authorization = 'Bearer {{secret}}' }}\ncontent = 'form'\n\
                 body = 'to={{to}}&text={{subject}}&id={{key}}'\nsecret_file = '{secret}'\nca_file = '{ca}'\nsuccess = '\"queued\"'"
            ));
        }
    };
    let signed = if signed { format!("secret_file = '{secret}'\n") } else { String::new() };
    channel(&format!("kind = '{kind}'\nendpoint = '{base}{path}'\ntoken_file = '{token}'\n{signed}ca_file = '{ca}'"))
}

fn robots(home: &Home) -> (Process, u16) {
    let [record, cert, key] = ["posts", "cert.pem", "key.pem"].map(|n| home.path(n));
    server("robots.py", &[TOKEN, SECRET, &record, &cert, &key])
}

#[tokio::test]
async fn every_robot_and_the_sms_provider_take_what_is_signed_and_cut_as_they_want_it() {
    let home = Home::new();
    let (_server, port) = robots(&home);
    let kinds = ["dingtalk", "wecom", "feishu", "sms"];
    for kind in kinds {
        let message = Message { body: hard_text(), now: now(), ..message() };
        tried(&robot(&home, kind, port), &message).await.unwrap_or_else(|refusal| panic!("{kind}: {refusal:?}"));
    }
    let posts = home.noted("posts");
    assert_eq!(posts.len(), kinds.len());
    assert!(posts.iter().all(|post| post["text"].as_str().unwrap().contains("工单 7")), "{posts:?}");
}

#[tokio::test]
async fn a_code_in_an_answer_of_200_is_a_failure() {
    let home = Home::new();
    let (_server, port) = robots(&home);
    closed(home.dir.path(), "secret", "another");
    let message = Message { now: now(), ..message() };
    for (kind, said) in [("dingtalk", "310000"), ("feishu", "19021"), ("sms", "queued")] {
        let refusal = tried(&robot(&home, kind, port), &message).await.unwrap_err();
        assert!(!refusal.for_good && !refusal.rest && refusal.why.contains(said), "{kind}: {refusal:?}");
    }
    closed(home.dir.path(), "token", "another");
    for (kind, said) in [("dingtalk", "300001"), ("wecom", "93000"), ("feishu", "19001")] {
        let refusal = tried(&robot(&home, kind, port), &message).await.unwrap_err();
        assert!(!refusal.for_good && refusal.why.contains(said), "{kind}: {refusal:?}");
    }
}

#[tokio::test]
async fn a_robot_that_was_sent_too_much_is_left_alone_for_a_minute() {
    let home = Home::new();
    let (_server, port) = robots(&home);
    let dingtalk = robot(&home, "dingtalk", port);
    let message = Message { now: now(), ..message() };
    for n in 1..=20 {
        tried(&dingtalk, &message).await.unwrap_or_else(|refusal| panic!("{n}: {refusal:?}"));
    }
    let refusal = tried(&dingtalk, &message).await.unwrap_err();
    assert_eq!((refusal.rest, refusal.after), (true, Some(Duration::from_secs(60))), "{refusal:?}");
    // Its own limit keeps the channel from coming so far.
    assert_eq!(dingtalk.per_minute(), 20);
}

fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

#[tokio::test]
async fn rsyslog_takes_every_message_whole_over_udp_tcp_and_tls() {
    let has = |path: &str| Path::new(path).exists();
    if !has("/usr/sbin/rsyslogd") || !has("/usr/lib/x86_64-linux-gnu/rsyslog/lmnsd_gtls.so") {
        eprintln!("skipped: needs rsyslogd with GnuTLS (Debian: rsyslog rsyslog-gnutls)");
        return;
    }
    let home = Home::new();
    let (udp, tcp, tls) = (free_port(), free_port(), free_port());
    let [ca, cert, key, out, work] = ["ca.pem", "cert.pem", "key.pem", "log", ""].map(|n| home.path(n));
    let config = format!(
        "global(workDirectory=\"{work}\" maxMessageSize=\"16k\" parser.escapeControlCharactersOnReceive=\"off\"\n\
         defaultNetstreamDriverCAFile=\"{ca}\" defaultNetstreamDriverCertFile=\"{cert}\" defaultNetstreamDriverKeyFile=\"{key}\")\n\
         module(load=\"imudp\")\nmodule(load=\"imtcp\")\n\
         template(name=\"fields\" type=\"list\" option.jsonf=\"on\") {{\n\
         property(outname=\"version\" name=\"protocol-version\" format=\"jsonf\") property(outname=\"app\" name=\"app-name\" format=\"jsonf\")\n\
         property(outname=\"id\" name=\"msgid\" format=\"jsonf\") property(outname=\"pri\" name=\"pri\" format=\"jsonf\")\n\
         property(outname=\"data\" name=\"structured-data\" format=\"jsonf\") property(outname=\"msg\" name=\"msg\" format=\"jsonf\")\n\
         property(outname=\"input\" name=\"inputname\" format=\"jsonf\") }}\n\
         ruleset(name=\"keep\") {{ action(type=\"omfile\" file=\"{out}\" template=\"fields\") }}\n\
         input(type=\"imudp\" address=\"127.0.0.1\" port=\"{udp}\" ruleset=\"keep\" name=\"udp\")\n\
         input(type=\"imtcp\" address=\"127.0.0.1\" port=\"{tcp}\" ruleset=\"keep\" name=\"tcp\")\n\
         input(type=\"imtcp\" address=\"127.0.0.1\" port=\"{tls}\" ruleset=\"keep\" name=\"tls\" streamDriver.name=\"gtls\" \
         streamDriver.mode=\"1\" streamDriver.authMode=\"anon\")\n"
    );
    fs::write(home.path("rsyslog.conf"), config).unwrap();
    let mut daemon = Command::new("/usr/sbin/rsyslogd");
    daemon.args(["-n", "-f", &home.path("rsyslog.conf"), "-i", &home.path("pid")]);
    let log = fs::File::create(home.path("stderr")).unwrap();
    let _daemon = Process(daemon.stdout(Stdio::null()).stderr(log).spawn().unwrap());
    let sent = Message { body: hard_text(), priority: 2, ..message() };
    let end = Instant::now() + Duration::from_secs(30);
    for (transport, port, longest) in [("tcp", tcp, 8192), ("tls", tls, 8192), ("udp", udp, 2048)] {
        let text = format!(
            "kind = 'syslog'\nserver = 'localhost:{port}'\ntransport = '{transport}'\nca_file = '{}'",
            home.path("ca.pem")
        );
        let channel = channel(&text);
        let got = loop {
            // It takes a moment to listen; over UDP nobody says whether it does.
            let _sent = tried(&channel, &sent).await.is_ok();
            let found = home.noted("log").into_iter().find(|line| line["input"] == transport);
            match found {
                Some(line) => break line,
                None if Instant::now() > end => {
                    panic!("{transport}: {}", fs::read_to_string(home.path("stderr")).unwrap_or_default())
                }
                None => tokio::time::sleep(Duration::from_millis(50)).await,
            }
        };
        assert_eq!((&got["app"], &got["id"]), (&"outband-collector".into(), &"opened".into()), "{got}");
        assert_eq!((&got["pri"], &got["version"]), (&"130".into(), &"1".into()), "local0, critical");
        assert!(got["data"].as_str().unwrap().contains(&format!("key=\"{}\"", sent.key)), "{got}");
        let msg = got["msg"].as_str().unwrap();
        assert!(msg.contains("工单 7") && msg.contains("𠮷野家 🔥"), "{msg}");
        assert!(
            msg.len() < longest && msg.len() > longest / 2 && !msg.contains('\u{fffd}'),
            "{transport}: {}",
            msg.len()
        );
    }
    let stranger = format!(
        "kind = 'syslog'\nserver = 'localhost:{tls}'\ntransport = 'tls'\nca_file = '{}'",
        home.path("other.pem")
    );
    let refusal = tried(&channel(&stranger), &sent).await.unwrap_err();
    assert!(refusal.why.to_lowercase().contains("certificate"), "{refusal:?}");
}
