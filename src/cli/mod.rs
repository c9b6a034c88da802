//! The command line. One file for each command; each `--help` teaches by example.

mod apply;
mod autoscale;
mod build;
mod certificate;
mod completion;
mod config_file;
mod delete;
mod describe;
mod dev;
mod down;
mod events;
mod gateway;
mod get;
mod images;
mod inspect;
mod login;
mod logs;
mod man;
mod new;
mod node;
mod port_forward;
mod push;
mod rollout;
mod run;
mod scale;
mod server;
mod sign;
mod status;
mod token;
mod top;
mod up;
mod user;
mod version;
mod wit;
mod worker;

use std::time::Duration;

use clap::{CommandFactory, Parser, Subcommand};
use runtime::Code;

use crate::{
    compose, errors,
    terminal::{self, print_line},
};

/// The status of a command line that is wrong, clap's own.
const USAGE: i32 = 2;

/// Runs HTTP services as WebAssembly components and keeps them running.
#[derive(Debug, Parser)]
#[command(name = "sampan", version, max_term_width = 120, after_help = EXAMPLES)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

const EXAMPLES: &str = "\
EXAMPLES:
  sampan new hello                   Begin a service, in a language of your choice
  sampan dev hello                   Build, run and watch it
  sampan run service.wasm            Serve one component, and keep nothing
  sampan up                          Run Sampan on this machine
  sampan apply -f deploy/            Apply manifests to it
  sampan status                      See what runs, and what is wrong
  sampan logs -f hello               Follow what it says

`sampan help COMMAND` has examples for each command. `kubectl` works too: sampan prints how.";

#[derive(Debug, Subcommand)]
enum Command {
    New(new::New),
    Dev(dev::Dev),
    Run(Box<run::Run>),
    Up(up::Up),
    Down(down::Down),
    Server(Box<server::Server>),
    Worker(Box<worker::Worker>),
    Gateway(Box<gateway::Gateway>),
    Token(token::Token),
    User(user::User),
    Certificate(certificate::Certificate),
    Cordon(node::Cordon),
    Uncordon(node::Uncordon),
    Drain(node::Drain),
    Build(build::Build),
    Wit(wit::Wit),
    Push(push::Push),
    Images(images::Images),
    Inspect(inspect::Inspect),
    Login(login::Login),
    Logout(login::Logout),
    Sign(sign::Sign),
    Verify(sign::Verify),
    Apply(apply::Apply),
    Status(status::Status),
    Top(top::Top),
    Get(get::Get),
    Describe(describe::Describe),
    Events(events::Events),
    Delete(delete::Delete),
    Scale(scale::Scale),
    Autoscale(autoscale::Autoscale),
    Logs(logs::Logs),
    PortForward(port_forward::PortForward),
    Rollout(rollout::Rollout),
    Completion(completion::Completion),
    Man(man::Man),
    Version(version::Version),
}

/// What processes of ours start, and nobody types: apart, so that it is neither listed nor suggested.
#[derive(Debug, Parser)]
#[command(name = "sampan", disable_help_subcommand = true)]
enum Internal {
    /// What compiles components, for who started it
    CompileServer {
        /// Address space that each may use
        memory_bytes: u64,
        /// How long each may take
        timeout_millis: u64,
        /// Make code that is there soon, in place of such that runs fast
        #[arg(long)]
        unoptimized: bool,
    },
    /// What pulls one image, for who started it
    PullProcess {
        /// Do what a registry could that has taken it over, in builds for tests, to what is in this directory
        #[cfg(debug_assertions)]
        #[arg(long)]
        hostile_to: Option<std::path::PathBuf>,
    },
}

/// All that users can type, for the page of the book that shows it.
#[cfg(test)]
pub(crate) fn command() -> clap::Command {
    Cli::command()
}

/// Reads the command line and carries it out. What is wrong with it ends the process with 2, as clap does.
pub(crate) fn run() -> anyhow::Result<()> {
    completion::answer_shell();
    let first = std::env::args_os().nth(1).unwrap_or_default();
    if Internal::command().get_subcommands().any(|command| first == *command.get_name()) {
        return Internal::parse().run();
    }
    let line = config_file::merged(&Cli::command(), std::env::args_os().collect());
    let line = line.unwrap_or_else(|error| {
        terminal::print_error(errors::report(&error));
        std::process::exit(USAGE)
    });
    Cli::parse_from(line).run()
}

impl Internal {
    fn run(self) -> anyhow::Result<()> {
        match self {
            Self::CompileServer { memory_bytes, timeout_millis, unoptimized } => {
                let code = if unoptimized { Code::Unoptimized } else { Code::Optimized };
                Ok(runtime::serve_compiles(code, memory_bytes, Duration::from_millis(timeout_millis))?)
            }
            #[cfg(debug_assertions)]
            Self::PullProcess { hostile_to: Some(dir) } => compose::pull_as_if_taken_over(dir),
            Self::PullProcess { .. } => compose::pull_process(),
        }
    }
}

impl Cli {
    /// Carries the command out.
    fn run(self) -> anyhow::Result<()> {
        match self.command {
            Command::New(command) => command.run(),
            Command::Dev(command) => command.run(),
            Command::Run(command) => command.run(),
            Command::Up(command) => command.run(),
            Command::Down(command) => client(command.run()),
            Command::Server(command) => command.run(),
            Command::Worker(command) => command.run(),
            Command::Gateway(command) => command.run(),
            Command::Token(command) => client(command.run()),
            Command::User(command) => client(command.run()),
            Command::Certificate(command) => client(command.run()),
            Command::Cordon(command) => client(command.run()),
            Command::Uncordon(command) => client(command.run()),
            Command::Drain(command) => client(command.run()),
            Command::Build(command) => command.run(),
            Command::Wit(command) => command.run(),
            Command::Push(command) => client(command.run()),
            Command::Images(command) => client(command.run()),
            Command::Inspect(command) => command.run(),
            Command::Login(command) => client(command.run()),
            Command::Logout(command) => command.run(),
            Command::Sign(command) => client(command.run()),
            Command::Verify(command) => client(command.run()),
            Command::Apply(command) => client(command.run()),
            Command::Status(command) => client(command.run()),
            Command::Top(command) => client(command.run()),
            Command::Get(command) => client(command.run()),
            Command::Describe(command) => client(command.run()),
            Command::Events(command) => client(command.run()),
            Command::Delete(command) => client(command.run()),
            Command::Scale(command) => client(command.run()),
            Command::Autoscale(command) => command.run(),
            Command::Logs(command) => client(command.run()),
            Command::PortForward(command) => client(command.run()),
            Command::Rollout(command) => client(command.run()),
            Command::Completion(command) => command.run(),
            Command::Man(command) => command.run(),
            Command::Version(command) => client(command.run()),
        }
    }
}

/// Runs a command that only speaks to a server: one thread is plenty.
fn client(command: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<()> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(command)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leaves(command: &clap::Command, path: &str) -> Vec<(String, clap::Command)> {
        let path = format!("{path} {}", command.get_name());
        let below: Vec<_> =
            command.get_subcommands().filter(|sub| !sub.is_hide_set()).flat_map(|sub| leaves(sub, &path)).collect();
        if below.is_empty() { vec![(path, command.clone())] } else { below }
    }

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn help_is_a_command_and_what_nobody_types_is_not_suggested() {
        let said = |words: &[&str]| Cli::try_parse_from(words).unwrap_err().to_string();
        assert!(said(&["sampan", "help"]).contains("EXAMPLES:"));
        assert!(said(&["sampan", "help", "apply"]).contains("sampan apply -f"));
        assert!(said(&["sampan", "help", "rollout", "status"]).contains("sampan rollout status"));
        let unknown = said(&["sampan", "compil"]);
        assert!(!unknown.contains("'compile"), "{unknown}");
        let listed = said(&["sampan", "help"]);
        assert!(!listed.contains("compile-server") && !listed.contains("pull-process"), "{listed}");
    }

    #[test]
    fn metrics_stand_under_a_heading_of_their_own() {
        for command in ["up", "dev", "server", "worker", "gateway"] {
            let help = Cli::try_parse_from(["sampan", command, "--help"]).unwrap_err().to_string();
            let (_, metrics) = help.split_once("\nMetrics:\n").unwrap_or_else(|| panic!("{command}: {help}"));
            let section = metrics.split("\n\n").next().unwrap_or_default();
            assert!(section.trim_start().starts_with("--metrics <IP:PORT>"), "{command}: {section}");
            assert_eq!(help.matches("--metrics").count(), 1, "{command}");
        }
    }

    #[test]
    fn every_command_teaches_by_example() {
        for (path, command) in leaves(&Cli::command(), "") {
            let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            assert!(help.starts_with("EXAMPLES:\n  sampan "), "{path} has no examples");
            assert!(command.get_about().is_some(), "{path} does not say what it does");
        }
    }

    #[test]
    fn every_example_is_a_command_line_that_parses() {
        for (path, command) in leaves(&Cli::command(), "") {
            let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            for example in help.lines().filter_map(|line| line.strip_prefix("  ")).filter(|l| l.starts_with("sampan")) {
                let line = example.split("   ").next().unwrap_or_default();
                let words = line.split_whitespace().take_while(|word| !["|", ">", "#"].contains(word));
                let parsed = Cli::try_parse_from(words);
                assert!(parsed.is_ok(), "{path}: `{line}`: {}", parsed.unwrap_err());
            }
        }
    }

    #[test]
    fn every_flag_has_an_environment_variable() {
        for (path, command) in leaves(&Cli::command(), "") {
            let flags = command.get_arguments().filter(|arg| arg.get_long().is_some_and(|long| long != "help"));
            for flag in flags {
                let name = flag.get_env().and_then(|name| name.to_str()).unwrap_or_default();
                assert!(name.starts_with("SAMPAN_"), "{path} --{} has none", flag.get_long().unwrap_or_default());
            }
        }
    }
}
