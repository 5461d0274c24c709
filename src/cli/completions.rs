//! `completions`: what a shell needs to complete the command line.

use std::process::ExitCode;

use clap::{Args, CommandFactory};
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
        generate(self.shell, &mut Cli::command(), "wysiwyh", &mut script);
        report.print(String::from_utf8_lossy(&script))?;
        Ok(ExitCode::SUCCESS)
    }
}
