//! The commands `backup` and `restore`.

use super::{Apart, Error, Restored, open, restore_with, save_with};
use crate::audit::journal;
use crate::datadir::DataDir;
use age::x25519::Recipient;
use clap::Args;
use outband_schemas::Timestamp;
use std::io::BufRead;
use std::path::PathBuf;
use std::time::Duration;

/// So long after the end of its span a file of history is taken for closed.
const CLOSED: Duration = Duration::from_secs(2 * 86_400);

/// Back up the data directory into one encrypted file. The collector may run meanwhile.
///
/// In it: the store as it is at one moment, and all that a new machine needs to go on as this one: the certificates and their keys (agents
/// trust no other), the tokens and grant.key (else everybody needs new ones), calendars, deeds that wait for the audit log. Not in it: the
/// config file and the files that it names; keep these with your other configs.
///
/// The file is in the age format and for the holders of these identities only; the collector keeps no key that opens it.
/// Make a pair of keys on another machine with `age-keygen -o backup.key`, and give its public key (age1...) here.
#[derive(Debug, Args)]
pub struct Backup {
    /// The file to write; one that is there is replaced once the new one is whole.
    #[arg(long, value_name = "FILE")]
    to: PathBuf,
    /// Who may read it; may be given several times.
    #[arg(long = "recipient", value_name = "age1...", required_unless_present = "recipients_file")]
    recipients: Vec<String>,
    /// Who may read it: a file of recipients, one a line; # begins a comment.
    #[arg(long, value_name = "FILE")]
    recipients_file: Option<PathBuf>,
    /// Keep closed files of history in this directory, each encrypted once: later backups only name those that are there.
    /// Restore needs it, too.
    #[arg(long, value_name = "DIR")]
    history: Option<PathBuf>,
    /// The config file, for its data directory.
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
}

/// Restore a backup into a new data directory, after it was checked.
///
/// The file is decrypted beside the directory, the store is checked whole, every ticket is compared with its log and the audit log is walked;
/// only then does the directory come into being. Where anything is wrong, nothing is left behind.
#[derive(Debug, Args)]
pub struct Restore {
    /// The backup.
    #[arg(long, value_name = "FILE")]
    from: PathBuf,
    /// A file of age identities, as age-keygen makes it.
    #[arg(long, value_name = "FILE")]
    identity: PathBuf,
    /// The directory in which backups kept closed files of history, where they did.
    #[arg(long, value_name = "DIR")]
    history: Option<PathBuf>,
    /// The directory: empty, or not there yet.
    #[arg(long, value_name = "DIR")]
    dir: PathBuf,
}

impl Backup {
    /// Does it. The deed is left for the audit log first: what cannot be logged is not done.
    pub fn run(&self, dir: &DataDir, at: Timestamp) -> Result<String, crate::app::Error> {
        let people = self.people()?;
        let told: Vec<String> = people.iter().map(ToString::to_string).collect();
        journal::leave(
            dir,
            at,
            "backup",
            format!("backups/{}", self.to.display()),
            format!("for {}", told.join(", ")),
        )?;
        // Late readings come within days; a file that changes all the same is kept anew.
        let before = at.minus(CLOSED).as_millis();
        let apart = self.history.as_deref().map(|dir| Apart { dir, before });
        save_with(dir.root(), &self.to, &people, apart)?;
        Ok(format!("backed up {} into {}\n", dir.root().display(), self.to.display()))
    }

    fn people(&self) -> Result<Vec<Recipient>, Error> {
        let parse = |text: &str, what: String| text.parse().map_err(|why| Error::Recipient { what, why });
        let given = self.recipients.iter().enumerate();
        let mut people: Vec<Recipient> =
            given.map(|(n, text)| parse(text, format!("--recipient {}", n + 1))).collect::<Result<_, _>>()?;
        if let Some(path) = &self.recipients_file {
            for (n, line) in open(path)?.lines().enumerate() {
                let line = line.map_err(super::failed("cannot read", path))?;
                let line = line.trim();
                if !line.is_empty() && !line.starts_with('#') {
                    people.push(parse(line, format!("line {} of {}", n + 1, path.display()))?);
                }
            }
        }
        if people.is_empty() { Err(Error::Nobody) } else { Ok(people) }
    }
}

impl Restore {
    /// Does it; answers what to do next.
    pub fn run(&self) -> Result<String, crate::app::Error> {
        let Restored { tickets, entries, head } =
            restore_with(&self.from, &self.identity, &self.dir, self.history.as_deref())?;
        let dir = self.dir.display();
        Ok(format!(
            "restored {tickets} tickets into {dir}; each is what its log says
{entries} entries of the audit log are as they were written; {entries}:{head}
next: make sure that the old collector does not run any more
next: chown -R to the collector's user, if that is not you: chown -R outband-collector: {dir}
next: name the directory in collector.toml ([data] dir), or move it to where it was, and start the collector
"
        ))
    }
}
