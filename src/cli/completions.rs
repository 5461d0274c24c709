//! `completions`: what a shell needs to complete the command line.

use std::process::ExitCode;

use clap::{Args, Command, CommandFactory};
use clap_complete::{Shell, generate};
use wysiwyh::Result;

use super::Cli;
use super::report::Report;

/// Prints a script with which a shell completes verbs and options at the Tab
/// key.
#[derive(Args, Debug)]
#[command(after_help = "\
Reads:    nothing
Writes:   the script, to standard output
Units:    none
Example:  wysiwyh completions bash > ~/.local/share/bash-completion/completions/wysiwyh
          wysiwyh completions fish > ~/.config/fish/completions/wysiwyh.fish
          wysiwyh completions zsh > _wysiwyh  (in a folder of $fpath)")]
pub struct Arguments {
    /// The shell
    #[arg(value_name = "SHELL")]
    shell: Shell,
}

impl Arguments {
    pub fn run(self, report: &Report) -> Result<ExitCode> {
        let mut script = Vec::new();
        generate(self.shell, &mut shown(), "wysiwyh", &mut script);
        report.print(String::from_utf8_lossy(&script))?;
        Ok(ExitCode::SUCCESS)
    }
}

/// The command line without what the program asks of itself alone.
fn shown() -> Command {
    let whole = Cli::command();
    let verbs = whole.get_subcommands().filter(|verb| !verb.is_hide_set());
    Command::new("wysiwyh")
        .version(env!("CARGO_PKG_VERSION"))
        .args(whole.get_arguments().cloned())
        .subcommands(verbs.cloned())
}
