//! Bearer tokens: who may send, and who may ask.
//!
//! `agent.token` and `operator.token` are made on the first start. More are made by `outband-collector token`; of those only
//! the SHA-256 digest is kept, in `tokens.d/<role>.<name>`, with the sites and customers that it is limited to. Removing the file and
//! reloading revokes the token.

use crate::datadir::{self, DataDir, Secrecy};
use hmac::{Hmac, KeyInit, Mac};
use outband_schemas::{AgentId, SiteId};
use outband_store::audit::Sha256Hash;
use outband_ticket::TicketNumber;
use rand::TryRng;
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;
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
    /// No limits for a customer, or limits for an agent.
    #[error("{}", if *.role == Role::Customer { "a customer's token needs the sites or the customers that it may see" } else { "an agent's token is limited to the agent of its name already" })]
    Limits {
        /// The role.
        role: Role,
    },
    /// A customer whose name cannot be written down.
    #[error("a customer's name is one line of 1 to 200 characters: {0:?} is not")]
    Customer(String),
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
    /// May do what operators may, see who did what, export and erase.
    Admin,
    /// May ask, and work on tickets.
    Engineer,
    /// May look.
    Viewer,
    /// May look at what is theirs, and comment on it.
    Customer,
}

impl Role {
    /// Every role.
    pub const ALL: [Role; 6] = [Role::Agent, Role::Operator, Role::Admin, Role::Engineer, Role::Viewer, Role::Customer];

    /// Those for which the first start makes a token.
    pub const FIRST: [Role; 2] = [Role::Agent, Role::Operator];

    /// The word used in file names and messages.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Agent => "agent",
            Self::Operator => "operator",
            Self::Admin => "admin",
            Self::Engineer => "engineer",
            Self::Viewer => "viewer",
            Self::Customer => "customer",
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
    /// The sites that it is limited to; empty: all.
    pub sites: BTreeSet<SiteId>,
    /// The customers that it is limited to, by their names in the topology or the contracts; empty: all.
    pub customers: BTreeSet<String>,
    /// The one ticket that a temporary access is for; `None`: it is not a temporary one.
    pub only: Option<TicketNumber>,
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
        for role in Role::FIRST {
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
            known.push((
                sha256(text),
                Principal {
                    role,
                    name: role.as_str().to_owned(),
                    shared: true,
                    sites: BTreeSet::new(),
                    customers: BTreeSet::new(),
                    only: None,
                },
            ));
        }
        known.extend(load_more(dir)?);
        Ok(Self { known })
    }

    /// The names that only customers have.
    pub fn customers(&self) -> BTreeSet<String> {
        let of = |customers: bool| -> BTreeSet<&String> {
            let all = self.known.iter().map(|(_, principal)| principal);
            all.filter(|p| (p.role == Role::Customer) == customers).map(|p| &p.name).collect()
        };
        of(true).difference(&of(false)).map(|name| (*name).clone()).collect()
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
    make_for(dir, role, name, &BTreeSet::new())
}

/// The sites of these names.
pub fn sites(names: &[String]) -> Result<BTreeSet<SiteId>, Error> {
    names.iter().map(|name| SiteId::new(name).map_err(|_| Error::Name(name.clone()))).collect()
}

/// What a token is limited to; empty: nothing, it sees all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Limits {
    /// Sites.
    pub sites: BTreeSet<SiteId>,
    /// Customers, by their names in the topology or the contracts.
    pub customers: BTreeSet<String>,
}

/// Like [`make`], limited to these sites.
pub fn make_for(dir: &DataDir, role: Role, name: &str, sites: &BTreeSet<SiteId>) -> Result<(Token, PathBuf), Error> {
    make_limited(dir, role, name, &Limits { sites: sites.clone(), customers: BTreeSet::new() })
}

/// Like [`make`], with limits. A customer's token has some, an agent's none.
pub fn make_limited(dir: &DataDir, role: Role, name: &str, limits: &Limits) -> Result<(Token, PathBuf), Error> {
    let limited = !limits.sites.is_empty() || !limits.customers.is_empty();
    if (role == Role::Customer && !limited) || (role == Role::Agent && limited) {
        return Err(Error::Limits { role });
    }
    let plain = |c: &&String| !c.trim().is_empty() && c.chars().count() <= 200 && !c.chars().any(char::is_control);
    if let Some(bad) = limits.customers.iter().find(|c| !plain(c)) {
        return Err(Error::Customer(bad.clone()));
    }
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
    let sites = limits.sites.iter().map(|site| format!("site:{site}\n"));
    let customers = limits.customers.iter().map(|customer| format!("customer:{}\n", customer.trim()));
    let limits: String = sites.chain(customers).collect();
    let path = more.write(&file, &format!("sha256:{hex}\n{limits}"), Secrecy::Secret)?;
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
        let malformed = |what| Error::Malformed { path: more.path(file), what };
        let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
        let digest = lines.next().and_then(|line| line.strip_prefix("sha256:")).and_then(unhex);
        let digest = digest.ok_or_else(|| malformed("digest (sha256:<64 hex digits>)"))?;
        let mut limits = Limits::default();
        for line in lines {
            // A line that is not understood might be a limit: nobody gets in by it.
            let wrong = || malformed("list of limits (site:<id> or customer:<name>, one a line)");
            match line.split_once(':').ok_or_else(wrong)? {
                ("site", site) => limits.sites.insert(SiteId::new(site).map_err(|_| wrong())?),
                ("customer", customer) => limits.customers.insert(customer.to_owned()),
                _ => return Err(wrong()),
            };
        }
        let Limits { sites, customers } = limits;
        known.push((digest, Principal { role, name: name.to_owned(), shared: false, sites, customers, only: None }));
    }
    Ok(known)
}

/// A token for a temporary access, and what is kept of it.
pub fn temporary() -> Result<(Token, Sha256Hash), Error> {
    let token = random("grant")?;
    let digest = Sha256Hash(sha256(token.reveal()));
    Ok((token, digest))
}

/// The file of [`TokenKey`].
const KEY: &str = "grant.key";

/// What tokens are made from that may have to be told twice, because the first answer was lost: the store keeps none in clear.
pub struct TokenKey(Sha);

impl fmt::Debug for TokenKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenKey(..)")
    }
}

impl TokenKey {
    /// The key in `grant.key`, made where it is not there. Without the file, what was told already goes on being good, and cannot be told again.
    pub fn load_or_make(dir: &DataDir) -> Result<Self, Error> {
        let text = match dir.read(KEY)? {
            Some(text) => text,
            None => {
                let key = hex(&bytes()?);
                dir.write(KEY, &format!("{key}\n"), Secrecy::Secret)?;
                key
            }
        };
        let what = "key of 64 hexadecimal digits";
        unhex(text.trim()).map(Self).ok_or_else(|| Error::Malformed { path: dir.path(KEY), what })
    }

    /// The secret of an invite that this person's request asked for: each time the same.
    pub fn invite(&self, invite: u64, who: &str, request_id: &str) -> Result<[u8; 16], Error> {
        let made = self.made(&format!("invite\0{invite}\0{who}\0{request_id}"))?;
        let mut secret = [0; 16];
        secret.iter_mut().zip(made).for_each(|(to, from)| *to = from);
        Ok(secret)
    }

    fn made(&self, of: &str) -> Result<Sha, Error> {
        let failed = |e: hmac::digest::InvalidLength| Error::Random(e.to_string());
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.0).map_err(failed)?;
        mac.update(of.as_bytes());
        Ok(mac.finalize().into_bytes().into())
    }

    /// The token for a temporary access that this person's request asked for, and what is kept of it: each time the same.
    pub fn temporary(&self, grant: u64, who: &str, request_id: &str) -> Result<(Token, Sha256Hash), Error> {
        // No name and no id holds a zero byte, and a number is no word.
        let made = self.made(&format!("{grant}\0{who}\0{request_id}"))?;
        let token = Token(format!("outband-grant-{}", hex(&made)));
        let digest = Sha256Hash(sha256(token.reveal()));
        Ok((token, digest))
    }
}

fn generate(role: Role) -> Result<Token, Error> {
    random(role.as_str())
}

fn random(what: &str) -> Result<Token, Error> {
    // The prefix tells scanners for leaked secrets, and people, what it is.
    Ok(Token(format!("outband-{what}-{}", hex(&bytes()?))))
}

fn bytes() -> Result<Sha, Error> {
    random_bytes()
}

/// Random bytes of the system.
pub fn random_bytes<const N: usize>() -> Result<[u8; N], Error> {
    let mut bytes = [0u8; N];
    rand::rngs::SysRng.try_fill_bytes(&mut bytes).map_err(|e| Error::Random(e.to_string()))?;
    Ok(bytes)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
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
mod tests;
