//! Tickets, pure: a ticket is a fold over its log, its clocks are a fold over the same log, and business time is
//! arithmetic. No clock, no socket, no disk: the time is an argument.
//!
//! Read in this order: [`ticket`] (what is kept), [`action`] and [`log`] (how it
//! came about), [`state`] (the one table of moves), [`priority`], [`calendar`]
//! (business time), [`policy`] (what is promised), [`sla`] (the clocks), [`escalation`], [`breach`],
//! [`outcome`] (whether it was right).

pub mod action;
pub mod breach;
pub mod calendar;
pub mod escalation;
pub mod log;
pub mod outcome;
pub mod policy;
pub mod priority;
pub mod sla;
pub mod state;
pub mod ticket;

pub use action::{AccessStep, Action, LinkKind, Milestone, Rebase, Resolution, Verdict, Visibility};
pub use calendar::{Calendar, CalendarError, CalendarRevision, CalendarSpec, Flag, Span};
pub use log::{Command, Transition};
pub use outcome::{Answer, Basis, Outcome};
pub use policy::{Calendars, Policies, SlaPolicy};
pub use priority::{Impact, Priority, Redundancy};
pub use sla::{Allowance, ClockSpec, Hours, SlaClock, Target};
pub use state::{Rejected, State, Verb, apply};
pub use ticket::{
    Comment, Evidence, Link, OpenAccess, Opening, Override, PolicyRef, Suppression, Ticket, TicketNumber, TriageSet,
};
