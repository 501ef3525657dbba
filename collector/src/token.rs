//! Bearer tokens: who may send, and who may ask.
//!
//! `agent.token` and `operator.token` are made on the first start. More are made by `outband-collector token`; of those only
//! the SHA-256 digest is kept, in `tokens.d/<role>.<name>`. Removing the file and reloading revokes the token.

use crate::datadir::{self, DataDir, Secrecy};
use outband_schemas::AgentId;
use rand::TryRng;
use sha2::{Digest, Sha256};
use std::fmt;
use std::fs;
use std::io;
use std::path::PathBuf;
use subtle::ConstantTimeEq;

/// The directory of further tokens.
const MORE: &str = "tokens.d";

/// Why tokens cannot be loaded or made.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The data directory failed.
    #[error(transparent)]
    DataDir(#[from] datadir::Error),
    /// The directory of further tokens cannot be read.
    #[error("cannot read {path}: {source}")]
    List {
        /// The directory.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// A file holds no token.
    #[error("{path} holds no {what}; remove it, and a new one can be made")]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What it should hold.
        what: &'static str,
    },
    /// A name that cannot be one.
    #[error("a token's name is 1 to 64 letters, digits, - and _: {0:?} is not")]
    Name(String),
    /// There is a token of this name.
    #[error("there is a token for {role} {name} already; remove {path} to revoke it first")]
    Exists {
        /// Its role.
        role: Role,
        /// Its name.
        name: String,
        /// Its file.
        path: PathBuf,
    },
    /// The system gave no random bytes.
    #[error("the system gave no random bytes: {0}")]
    Random(String),
}

/// What a token is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// May send observations.
    Agent,
    /// May ask, and move tickets.
    Operator,
}

impl Role {
    /// Both roles.
    pub const ALL: [Role; 2] = [Role::Agent, Role::Operator];

    /// The word used in file names and messages.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Agent => "agent",
            Self::Operator => "operator",
        }
    }

    /// The permission that its tokens carry.
    pub fn permission(self) -> &'static str {
        match self {
            Self::Agent => "ingest.stream",
            Self::Operator => "fleet.operate",
        }
    }

    /// The file of the token made on the first start.
    pub fn token_file(self) -> String {
        format!("{}.token", self.as_str())
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Who presented a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    /// What it may do.
    pub role: Role,
    /// Its name, for the log of a ticket.
    pub name: String,
    /// Whether it is the token of the first start, which all share. A further agent token speaks for the agent of its name only.
    pub shared: bool,
}

impl Principal {
    /// Whether this principal may say hello as `agent`.
    pub fn speaks_for(&self, agent: &AgentId) -> bool {
        self.role == Role::Agent && (self.shared || self.name == agent.as_str())
    }
}

/// A token in clear. Shown once, never logged.
pub struct Token(String);

impl Token {
    /// The text that goes into the `authorization: Bearer` header.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(..)")
    }
}

type Sha = [u8; 32];

/// Every token that is let in. Holds digests only.
#[derive(Debug, Clone, Default)]
pub struct Tokens {
    known: Vec<(Sha, Principal)>,
}

impl Tokens {
    /// Loads the tokens of the directory; makes those of the first start where they are missing.
    pub fn load_or_make(dir: &DataDir) -> Result<Self, Error> {
        let mut known = Vec::new();
        for role in Role::ALL {
            let file = role.token_file();
            let text = match dir.read(&file)? {
                Some(text) => text,
                None => {
                    let token = generate(role)?;
                    let path = dir.write(&file, &format!("{}\n", token.reveal()), Secrecy::Secret)?;
                    tracing::info!(path = %path.display(), %role, "made a token");
                    token.0
                }
            };
            let text = text.trim();
            if text.len() < 32 {
                return Err(Error::Malformed { path: dir.path(&file), what: "token of at least 32 characters" });
            }
            known.push((sha256(text), Principal { role, name: role.as_str().to_owned(), shared: true }));
        }
        known.extend(load_more(dir)?);
        Ok(Self { known })
    }

    /// Whose token this is. The time it takes does not depend on how much of a token is right.
    pub fn find(&self, presented: &str) -> Option<&Principal> {
        let presented = sha256(presented);
        let mut found = None;
        for (digest, principal) in &self.known {
            if bool::from(digest.ct_eq(&presented)) {
                found = Some(principal);
            }
        }
        found
    }
}

/// Makes a further token, keeps its digest and returns it: this is the only time it can be seen.
pub fn make(dir: &DataDir, role: Role, name: &str) -> Result<(Token, PathBuf), Error> {
    let good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    if name.is_empty() || name.len() > 64 || !name.chars().all(good) {
        return Err(Error::Name(name.to_owned()));
    }
    let more = DataDir::open(dir.path(MORE))?;
    let file = format!("{role}.{name}");
    if more.read(&file)?.is_some() {
        return Err(Error::Exists { role, name: name.to_owned(), path: more.path(&file) });
    }
    let token = generate(role)?;
    let hex: String = sha256(token.reveal()).iter().map(|b| format!("{b:02x}")).collect();
    let path = more.write(&file, &format!("sha256:{hex}\n"), Secrecy::Secret)?;
    Ok((token, path))
}

fn load_more(dir: &DataDir) -> Result<Vec<(Sha, Principal)>, Error> {
    let path = dir.path(MORE);
    let list = |source| Error::List { path: path.clone(), source };
    let entries = match fs::read_dir(&path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other.map_err(list)?,
    };
    let more = DataDir::open(&path)?;
    let mut known = Vec::new();
    for entry in entries {
        let file = entry.map_err(list)?.file_name();
        let Some(file) = file.to_str() else { continue };
        let Some((role, name)) = file.split_once('.') else { continue };
        let Some(role) = Role::ALL.into_iter().find(|r| r.as_str() == role) else { continue };
        // `agent.li.new` is what a crash left of a token in the making.
        if name.contains('.') {
            continue;
        }
        let text = more.read(file)?.unwrap_or_default();
        let digest = text.trim().strip_prefix("sha256:").and_then(unhex);
        let digest = digest
            .ok_or_else(|| Error::Malformed { path: more.path(file), what: "digest (sha256:<64 hex digits>)" })?;
        known.push((digest, Principal { role, name: name.to_owned(), shared: false }));
    }
    Ok(known)
}

fn generate(role: Role) -> Result<Token, Error> {
    let mut bytes = [0u8; 32];
    rand::rngs::SysRng.try_fill_bytes(&mut bytes).map_err(|e| Error::Random(e.to_string()))?;
    let hex: String = bytes.iter().map(|b| format!("{b:02x}")).collect();
    // The prefix tells scanners for leaked secrets, and people, what it is.
    Ok(Token(format!("outband-{role}-{hex}")))
}

fn sha256(text: &str) -> Sha {
    Sha256::digest(text.as_bytes()).into()
}

fn unhex(text: &str) -> Option<Sha> {
    let mut out = [0u8; 32];
    if text.len() != 64 || !text.is_ascii() {
        return None;
    }
    for (i, byte) in out.iter_mut().enumerate() {
        *byte = u8::from_str_radix(text.get(2 * i..2 * i + 2)?, 16).ok()?;
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn fixture() -> (tempfile::TempDir, DataDir) {
        let tmp = tempfile::tempdir().unwrap();
        let dir = DataDir::open(tmp.path().join("d")).unwrap();
        (tmp, dir)
    }

    fn read(dir: &DataDir, role: Role) -> String {
        dir.read(&role.token_file()).unwrap().unwrap().trim().to_owned()
    }

    #[test]
    fn the_first_start_makes_one_token_a_role_and_later_starts_keep_them() {
        let (_tmp, dir) = fixture();
        Tokens::load_or_make(&dir).unwrap();
        let first = Role::ALL.map(|r| read(&dir, r));
        let tokens = Tokens::load_or_make(&dir).unwrap();
        assert_eq!(first, Role::ALL.map(|r| read(&dir, r)));
        for (text, role) in first.iter().zip(Role::ALL) {
            assert_eq!(tokens.find(text).map(|p| p.role), Some(role));
        }
        assert_ne!(first[0], first[1]);
    }

    #[test]
    fn token_files_are_closed_to_others() {
        let (_tmp, dir) = fixture();
        Tokens::load_or_make(&dir).unwrap();
        let (_, made) = make(&dir, Role::Operator, "li").unwrap();
        for path in [dir.path("agent.token"), dir.path("operator.token"), made] {
            assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600, "{}", path.display());
        }
    }

    #[test]
    fn a_near_miss_is_nobodys_token() {
        let (_tmp, dir) = fixture();
        let tokens = Tokens::load_or_make(&dir).unwrap();
        let text = read(&dir, Role::Agent);
        assert!(tokens.find(&text[..text.len() - 1]).is_none());
        assert!(tokens.find("").is_none());
    }

    #[test]
    fn a_further_token_is_kept_as_a_digest_and_dies_with_its_file() {
        let (_tmp, dir) = fixture();
        let (token, path) = make(&dir, Role::Operator, "li").unwrap();
        assert!(!fs::read_to_string(&path).unwrap().contains(token.reveal()));
        let found = Tokens::load_or_make(&dir).unwrap().find(token.reveal()).cloned();
        assert_eq!(found, Some(Principal { role: Role::Operator, name: "li".to_owned(), shared: false }));
        assert!(matches!(make(&dir, Role::Operator, "li"), Err(Error::Exists { .. })));
        fs::remove_file(&path).unwrap();
        assert!(Tokens::load_or_make(&dir).unwrap().find(token.reveal()).is_none());
    }

    #[test]
    fn an_agents_own_token_speaks_for_no_other_agent() {
        let own = Principal { role: Role::Agent, name: "dc1".to_owned(), shared: false };
        assert!(own.speaks_for(&AgentId::new("dc1").unwrap()));
        assert!(!own.speaks_for(&AgentId::new("dc2").unwrap()));
        assert!(Principal { shared: true, ..own }.speaks_for(&AgentId::new("dc2").unwrap()));
    }

    #[test]
    fn a_name_that_would_leave_the_directory_is_refused() {
        let (_tmp, dir) = fixture();
        assert!(matches!(make(&dir, Role::Agent, "../x"), Err(Error::Name(_))));
        assert!(matches!(make(&dir, Role::Agent, "a.b"), Err(Error::Name(_))));
    }

    #[test]
    fn a_damaged_digest_is_named_rather_than_passed_over() {
        let (_tmp, dir) = fixture();
        let (_, path) = make(&dir, Role::Agent, "dc1").unwrap();
        fs::write(&path, "sha256:zz").unwrap();
        assert!(Tokens::load_or_make(&dir).unwrap_err().to_string().contains("agent.dc1"));
    }
}
