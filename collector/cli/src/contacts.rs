//! `outband contacts`.

use crate::context::Context;
use crate::error::Error;
use crate::output::{self, Column, List};
use crate::paging::Paged;
use crate::words::Word;
use clap::Args as ClapArgs;
use outband_proto::notice::{Contact, ListContactsRequest};
use serde::Serialize;

#[derive(Debug, ClapArgs)]
pub(crate) struct ContactsArgs {
    /// Only of this contract
    #[arg(long, value_name = "NAME")]
    contract: Option<String>,
    /// Only those that nobody has verified for 180 days, or that are told nowhere
    #[arg(long)]
    stale: bool,
}

#[derive(Debug, Serialize)]
struct View {
    contract: String,
    customer: String,
    until: String,
    role: String,
    turn: u32,
    name: String,
    recipients: Vec<String>,
    phone: String,
    unknown_recipients: Vec<String>,
    verified: String,
    unverified_days: Option<i64>,
    stale: bool,
}

const COLUMNS: &[Column<View>] = &[
    Column {
        key: "contract",
        head: Word::Contract,
        wide: false,
        cell: |v, _| v.contract.clone(),
        raw: |v| v.contract.clone(),
    },
    Column {
        key: "customer",
        head: Word::CustomerHead,
        wide: true,
        cell: |v, _| v.customer.clone(),
        raw: |v| v.customer.clone(),
    },
    Column { key: "until", head: Word::Until, wide: true, cell: |v, _| v.until.clone(), raw: |v| v.until.clone() },
    Column { key: "role", head: Word::Role, wide: false, cell: |v, _| v.role.clone(), raw: |v| v.role.clone() },
    Column { key: "turn", head: Word::Turn, wide: false, cell: |v, _| v.turn.to_string(), raw: |v| v.turn.to_string() },
    Column { key: "name", head: Word::ContactName, wide: false, cell: |v, _| v.name.clone(), raw: |v| v.name.clone() },
    Column {
        key: "recipients",
        head: Word::Recipient,
        wide: false,
        cell: |v, _| v.recipients.join(" "),
        raw: |v| v.recipients.join(" "),
    },
    Column {
        key: "phone",
        head: Word::Phone,
        wide: false,
        cell: |v, _| if v.phone.is_empty() { "–".to_owned() } else { v.phone.clone() },
        raw: |v| v.phone.clone(),
    },
    Column {
        key: "verified",
        head: Word::Verified,
        wide: false,
        cell: |v, _| if v.verified.is_empty() { "–".to_owned() } else { v.verified.clone() },
        raw: |v| v.verified.clone(),
    },
    Column {
        key: "unverified_days",
        head: Word::Days,
        wide: true,
        cell: |v, _| v.unverified_days.map_or_else(|| "–".to_owned(), |days| days.to_string()),
        raw: |v| v.unverified_days.map(|days| days.to_string()).unwrap_or_default(),
    },
    Column {
        key: "stale",
        head: Word::Note,
        wide: false,
        cell: |v, s| {
            let mut notes = Vec::new();
            if v.stale {
                notes.push(s.word(Word::VerifyAgain));
            }
            if !v.unknown_recipients.is_empty() {
                notes.push(format!("{}: {}", s.word(Word::ToldNowhere), v.unknown_recipients.join(" ")));
            }
            notes.join("; ")
        },
        raw: |v| v.stale.to_string(),
    },
];

impl From<Contact> for View {
    fn from(c: Contact) -> Self {
        Self {
            contract: c.contract,
            customer: c.customer,
            until: c.until,
            role: c.role,
            turn: c.turn,
            name: c.name,
            recipients: c.recipients,
            phone: c.phone,
            unknown_recipients: c.unknown_recipients,
            verified: c.verified,
            unverified_days: c.unverified_days,
            stale: c.stale,
        }
    }
}

pub(crate) async fn run(context: &Context, args: ContactsArgs) -> Result<(), Error> {
    let request = ListContactsRequest { contract: args.contract.unwrap_or_default(), stale_only: args.stale };
    let contacts = context.api.notices().list_contacts(request).await?.into_inner().contacts;
    let paged = Paged { rows: contacts.into_iter().map(View::from).collect(), more: false };
    output::print(&context.render(&List { name: "contacts", columns: COLUMNS, paged, none: Word::NoContacts })?)
}
