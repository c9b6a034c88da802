//! Completion of the command line in shells: the script that a shell loads, and what it then asks this program.

mod bash;
mod candidates;
mod context;

use clap::CommandFactory;
use clap_complete::env::{CompleteEnv, EnvCompleter, Fish, Shells, Zsh};

use super::Cli;
use crate::terminal;
use bash::Bash;

/// Set by the scripts: to the name of the shell that wants to know what may come next.
const VARIABLE: &str = "SAMPAN_COMPLETE";

/// Print the script that has a shell complete `sampan`: commands, flags, and names that the running server knows
///
/// Names of objects, namespaces, kinds, workers, images and tokens are asked of the server, for half a second at most. Without a
/// server there are none. The script is this version's: print it again after an upgrade, or have the shell do so each time.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
EXAMPLES:
  sampan completion bash    To try it: source <(sampan completion bash)
  sampan completion zsh     To try it: source <(sampan completion zsh)
  sampan completion fish    To try it: sampan completion fish | source

TO HAVE IT IN EVERY SHELL:
  bash, in ~/.bashrc:
      source <(sampan completion bash)
  zsh, in ~/.zshrc, after compinit:
      source <(sampan completion zsh)
  fish:
      mkdir -p ~/.config/fish/completions
      sampan completion fish > ~/.config/fish/completions/sampan.fish

FOR ALL USERS OF A MACHINE:
  sampan completion bash > /usr/share/bash-completion/completions/sampan
  sampan completion zsh > /usr/share/zsh/vendor-completions/_sampan
  sampan completion fish > /usr/share/fish/vendor_completions.d/sampan.fish")]
pub(crate) struct Completion {
    /// Which shell
    #[arg(value_name = "SHELL", value_enum)]
    shell: Shell,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Shell {
    Bash,
    Zsh,
    Fish,
}

impl Completion {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let completer: &dyn EnvCompleter = match self.shell {
            Shell::Bash => &Bash,
            Shell::Zsh => &Zsh,
            Shell::Fish => &Fish,
        };
        let mut script = Vec::new();
        completer.write_registration(VARIABLE, "sampan", "sampan", "sampan", &mut script)?;
        let mut script = String::from_utf8(script)?.trim().to_owned();
        if self.shell == Shell::Zsh {
            // Loaded by name at the first Tab, it is that completion's function as well.
            script.push_str("\nif [[ $funcstack[1] == _sampan ]]; then _clap_dynamic_completer_sampan \"$@\"; fi");
        }
        let _ = terminal::print(script);
        Ok(())
    }
}

/// Answers a shell that asks, and ends the process; of any other start it does nothing.
pub(super) fn answer_shell() {
    let command = || {
        let mut command = Cli::command();
        // `--help` of each is there only then.
        command.build();
        candidates::attached(command, "")
    };
    CompleteEnv::with_factory(command)
        .var(VARIABLE)
        .shells(Shells(&[&Bash, &Zsh, &Fish]))
        .bin("sampan")
        .completer("sampan")
        .complete();
}
