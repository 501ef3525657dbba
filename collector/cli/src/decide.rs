//! What people say of a ticket that is no move: what was reached, how urgent it is, what it is promised, what it was.

use crate::context::{self, Context};
use crate::error::Error;
use crate::tickets::{MoveArgs, TriageArg, show, transition};
use crate::{name, when};
use clap::{Args, Subcommand, ValueEnum};
use outband_proto::ticket::{ReachMilestoneRequest, TransitionTicketRequest};

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
pub(crate) enum MilestoneArg {
    /// The call, or the alert, was picked up
    Pickup,
    /// The customer was called back
    Contact,
    /// The first answer that says something
    FirstResponse,
    /// Somebody works on the machine from afar
    RemoteAccess,
    /// Somebody stands before it
    Onsite,
    /// Service is back, the fault is not repaired yet
    Workaround,
    /// The customer was told how it stands
    CustomerUpdate,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
pub(crate) enum VerdictArg {
    /// The fault was there
    Confirmed,
    /// The part was tested, and nothing was found
    #[value(alias = "not_found")]
    NoFaultFound,
    /// There never was anything
    FalseAlarm,
    /// There was a fault, of another part
    OtherPart,
    /// It was replaced, or repaired, and nobody tested it
    ReplacedWithoutTest,
}

#[derive(Debug, Subcommand)]
pub(crate) enum DecideCommand {
    /// Something was reached on its way: stops, or starts, the clocks of that name
    #[command(
        after_help = "Examples:\n  outband tickets reached 12 onsite --why 'wang, badge 7731'\n  outband tickets reached 12 contact --at 20m                  it was 20 minutes ago\n  outband tickets reached 12 pickup --request-id call-88123    from a telephone system: sent twice, done once\n\n--at is at most 72 h ago, and never before the ticket was opened; log and audit log keep when it was told, and by whom."
    )]
    Reached {
        #[command(flatten)]
        ticket: MoveArgs,
        /// What
        #[arg(value_enum)]
        milestone: MilestoneArg,
        /// When: 2026-01-31T08:00:00Z, or 30m, 6h, 2d ago; now where it is left out
        #[arg(long, value_name = "TIME")]
        at: Option<String>,
    },
    /// It is more, or less, urgent; what the collector finds does not change that any more
    Prioritise {
        #[command(flatten)]
        ticket: MoveArgs,
        /// P1, P2, P3 or P4
        priority: String,
    },
    /// It is promised something else; from when its clocks count, the policy says
    Policy {
        #[command(flatten)]
        ticket: MoveArgs,
        /// The policy's name, e.g. gold
        policy: String,
    },
    /// What it was, as a person says
    Verdict {
        #[command(flatten)]
        ticket: MoveArgs,
        /// What
        #[arg(value_enum)]
        verdict: VerdictArg,
        /// What was found, in words
        #[arg(long, default_value = "", hide_default_value = true, value_name = "TEXT")]
        detail: String,
        /// With other_part: the part that was at fault, by its serial or its place (e.g. psu/2); it counts as failed
        #[arg(long, default_value = "", hide_default_value = true, value_name = "PART")]
        part: String,
    },
    /// What kind of trouble it is, as a person says: routing follows it, whatever the collector computes
    #[command(
        after_help = "Examples:\n  outband tickets triage 12 network --why 'the switch of the rack was replaced'\n  outband tickets triage 12 --clear               what is computed counts again\n\nThe ticket shows who said so, and what was computed beside it."
    )]
    Triage {
        #[command(flatten)]
        ticket: MoveArgs,
        /// What kind; --why is needed with it
        #[arg(value_enum, value_name = "KIND", required_unless_present = "clear")]
        kind: Option<TriageArg>,
        /// What is computed counts again
        #[arg(long, conflicts_with = "kind")]
        clear: bool,
    },
}

/// What it was, said in the step that ends a ticket.
#[derive(Debug, Args)]
pub(crate) struct LastWordArgs {
    /// What it was; asked for again as long as nobody says it
    #[arg(long, value_enum, value_name = "WHAT")]
    verdict: Option<VerdictArg>,
    /// With the verdict other_part: the part that was at fault, by its serial or its place
    #[arg(long, default_value = "", hide_default_value = true, value_name = "PART", requires = "verdict")]
    part: String,
}

impl LastWordArgs {
    /// The request with it.
    pub(crate) fn with(self, request: TransitionTicketRequest) -> TransitionTicketRequest {
        let verdict = self.verdict.as_ref().map(word).unwrap_or_default();
        TransitionTicketRequest { verdict, part: self.part, ..request }
    }
}

/// The word of a value on the wire: as it is typed.
fn word<V: ValueEnum>(value: &V) -> String {
    value.to_possible_value().map(|v| v.get_name().to_owned()).unwrap_or_default()
}

pub(crate) async fn run(context: &Context, command: DecideCommand) -> Result<(), Error> {
    match command {
        DecideCommand::Reached { ticket, milestone, at } => {
            let reached_at_ms = at.map(|text| when::parse(&text, context::now_ms())).transpose()?;
            let request = ReachMilestoneRequest {
                name: name::ticket(&ticket.number),
                milestone: word(&milestone),
                reached_at_ms,
                why: ticket.why,
                etag: ticket.if_etag,
                request_id: ticket.request_id,
            };
            show(context, context.api.tickets().reach_milestone(request).await?.into_inner().ticket)
        }
        DecideCommand::Prioritise { ticket, priority } => {
            transition(context, ticket, "prioritise", |r| TransitionTicketRequest { detail: priority, ..r }).await
        }
        DecideCommand::Policy { ticket, policy } => {
            transition(context, ticket, "policy", |r| TransitionTicketRequest { detail: policy, ..r }).await
        }
        DecideCommand::Verdict { ticket, verdict, detail, part } => {
            let action = format!("verdict:{}", word(&verdict));
            transition(context, ticket, &action, |r| TransitionTicketRequest { detail, part, ..r }).await
        }
        DecideCommand::Triage { ticket, kind, clear: _ } => {
            let action = kind.map_or_else(|| "clear_triage".to_owned(), |kind| format!("set_triage:{}", kind.word()));
            transition(context, ticket, &action, |r| r).await
        }
    }
}
