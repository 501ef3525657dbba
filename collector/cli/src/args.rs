//! What can be asked.

use crate::output::Format;
use crate::words::Lang;
use clap::{Args as ClapArgs, Parser, Subcommand, ValueEnum};
use std::path::PathBuf;

const EXAMPLES: &str = "\
Examples:
  outband health                                what is not well, and why
  outband health --watch                        the same, again whenever it changes
  outband servers get srv-1                     one server and the parts in it
  outband readings srv-1 --component fan        the fans' latest values
  outband readings srv-1 --kind temperature --from 2h -o csv
  outband tickets                               open tickets and the clock that runs out next
  outband tickets get 12                        one ticket with evidence, clocks and history
  outband tickets assign 12 wang --why 'on duty'
  outband tickets resolve 12 --as repaired --why 'drive replaced, rebuild done'

Which collector: --endpoint, OUTBAND_ENDPOINT, `endpoint` in ~/.config/outband/cli.toml, else the collector on this machine.
Its CA (--ca) and your token (--token-file) are taken from the same places, else from the data directory of the collector on this machine.

Exit codes: 0 ok, 1 error, 2 usage, 3 not found, 4 collector unreachable, 5 denied";

/// Ask an Outband collector about servers, their health and their tickets
#[derive(Debug, Parser)]
#[command(name = "outband", version, after_help = EXAMPLES, subcommand_required = true, arg_required_else_help = true)]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) connection: ConnectionArgs,

    /// How to print
    #[arg(short, long, global = true, value_enum, default_value_t = Format::Table, help_heading = "Output")]
    pub(crate) output: Format,

    /// Print again whenever something changes, until Ctrl-C
    #[arg(long, global = true, help_heading = "Output")]
    pub(crate) watch: bool,

    /// At most so many rows; 0: all
    #[arg(long, global = true, default_value_t = 1000, value_name = "N", help_heading = "Output")]
    pub(crate) limit: usize,

    /// Language of headings, states and errors [default: from LC_ALL, LC_MESSAGES, LANG]
    #[arg(long, global = true, value_enum, help_heading = "Output")]
    pub(crate) lang: Option<Lang>,

    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Whom to ask, and as whom.
#[derive(Debug, Default, ClapArgs)]
#[command(next_help_heading = "Connection")]
pub(crate) struct ConnectionArgs {
    /// The collector's operator address, https://HOST:PORT
    #[arg(long, global = true, env = "OUTBAND_ENDPOINT", value_name = "URL")]
    pub(crate) endpoint: Option<String>,

    /// The collector's CA certificate (its data directory has it as ca.pem)
    #[arg(long, global = true, env = "OUTBAND_CA", value_name = "FILE")]
    pub(crate) ca: Option<PathBuf>,

    /// The file with your operator token (never the token itself: others can read command lines)
    #[arg(long, global = true, env = "OUTBAND_TOKEN_FILE", value_name = "FILE")]
    pub(crate) token_file: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Servers and the parts in them
    Servers {
        #[command(subcommand)]
        command: Option<ServersCommand>,
    },
    /// Health scores, with the reason for every point lost
    #[command(after_help = "\
Examples:
  outband health                        every site and server
  outband health srv-1                  one server and its components
  outband health sites/dc1              one site and its servers
  outband health 'srv-1/disk/Bay 3'     one component

STALE and UNKNOWN are not OK: nothing recent is known.")]
    Health {
        /// SERVER, sites/SITE or SERVER/CLASS/SLOT; all sites and servers where it is left out
        name: Option<String>,
    },
    /// Sensor values, latest or past
    #[command(after_help = "\
Examples:
  outband readings srv-1                                latest value of every sensor
  outband readings srv-1 --component 'disk/Bay 3'       of one drive
  outband readings srv-1 --kind fan_speed --from 6h     history of the last six hours
  outband readings srv-1 --from 2026-01-31T08:00:00Z --to 2026-01-31T09:00:00Z -o json")]
    Readings(ReadingsArgs),
    /// Entries of the BMCs' logs, newest first
    Events {
        /// Only of this server
        server: Option<String>,
        /// Only entries at least this grave
        #[arg(long, value_enum)]
        severity: Option<SeverityArg>,
    },
    /// What could not be read, and why, newest first
    Gaps {
        /// Only of this server
        server: Option<String>,
    },
    /// Tickets, their clocks, and moving them on
    Tickets {
        #[command(subcommand)]
        command: Option<TicketsCommand>,
    },
    /// Conditions that lasted, those without a ticket of their own included
    #[command(after_help = "\
Examples:
  outband incidents                  everything that is not well, and its ticket
  outband incidents --held           what is kept without a ticket, and why: folded into a storm's ticket,
                                     in a maintenance window, or watched for a cause that it shares with others")]
    Incidents {
        /// Only of this server
        server: Option<String>,
        /// Only those without a ticket of their own
        #[arg(long)]
        held: bool,
    },
    /// Maintenance windows, mutes and known issues
    #[command(after_help = "\
What a window covers is recorded like everything else and gets no ticket inside it; what still holds at its end gets one then. Nothing is deleted: a window ends, and its changes are kept.

Examples:
  outband maintenance                                                        what is covered now, and by whom
  outband maintenance add --rack R12 --lasts 4h --why 'new PDU'              from now on
  outband maintenance add --site dc1 --starts 2026-02-01T22:00 --zone Asia/Shanghai --lasts 8h \\
      --every 'FREQ=MONTHLY;BYDAY=1SU' --why 'patch night'
  outband maintenance mute --server srv-7 --component fan/3 --rule fan.decay --lasts 14d --why 'loud, replacement ordered'
  outband maintenance end 3")]
    Maintenance {
        #[command(subcommand)]
        command: Option<MaintenanceCommand>,
    },
    /// Agents, and how far behind they are
    Agents,
    /// Hand out, or erase, what is kept about people and customers (needs an admin's token)
    #[command(after_help = "\
Examples:
  outband record erase-person wang               count where the name stands
  outband record erase-person wang --yes         put a pseudonym in its place, everywhere, for good
  outband record export --customer acme acme.zip the tickets, clocks, readings and audit entries of a customer
  outband record export --site dc1 dc1.zip       the same of a site

Both stand in the audit log. What people wrote in their own words is not changed: the tickets that still hold the name are listed.
An export holds internal comments, too: look at it before you hand it on.")]
    Record {
        #[command(subcommand)]
        command: RecordCommand,
    },
    /// Who did what (needs an admin's token)
    #[command(after_help = "\
Examples:
  outband audit list --resource tickets/12     everything that was done to a ticket
  outband audit list --who wang -o csv         everything that somebody did, or was not allowed to
  outband audit verify                         whether the log is as it was written; note the HASH line elsewhere
  outband audit verify --expect 812:9f0c…      and that it was neither cut off nor written anew since that was noted

Exit code 1: an entry is missing or was changed; the first one is named.")]
    Audit {
        #[command(subcommand)]
        command: AuditCommand,
    },
    /// Notices to people: what was sent, what waits, what failed; and taking note of a ticket
    #[command(after_help = "\
Examples:
  outband notices                          newest first
  outband notices list --state failed      what nobody got: given up after too many tries
  outband notices list --ticket 12         what was told of a ticket, and to whom
  outband notices show 340                 one notice with its text
  outband notices replay 340               send it once more, under the same key
  outband notices ack 12 --why 'on it'     take note of ticket 12: its fallbacks are told no more")]
    Notices {
        #[command(subcommand)]
        command: Option<NoticesCommand>,
    },
    /// The collector's time, by which clocks count
    ///
    /// It goes on by itself. When somebody sets the wall clock of the collector's machine by more than 5 s, the collector does
    /// not follow, unless the clock was set from the network.
    #[command(
        after_help = "Examples:\n  outband time              the time, and by how much the wall clock is off where it is not followed\n  outband time --confirm    the wall clock is right: follow it (an operator's or an admin's token)"
    )]
    Time {
        /// The wall clock of the collector's machine is right: follow it
        #[arg(long)]
        confirm: bool,
    },
    /// Print a completion script for a shell
    #[command(after_help = "Example:\n  outband completions bash > ~/.local/share/bash-completion/completions/outband")]
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum RecordCommand {
    /// Put a pseudonym in place of a person's name in all tickets and the audit log
    ErasePerson {
        /// The name, as it stands on tickets
        person: String,
        /// Do it; without this, it is only counted
        #[arg(long)]
        yes: bool,
    },
    /// Write one customer's evidence to a zip file, with a manifest of SHA-256 sums
    Export {
        /// The customer, as the topology names it
        #[arg(long, required_unless_present = "site")]
        customer: Option<String>,
        /// A site; may be given several times
        #[arg(long = "site", id = "site", value_name = "SITE", conflicts_with = "customer")]
        sites: Vec<String>,
        /// The file to write
        file: PathBuf,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum AuditCommand {
    /// Entries, newest first
    List {
        /// Only of this person
        #[arg(long)]
        who: Option<String>,
        /// Only of this resource, e.g. tickets/12
        #[arg(long, value_name = "NAME")]
        resource: Option<String>,
    },
    /// Walk the chain of hashes and name the first break
    Verify {
        /// What an earlier verify printed as HASH
        #[arg(long, value_name = "SEQ:HASH")]
        expect: Option<String>,
    },
}

/// What a window covers: everything that is given has to fit.
#[derive(Debug, ClapArgs)]
#[group(required = true, multiple = true)]
pub(crate) struct CoverArgs {
    /// The site
    #[arg(long)]
    pub(crate) site: Option<String>,
    /// The rack, by its name in the topology
    #[arg(long)]
    pub(crate) rack: Option<String>,
    /// The server, as `outband servers` shows it
    #[arg(long)]
    pub(crate) server: Option<String>,
    /// The component: CLASS/SLOT, or a class alone
    #[arg(long)]
    pub(crate) component: Option<String>,
    /// The fault, e.g. disk_failure
    #[arg(long)]
    pub(crate) fault: Option<String>,
    /// The rule that speaks for it, e.g. disk.smart_growth
    #[arg(long)]
    pub(crate) rule: Option<String>,
    /// The customer, by the name in the topology
    #[arg(long)]
    pub(crate) customer: Option<String>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum MaintenanceCommand {
    /// Those that nobody has ended
    List {
        /// Ended ones too
        #[arg(long)]
        all: bool,
    },
    /// Plan one, or begin one now
    Add {
        #[command(flatten)]
        covers: CoverArgs,
        /// When it first begins, on the clocks of its zone: 2026-01-31T22:00 [default: now]
        #[arg(long, value_name = "TIME")]
        starts: Option<String>,
        /// How long: 90m, 4h, 2d; at most 31d
        #[arg(long, value_name = "SPAN")]
        lasts: String,
        /// IANA time zone, e.g. Asia/Shanghai [default: UTC]
        #[arg(long)]
        zone: Option<String>,
        /// How it comes again: FREQ=DAILY, WEEKLY or MONTHLY with INTERVAL, BYDAY, UNTIL [default: once]
        #[arg(long, value_name = "RRULE")]
        every: Option<String>,
        /// Why
        #[arg(long)]
        why: String,
        /// What to call it [default: the reason]
        #[arg(long)]
        title: Option<String>,
    },
    /// Do not hear of something for a while, from now on
    Mute {
        #[command(flatten)]
        covers: CoverArgs,
        /// How long: 90m, 4h, 2d; at most 31d
        #[arg(long, value_name = "SPAN")]
        lasts: String,
        /// It is known, and somebody sees to it elsewhere
        #[arg(long)]
        known_issue: bool,
        /// Why
        #[arg(long)]
        why: String,
    },
    /// Change one; what is left out stays
    Edit {
        /// Its number
        number: String,
        /// When it first begins, on the clocks of its zone
        #[arg(long, value_name = "TIME")]
        starts: Option<String>,
        /// How long
        #[arg(long, value_name = "SPAN")]
        lasts: Option<String>,
        /// IANA time zone
        #[arg(long)]
        zone: Option<String>,
        /// How it comes again
        #[arg(long, value_name = "RRULE")]
        every: Option<String>,
        /// Why
        #[arg(long)]
        why: Option<String>,
    },
    /// End one for good: what it covers and still holds gets its ticket
    End {
        /// Its number
        number: String,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum NoticeStateArg {
    /// To be sent at its next try
    Pending,
    /// The channel took it
    Delivered,
    /// Given up; kept until somebody replays it
    Failed,
    /// Nobody needs it any more
    Cancelled,
}

#[derive(Debug, Subcommand)]
pub(crate) enum NoticesCommand {
    /// Notices, newest first
    List {
        /// Only of this ticket
        #[arg(long, value_name = "NUMBER")]
        ticket: Option<String>,
        /// Only in this state
        #[arg(long, value_enum)]
        state: Option<NoticeStateArg>,
    },
    /// One notice with its text
    Show {
        /// The notice's number
        number: String,
    },
    /// Send it once more, under the same key
    Replay {
        /// The notice's number
        number: String,
    },
    /// Take note of a ticket: its fallbacks are told no more
    Ack {
        /// The ticket's number
        ticket: String,
        /// Why, for the ticket's log
        #[arg(long, default_value = "", hide_default_value = true)]
        why: String,
        /// The level of escalation; 0: the highest so far
        #[arg(long, default_value_t = 0)]
        level: u32,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum ServersCommand {
    /// All servers
    List {
        /// Only of this site
        #[arg(long)]
        site: Option<String>,
    },
    /// One server with its parts
    Get {
        /// Its name, as `outband servers` shows it
        name: String,
    },
}

#[derive(Debug, ClapArgs)]
pub(crate) struct ReadingsArgs {
    /// The server's name, as `outband servers` shows it
    pub(crate) server: String,
    /// Only of this component: CLASS/SLOT, or a class alone (disk, fan, psu, cpu, memory, …)
    #[arg(long, value_name = "COMPONENT")]
    pub(crate) component: Option<String>,
    /// Only of this kind (temperature, fan_speed, reallocated_sectors, …)
    #[arg(long, value_name = "KIND")]
    pub(crate) kind: Option<String>,
    /// History from this time on: 2026-01-31T08:00:00Z, 2026-01-31, or 30m, 6h, 2d ago
    #[arg(long, value_name = "TIME")]
    pub(crate) from: Option<String>,
    /// History before this time; now where it is left out
    #[arg(long, value_name = "TIME")]
    pub(crate) to: Option<String>,
    /// The latest values (the default unless --from or --to is given)
    #[arg(long, conflicts_with_all = ["from", "to"])]
    pub(crate) latest: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum SeverityArg {
    Ok,
    Warning,
    Critical,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "kebab-case")]
pub(crate) enum StateArg {
    New,
    Assigned,
    InProgress,
    WaitingForCustomer,
    WaitingForParts,
    Resolved,
    Closed,
    Reopened,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "kebab-case")]
pub(crate) enum ResolutionArg {
    /// The fault was there and is repaired
    Repaired,
    /// There was no fault
    FalseAlarm,
}

/// A ticket, and why it is moved.
#[derive(Debug, ClapArgs)]
pub(crate) struct MoveArgs {
    /// The ticket's number
    pub(crate) number: String,
    /// Why, for the ticket's log
    #[arg(long, default_value = "", hide_default_value = true)]
    pub(crate) why: String,
    /// Only if the ticket is still as it was when this etag was read (see `-o json`)
    #[arg(long, default_value = "", hide_default_value = true, value_name = "ETAG")]
    pub(crate) if_etag: String,
    /// A name for this request, best a UUID: sent again within 24 hours, it is answered as before and not done again
    #[arg(long, default_value = "", hide_default_value = true, value_name = "ID")]
    pub(crate) request_id: String,
}

/// A ticket that something is said on.
#[derive(Debug, ClapArgs)]
pub(crate) struct RemarkArgs {
    /// The ticket's number
    pub(crate) number: String,
    /// Only if the ticket is still as it was when this etag was read (see `-o json`)
    #[arg(long, default_value = "", hide_default_value = true, value_name = "ETAG")]
    pub(crate) if_etag: String,
    /// A name for this request, best a UUID: sent again within 24 hours, it is answered as before and not done again
    #[arg(long, default_value = "", hide_default_value = true, value_name = "ID")]
    pub(crate) request_id: String,
}

#[derive(Debug, Subcommand)]
pub(crate) enum TicketsCommand {
    /// Open tickets, or those asked for
    List {
        /// Closed and resolved ones too
        #[arg(long, conflicts_with = "state")]
        all: bool,
        /// Only in these states
        #[arg(long, value_enum, value_delimiter = ',')]
        state: Vec<StateArg>,
        /// Only of this server
        #[arg(long)]
        server: Option<String>,
    },
    /// One ticket with its evidence, clocks and history
    Get {
        /// The ticket's number
        number: String,
        /// As it stood then: 2026-01-31T08:00:00Z, 2026-01-31, or 30m, 6h, 2d ago
        #[arg(long, value_name = "TIME", conflicts_with = "watch")]
        at: Option<String>,
    },
    /// How its clocks were counted: every span, pause and reason, so that the sum can be redone
    #[command(
        after_help = "Examples:\n  outband tickets sla 12                 what was counted, and what was not\n  outband tickets sla 12 --at 2d         as it stood two days ago\n  outband tickets sla 12 -o csv          the counted spans for a spreadsheet: their sum is the time used"
    )]
    Sla {
        /// The ticket's number
        number: String,
        /// For which moment: 2026-01-31T08:00:00Z, 2026-01-31, or 30m, 6h, 2d ago; now where it is left out
        #[arg(long, value_name = "TIME")]
        at: Option<String>,
    },
    /// Give it to somebody (stops the respond clock)
    Assign {
        #[command(flatten)]
        ticket: MoveArgs,
        /// To whom
        assignee: String,
    },
    /// Work begins
    Start {
        #[command(flatten)]
        ticket: MoveArgs,
    },
    /// The root cause is found (stops the locate clock)
    Locate {
        #[command(flatten)]
        ticket: MoveArgs,
        /// The root cause
        cause: String,
    },
    /// Wait for the customer (pauses the clocks by default)
    WaitCustomer {
        #[command(flatten)]
        ticket: MoveArgs,
    },
    /// Wait for parts (the clocks run on by default)
    WaitParts {
        #[command(flatten)]
        ticket: MoveArgs,
    },
    /// Go on after waiting
    Resume {
        #[command(flatten)]
        ticket: MoveArgs,
    },
    /// It is done (stops the repair clock); clean polls then close it
    Resolve {
        #[command(flatten)]
        ticket: MoveArgs,
        /// How it ended
        #[arg(long = "as", value_enum, default_value_t = ResolutionArg::Repaired)]
        resolution: ResolutionArg,
    },
    /// Close it
    Close {
        #[command(flatten)]
        ticket: MoveArgs,
    },
    /// It is not done after all
    Reopen {
        #[command(flatten)]
        ticket: MoveArgs,
    },
    /// The work goes on in another ticket; this one is closed
    Merge {
        #[command(flatten)]
        ticket: MoveArgs,
        /// The other ticket's number
        into: String,
    },
    /// It is a part of a larger incident
    Parent {
        #[command(flatten)]
        ticket: MoveArgs,
        /// The number of that incident's ticket; `none`: of none any more
        parent: String,
    },
    /// It has to do with another ticket
    Link {
        #[command(flatten)]
        ticket: MoveArgs,
        /// The other ticket's number
        to: String,
        /// How: related, duplicate, caused_by, follows_up
        #[arg(long, default_value = "related")]
        kind: String,
        /// It does not after all
        #[arg(long)]
        undo: bool,
    },
    /// Say something on it
    Comment {
        #[command(flatten)]
        ticket: RemarkArgs,
        /// The comment
        text: String,
        /// The customer may read it
        #[arg(long)]
        to_customer: bool,
    },
}
