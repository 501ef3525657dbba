//! Syslog: RFC 5424 messages over UDP (RFC 5426), TCP (RFC 6587, octet counting) or TLS (RFC 5425). Nobody answers: what was written to the
//! socket counts as delivered.

use super::{Message, Refusal};
use crate::config::notify::{Syslog, Transport};
use rustls::pki_types::{CertificateDer, ServerName, pem::PemObject};
use std::sync::Arc;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpStream, UdpSocket};
use tokio_rustls::TlsConnector;

/// The enterprise number that is kept for documentation (RFC 5612): the project has none of its own.
const ENTERPRISE: u32 = 32_473;

/// A datagram holds no more, in bytes: what every receiver should take whole (RFC 5426, 3.2).
const LONGEST_DATAGRAM: usize = 2048;
/// A message over a connection holds no more, in bytes: what every receiver should take whole (RFC 5425, 4.3.1).
const LONGEST: usize = 8192;

/// What is wrong with the config.
pub(super) fn check(to: &Syslog) -> Result<(), String> {
    let port = to.server.rsplit_once(':').and_then(|(host, port)| (!host.is_empty()).then(|| port.parse::<u16>()));
    match port {
        Some(Ok(port)) if port > 0 => {}
        Some(_) | None => return Err("server: write a host and a port, e.g. \"logs.example.com:6514\"".to_owned()),
    }
    if to.facility > 23 {
        return Err("facility: 0 to 23".to_owned());
    }
    Ok(())
}

pub(super) async fn send(to: &Syslog, message: &Message) -> Result<(), Refusal> {
    let longest = if matches!(to.transport, Transport::Udp) { LONGEST_DATAGRAM } else { LONGEST };
    let line = cut(line(to.facility, message), longest);
    let failed = |e: std::io::Error| Refusal::later(format!("{}: {e}", to.server));
    match to.transport {
        Transport::Udp => {
            let any = if to.server.starts_with('[') { "[::]:0" } else { "0.0.0.0:0" };
            let socket = UdpSocket::bind(any).await.map_err(failed)?;
            socket.send_to(line.as_bytes(), &to.server).await.map(drop).map_err(failed)
        }
        Transport::Tcp => {
            let stream = TcpStream::connect(&to.server).await.map_err(failed)?;
            write(stream, &line).await.map_err(failed)
        }
        Transport::Tls => {
            let stream = TcpStream::connect(&to.server).await.map_err(failed)?;
            let host = to.server.rsplit_once(':').map_or("", |(host, _)| host).trim_matches(['[', ']']).to_owned();
            let name = ServerName::try_from(host).map_err(|e| Refusal::for_good(e.to_string()))?;
            let stream = connector(to)?.connect(name, stream).await.map_err(failed)?;
            write(stream, &line).await.map_err(failed)
        }
    }
}

async fn write(mut stream: impl tokio::io::AsyncWrite + Unpin, line: &str) -> std::io::Result<()> {
    stream.write_all(format!("{} {line}", line.len()).as_bytes()).await?;
    stream.flush().await?;
    stream.shutdown().await
}

fn connector(to: &Syslog) -> Result<TlsConnector, Refusal> {
    let mut roots = rustls::RootCertStore::empty();
    let path = to.ca_file.clone().unwrap_or_else(|| "/etc/ssl/certs/ca-certificates.crt".into());
    let bad = |e: &dyn std::fmt::Display| Refusal::later(format!("{}: {e}", path.display()));
    for certificate in CertificateDer::pem_file_iter(&path).map_err(|e| bad(&e))? {
        // One that cannot be read serves nobody; the others do.
        roots.add(certificate.map_err(|e| bad(&e))?).unwrap_or_default();
    }
    let config = rustls::ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}

/// As much of a line as fits, in whole characters.
fn cut(mut line: String, longest: usize) -> String {
    line.truncate(line.floor_char_boundary(longest));
    line
}

/// `<PRI>1 TIME HOST APP PID MSGID [DATA] BOM TEXT`, in one line.
fn line(facility: u8, message: &Message) -> String {
    // alert, critical, warning, notice
    let severity = match message.priority {
        1 => 1,
        2 => 2,
        3 => 4,
        _ => 5,
    };
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let host: String = host.chars().filter(char::is_ascii_graphic).take(255).collect();
    let host = if host.is_empty() { "-" } else { &host };
    let data = format!(
        "[outband@{ENTERPRISE} ticket=\"{}\" seq=\"{}\" priority=\"P{}\" key=\"{}\"]",
        message.ticket, message.seq, message.priority, message.key
    );
    let text: String = format!("{} | {}", message.subject, message.body)
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    format!(
        "<{}>1 {} {host} outband-collector {} {} {data} \u{feff}{text}",
        u16::from(facility) * 8 + severity,
        message.now,
        std::process::id(),
        message.cause,
    )
}

#[cfg(test)]
mod tests {
    use super::super::message;
    use super::*;

    #[test]
    fn a_message_is_one_line_of_rfc_5424() {
        let line = line(16, &message());
        assert!(line.starts_with("<129>1 20"), "{line}");
        let fields: Vec<&str> = line.splitn(7, ' ').collect();
        assert_eq!((fields[3], fields[5]), ("outband-collector", "opened"));
        assert!(fields[1].ends_with('Z') && fields[6].starts_with("[outband@32473 ticket=\"7\""), "{line}");
        assert!(!line.contains('\n') && line.contains('\u{feff}'));
    }

    #[tokio::test]
    async fn a_message_over_tcp_counts_its_octets() {
        use tokio::io::AsyncReadExt;
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let to: Syslog = toml::from_str(&format!("server = '{}'", listener.local_addr().unwrap())).unwrap();
        check(&to).unwrap();
        let message = message();
        let (sent, heard) = tokio::join!(send(&to, &message), async {
            let mut text = String::new();
            listener.accept().await.unwrap().0.read_to_string(&mut text).await.unwrap();
            text
        });
        sent.unwrap();
        let (count, line) = heard.split_once(' ').unwrap();
        assert_eq!(count.parse::<usize>().unwrap(), line.len());
    }
}
