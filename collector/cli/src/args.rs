//! What can be asked. What belongs to one command stands in the file of that command.

use crate::audit::AuditCommand;
use crate::callpack::TimelineArgs;
use crate::checks::{self, HealthCommand};
use crate::connect::ConnectionArgs;
use crate::contacts::ContactsArgs;
use crate::drill::DrillCommand;
use crate::enrol::{self, AgentCommand};
use crate::events::SeverityArg;
use crate::fleet::{self, FleetCommand};
use crate::grants::GrantsCommand;
use crate::maintenance::MaintenanceCommand;
use crate::notices::NoticesCommand;
use crate::once::RequestArgs;
use crate::orders::OrdersCommand;
use crate::output::Format;
use crate::overrides::OverridesCommand;
use crate::predictions::{self, PredictionsCommand};
use crate::readings::ReadingsArgs;
use crate::record::RecordCommand;
use crate::reports::{self, ReportsCommand};
use crate::servers::ServersCommand;
use crate::tickets::TicketsCommand;
use crate::words::Lang;
use clap::{Parser, Subcommand};

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
  outband tickets callpack 12 --lang zh-CN      all that a call about it needs, to be read aloud
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

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Servers and the parts in them
    Servers {
        #[command(subcommand)]
        command: Option<ServersCommand>,
    },
    /// Health scores, with the reason for every point lost
    #[command(after_help = checks::HELP, args_conflicts_with_subcommands = true)]
    Health {
        /// SERVER, sites/SITE or SERVER/CLASS/SLOT; all sites and servers where it is left out
        name: Option<String>,
        #[command(subcommand)]
        command: Option<HealthCommand>,
    },
    /// Sensor values, latest or past
    #[command(after_help = "\
Examples:
  outband readings srv-1                                latest value of every sensor
  outband readings srv-1 --component 'disk/Bay 3'       of one drive
  outband readings srv-1 --kind fan_speed --from 6h     history of the last six hours
  outband readings srv-1 --kind temperature --span 30d --resolution 1h    least, mean and greatest of each hour
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
                                     in a maintenance window, or watched for a cause that it shares with others
  outband incidents --ticket 12      what ticket 12 is about; of a storm, its cause and every part of it")]
    Incidents {
        /// Only of this server
        server: Option<String>,
        /// Only those without a ticket of their own
        #[arg(long)]
        held: bool,
        /// Only what this ticket is about; of a storm's ticket, everything that is a part of it
        #[arg(long, value_name = "NUMBER")]
        ticket: Option<String>,
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
  outband maintenance edit 3 --rack R12 --component psu                      another selector, in the place of the old one
  outband maintenance end 3")]
    Maintenance {
        #[command(subcommand)]
        command: Option<MaintenanceCommand>,
    },
    /// What agents may do at BMCs: asked for by one person, approved by another
    #[command(after_help = "\
Off by default: [orders] allow of collector.toml and of agent.toml have to name what may be done. An order is sent at most once, held back by rates and by the switch, and every step of it is kept.

Examples:
  outband orders request identify srv-7 --ticket 12 --why 'show the colleague on site' --dry-run
  outband orders request collect srv-7 --ticket 12 --why 'the maker wants the raw log'
  outband orders approve 3                               by somebody else
  outband orders get 3                                   what became of it
  outband orders file 3 srv-7-logs.json
  outband orders stop --why 'BMCs answer oddly since the firmware wave'
  outband orders resume --why 'firmware rolled back'")]
    Orders {
        #[command(subcommand)]
        command: Option<OrdersCommand>,
    },
    /// How often predictions were right, and saying that one was wrong
    #[command(after_help = predictions::HELP)]
    Predictions {
        #[command(subcommand)]
        command: Option<PredictionsCommand>,
    },
    /// Exercises: faults that are not there, to try people and not machines
    #[command(after_help = "\
The ticket of a drill is marked DRILL, stays out of statistics and SLA reports, and is closed at the end. Planned drills stand in [drills] of collector.toml.

Examples:
  outband drill start --server srv-7 --fault disk_failure --pages --why 'night duty, quarter 4'
  outband drill start --server srv-7 --fault psu_failure --lasts 30m --why 'new colleague' --runbook 'find it, call the maker, close'
  outband drill show 3                   its ticket, and how long people took to pick up, answer and resolve
  outband drill end 3")]
    Drill {
        #[command(subcommand)]
        command: Option<DrillCommand>,
    },
    /// Thresholds that are other for some servers, and until when
    #[command(after_help = "\
What rules find by such a threshold says so, and so does its ticket. Nothing is deleted: an override ends, and its changes are kept.
To hear nothing of something at all, mute it: outband maintenance mute.

Examples:
  outband overrides                                                             those in force
  outband overrides parameters                                                  what can be set
  outband overrides set disk.increases 6 --model R750 --component disk --lasts 90d --why 'this firmware counts twice'
  outband overrides set limit.temperature_critical 92 --server srv-7 --component cpu/1 --lasts 14d --why 'heat sink ordered'
  outband overrides end 2")]
    Overrides {
        #[command(subcommand)]
        command: Option<OverridesCommand>,
    },
    /// What the fleet as a whole teaches: failure rates, survival by age, spare parts, roll-ups, ticket load
    #[command(after_help = fleet::HELP)]
    Fleet {
        #[command(subcommand)]
        command: FleetCommand,
    },
    /// Let agents in, and shut them out (needs an admin's token)
    #[command(after_help = enrol::HELP)]
    Agent {
        #[command(subcommand)]
        command: AgentCommand,
    },
    /// Agents, how far behind they are, and how they say who they are
    Agents,
    /// SLA reports, reliability figures and fault reports, as files
    #[command(after_help = reports::HELP)]
    Reports {
        #[command(subcommand)]
        command: ReportsCommand,
    },
    /// Hand out, or erase, what is kept about people and customers (needs an admin's token)
    #[command(after_help = "\
Examples:
  outband record erase-person wang               count where the name stands
  outband record erase-person wang --yes         put a pseudonym in its place, everywhere, for good
  outband record export --customer acme acme.zip the tickets, clocks, readings and audit entries of a customer
  outband record export --site dc1 dc1.zip       the same of a site
  outband record verify acme.zip                 whether an export is as it was handed out; needs no collector
  outband record erase-customer acme             count what a customer's people wrote, and where they are named
  outband record erase-customer acme --records --yes   take it out, and the records of closed tickets, too
  outband record retention                       what would go now because it is older than its term
  outband record holds add --customer acme --why 'case 7'   nothing of it goes before that is released

All stand in the audit log. What people wrote in their own words is not changed: the tickets that still hold the name are listed.
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
  outband notices replay --failed          all that were given up, e.g. while a mail server was down
  outband notices ack 12 --why 'on it'     take note of ticket 12: its fallbacks are told no more")]
    Notices {
        #[command(subcommand)]
        command: Option<NoticesCommand>,
    },
    /// What happened to a server, in one list: log by corrected time, power, firmware, parts, gaps, tickets
    #[command(after_help = "\
Examples:
  outband timeline srv-1                         everything that is kept
  outband timeline srv-1 --from 7d -o csv        a week of it
  outband timeline srv-1 -o wide                 with the BMC's own time, and by which clock each entry is told

Names of people, addresses and secrets are left out.")]
    Timeline(TimelineArgs),
    /// Temporary access to one ticket, for somebody who helps
    #[command(after_help = "\
An access is for one ticket and its server, never for more than a viewer or an engineer may do there, and it ends by itself: after 4 hours where nobody
says otherwise, when somebody ends it, when the ticket is closed. When the ticket is resolved and one is still open, the ticket's log says so.

Examples:
  outband grants                                                             who has access now
  outband grants add 12 --to 'Zhao (maker)' --verified 'called back under 400-…, staff number 4711' --why 'reads the log' --out zhao.token
  outband grants end 3 --why done
  outband grants list --ticket 12 --all                                      who had, and how it ended")]
    Grants {
        #[command(subcommand)]
        command: Option<GrantsCommand>,
    },
    /// Whom contracts name when a clock escalates, and who has to be verified again
    #[command(after_help = "\
Examples:
  outband contacts                     every contract, role and turn
  outband contacts --stale             those that nobody has verified for 180 days, or that are told nowhere

They stand in service.toml; once somebody has made sure that they can be reached, write the day to `verified` there.")]
    Contacts(ContactsArgs),
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
        #[command(flatten)]
        request: RequestArgs,
    },
    /// Print a completion script for a shell
    #[command(after_help = "Example:\n  outband completions bash > ~/.local/share/bash-completion/completions/outband")]
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
}
