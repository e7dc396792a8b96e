//! What can be asked on the command line? One file a command.

use std::process::ExitCode;

use clap::{Parser, Subcommand};

pub mod config;
pub mod output;
mod misuse;
mod on_forge;
pub mod validate;
pub mod generate;
pub mod plan;
mod offline;
pub mod simulate;
pub mod explain;
pub mod render;
mod rounds;
pub mod test;
pub mod policy;
pub mod reconcile;
pub mod forge;
pub mod demo;
pub mod app;
pub mod init;
pub mod ask;
mod history;
pub mod audit;
pub mod verify;
pub mod watch;
pub mod doctor;
pub mod import;
pub mod encrypt;
pub mod request;
pub mod link;
pub mod schema;
pub mod report;
pub mod break_glass;

/// Everything is well.
pub const CLEAN: u8 = 0;
/// There are problems, and they were named.
pub const PROBLEMS: u8 = 1;
/// The command was used wrongly: an option (clap's own code), a query, or a name of what is not there.
pub const USAGE: u8 = 2;
/// The world failed: a file, a repository or the forge could not be reached.
pub const WORLD_FAILED: u8 = 3;

/// A self-service portal that lives in a Git repository.
#[derive(Debug, Parser)]
#[command(name = "chandlery", version, max_term_width = 100)]
#[command(
    after_help = "Exit codes: 0 clean, 1 problems that were named, 2 wrong usage (an option, a query, or a name of what is not there), 3 the world failed."
)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
    /// Say more on stderr: -v what is done, -vv what is asked
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    verbose: u8,
}

#[derive(Debug, Subcommand)]
enum Command {
    Validate(validate::ValidateArgs),
    Generate(generate::GenerateArgs),
    Plan(plan::PlanArgs),
    Simulate(simulate::SimulateArgs),
    Explain(explain::ExplainArgs),
    Render(render::RenderArgs),
    Test(test::TestArgs),
    Policy(policy::PolicyArgs),
    Reconcile(reconcile::ReconcileArgs),
    Forge(forge::ForgeArgs),
    Demo(demo::DemoArgs),
    App(app::AppArgs),
    Init(init::InitArgs),
    Get(ask::get::GetArgs),
    List(ask::list::ListArgs),
    Search(ask::search::SearchArgs),
    Graph(ask::graph::GraphArgs),
    Scorecard(ask::scorecard::ScorecardArgs),
    History(ask::history::HistoryArgs),
    Blame(ask::blame::BlameArgs),
    Diff(ask::diff::DiffArgs),
    Audit(audit::AuditArgs),
    Verify(verify::VerifyArgs),
    Watch(watch::WatchArgs),
    Doctor(doctor::DoctorArgs),
    Import(import::ImportArgs),
    Encrypt(encrypt::EncryptArgs),
    Request(request::RequestArgs),
    Rerun(request::RerunArgs),
    Link(link::LinkArgs),
    Schema(schema::SchemaArgs),
    Report(report::ReportArgs),
    ApproveBreakGlass(break_glass::BreakGlassArgs),
    #[command(hide = true)]
    TryOut(validate::try_out::TryOutArgs),
}

/// Runs the command; the exit code says how it went.
pub fn run(cli: Cli) -> ExitCode {
    let level = match cli.verbose {
        0 => "chandlery=warn",
        1 => "chandlery=info,warn",
        _ => "chandlery=debug,info",
    };
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(level)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr()))
        .without_time();
    subscriber.init();
    let done = match cli.command {
        Command::Validate(args) => validate::run(&args),
        Command::Generate(args) => generate::run(&args),
        Command::Plan(args) => plan::run(&args),
        Command::Simulate(args) => simulate::run(&args),
        Command::Explain(args) => explain::run(&args),
        Command::Render(args) => render::run(&args),
        Command::Test(args) => test::run(&args),
        Command::Policy(args) => policy::run(&args),
        Command::Reconcile(args) => reconcile::run(&args),
        Command::Forge(args) => forge::run(args),
        Command::Demo(args) => demo::run(&args),
        Command::App(args) => app::run(&args),
        Command::Init(args) => init::run(&args),
        Command::Get(args) => ask::get::run(&args),
        Command::List(args) => ask::list::run(&args),
        Command::Search(args) => ask::search::run(&args),
        Command::Graph(args) => ask::graph::run(&args),
        Command::Scorecard(args) => ask::scorecard::run(&args),
        Command::History(args) => ask::history::run(&args),
        Command::Blame(args) => ask::blame::run(&args),
        Command::Diff(args) => ask::diff::run(&args),
        Command::Audit(args) => audit::run(&args),
        Command::Verify(args) => verify::run(&args),
        Command::Watch(args) => watch::run(&args),
        Command::Doctor(args) => doctor::run(&args),
        Command::Import(args) => import::run(&args),
        Command::Encrypt(args) => encrypt::run(&args),
        Command::Request(args) => request::run(&args),
        Command::Rerun(args) => request::rerun(&args),
        Command::Link(args) => link::run(&args),
        Command::Schema(args) => schema::run(&args),
        Command::Report(args) => report::run(&args),
        Command::ApproveBreakGlass(args) => break_glass::run(&args),
        Command::TryOut(args) => validate::try_out::run(&args),
    };
    done.unwrap_or_else(|error| {
        tracing::debug!(?error, "failed");
        output::complain(&format!("error: {error:#}"));
        ExitCode::from(misuse::exit_code(&error))
    })
}

/// The runtime of the commands that reach the network.
fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    Ok(tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    /// What programs rely on is found where people look.
    #[test]
    fn the_help_of_each_command_tells_its_exit_codes() {
        let tells = |command: &clap::Command| {
            command.get_long_about().is_some_and(|about| about.to_string().contains("xit codes: "))
        };
        for command in Cli::command().get_subcommands().filter(|command| !command.is_hide_set()) {
            let mut parts = command.get_subcommands().peekable();
            let is_told = tells(command) || parts.peek().is_some() && parts.all(tells);
            assert!(is_told, "{}", command.get_name());
        }
    }
}
