//! `outband`: what operators ask the collector, and what they tell it.
//!
//! Read in this order: [`args`] (what can be asked), [`connect`] (whom), one file a noun ([`servers`] …), [`output`] (how it is shown).

mod agents;
mod args;
mod audit;
mod callpack;
mod checks;
mod connect;
mod contacts;
mod context;
mod covers;
mod decide;
mod drill;
mod enrol;
mod error;
mod events;
mod fleet;
mod gaps;
mod grants;
mod health;
mod incidents;
mod maintenance;
mod name;
mod notices;
mod once;
mod orders;
mod output;
mod overrides;
mod paging;
mod predictions;
mod readings;
mod record;
mod reports;
mod servers;
mod sla;
mod ticket_view;
mod tickets;
mod verify;
mod watch;
mod when;
mod words;

use args::{Args, Command};
use clap::{CommandFactory, Parser};
use context::Context;
use error::Error;
use std::process::ExitCode;
use words::Lang;

fn main() -> ExitCode {
    let args = Args::parse();
    let lang = args.lang.unwrap_or_else(|| Lang::of_environment(|key| std::env::var(key).ok()));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let done = match runtime {
        Ok(runtime) => runtime.block_on(run(args, lang)),
        Err(source) => Err(Error::Output(source)),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if error.is_closed_pipe() => ExitCode::SUCCESS,
        Err(error) if error.is_told() => ExitCode::from(error.exit_code()),
        Err(error) => {
            error.report(lang);
            ExitCode::from(error.exit_code())
        }
    }
}

async fn run(args: Args, lang: Lang) -> Result<(), Error> {
    if let Command::Completions { shell } = args.command {
        let mut script = Vec::new();
        clap_complete::generate(shell, &mut Args::command(), "outband", &mut script);
        return output::print(&String::from_utf8_lossy(&script));
    }
    if let Command::Record { command: record::RecordCommand::Verify { file } } = &args.command {
        return record::check(file, args.output, lang);
    }
    let Args { connection, output, watch, limit, command, .. } = args;
    let api = connect::connect(&connection).await?;
    let context = Context { api, format: output, lang, limit, watch };
    match command {
        Command::Servers { command } => servers::run(&context, command).await,
        Command::Health { command: Some(command), .. } => checks::run(&context, command).await,
        Command::Health { name, command: None } => health::run(&context, name).await,
        Command::Readings(asked) => readings::run(&context, asked).await,
        Command::Events { server, severity } => events::run(&context, server, severity).await,
        Command::Gaps { server } => gaps::run(&context, server).await,
        Command::Tickets { command } => tickets::run(&context, command).await,
        Command::Incidents { server, held, ticket } => incidents::run(&context, server, held, ticket).await,
        Command::Maintenance { command } => maintenance::run(&context, command).await,
        Command::Notices { command } => notices::run(&context, command).await,
        Command::Timeline(asked) => callpack::timeline(&context, asked).await,
        Command::Grants { command } => grants::run(&context, command).await,
        Command::Contacts(asked) => contacts::run(&context, asked).await,
        Command::Orders { command } => orders::run(&context, command).await,
        Command::Predictions { command } => predictions::run(&context, command).await,
        Command::Drill { command } => drill::run(&context, command).await,
        Command::Overrides { command } => overrides::run(&context, command).await,
        Command::Fleet { command } => fleet::run(&context, command).await,
        Command::Agent { command } => enrol::run(&context, command).await,
        Command::Agents => agents::run(&context).await,
        Command::Reports { command } => reports::run(&context, command).await,
        Command::Record { command } => record::run(&context, command).await,
        Command::Time { confirm, request } => sla::time(&context, confirm, request).await,
        Command::Audit { command } => audit::run(&context, command).await,
        Command::Completions { .. } => Ok(()),
    }
}
