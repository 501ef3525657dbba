//! What can go wrong, said so that the reader knows what to do next.

use crate::words::{Lang, Word};
use std::path::PathBuf;
use tonic::Code;

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The command line makes no sense.
    #[error("{0}")]
    Usage(String),
    /// A file cannot be read.
    #[error("{path}: {source}")]
    File { path: PathBuf, source: std::io::Error },
    /// A file holds something else than it should.
    #[error("{path}: {detail}")]
    Content { path: PathBuf, detail: String },
    /// No token or no CA is known.
    #[error("no {what} given and none found in {looked}")]
    NoCredentials { what: &'static str, looked: String },
    /// Nobody answers, or it is not the one we trust.
    #[error("{endpoint}: {detail}")]
    Unreachable { endpoint: String, detail: String },
    /// The collector answered with an error.
    #[error("{}", .0.message())]
    Status(Box<tonic::Status>),
    /// The audit log is not what was written.
    #[error("entry {seq} of the audit log is not as it was written: {how}")]
    Broken { seq: i64, how: String },
    /// The answer was shown, and is no good news: the exit code says so.
    #[error("see above")]
    Told { exit_code: u8 },
    /// The answer cannot be printed.
    #[error("{0}")]
    Output(std::io::Error),
    /// The answer cannot be written in this format.
    #[error("the answer cannot be written: {0}")]
    Encode(String),
}

impl From<tonic::Status> for Error {
    fn from(status: tonic::Status) -> Self {
        Error::Status(Box::new(status))
    }
}

impl Error {
    /// 1 error, 2 usage, 3 not found, 4 unreachable, 5 denied; 6 and 7 of health checks: findings, not read.
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Error::Told { exit_code } => *exit_code,
            Error::Usage(_) => 2,
            Error::Unreachable { .. } => 4,
            Error::NoCredentials { .. } => 5,
            Error::Status(status) => match status.code() {
                Code::InvalidArgument | Code::OutOfRange => 2,
                Code::NotFound => 3,
                Code::Unavailable | Code::DeadlineExceeded => 4,
                Code::Unauthenticated | Code::PermissionDenied => 5,
                _ => 1,
            },
            Error::File { .. } | Error::Content { .. } | Error::Broken { .. } | Error::Output(_) | Error::Encode(_) => {
                1
            }
        }
    }

    /// Whether the reader of our output has gone, as `head` does.
    pub(crate) fn is_closed_pipe(&self) -> bool {
        matches!(self, Error::Output(e) if e.kind() == std::io::ErrorKind::BrokenPipe)
    }

    /// Whether everything was said already.
    pub(crate) fn is_told(&self) -> bool {
        matches!(self, Error::Told { .. })
    }

    /// Whether trying again may help.
    pub(crate) fn is_unreachable(&self) -> bool {
        self.exit_code() == 4
    }

    /// The likely cause and the next step, where they are known.
    fn advice(&self) -> Option<(Word, &'static str)> {
        match self {
            Error::Unreachable { detail, .. } if detail.to_lowercase().contains("certificate") => {
                Some((Word::LikelyOtherCa, "outband --ca FILE …"))
            }
            Error::Unreachable { .. } => Some((Word::LikelyNotRunning, "systemctl status outband-collector")),
            Error::NoCredentials { .. } => Some((Word::LikelyNotOnCollector, "outband --ca FILE --token-file FILE …")),
            Error::Usage(_) => Some((Word::LikelyWrongValue, "outband COMMAND --help")),
            Error::Status(status) => match status.code() {
                Code::InvalidArgument | Code::OutOfRange => Some((Word::LikelyWrongValue, "outband COMMAND --help")),
                Code::NotFound => Some((Word::LikelyMistyped, "outband servers; outband tickets --help")),
                Code::Unavailable | Code::DeadlineExceeded => {
                    Some((Word::LikelyNotRunning, "systemctl status outband-collector"))
                }
                Code::Unauthenticated => Some((Word::LikelyOldToken, "outband --token-file FILE …")),
                Code::PermissionDenied => Some((Word::LikelyOtherRole, "outband --token-file FILE …")),
                Code::FailedPrecondition | Code::Aborted => Some((Word::LikelyMoved, "outband tickets get NUMBER")),
                Code::Unimplemented => Some((Word::LikelyOtherVersion, "outband --version")),
                Code::Internal | Code::Unknown | Code::DataLoss => {
                    Some((Word::LikelyCollectorFault, "journalctl -u outband-collector"))
                }
                _ => None,
            },
            _ => None,
        }
    }

    /// Says it on standard error.
    pub(crate) fn report(&self, lang: Lang) {
        eprintln!("{}: {self}", Word::Error.text(lang));
        if let Some((likely, next)) = self.advice() {
            eprintln!("  {}: {}", Word::Likely.text(lang), likely.text(lang));
            eprintln!("  {}: {next}", Word::Next.text(lang));
        }
    }
}
