//! `wysiwyh` on the command line.

mod cli;

use std::process::ExitCode;

use clap::{ColorChoice, CommandFactory, FromArgMatches};
use wysiwyh::Result;

use cli::{Cli, Verb, report::Report};

/// 0 ok, 1 failure, 2 usage, 3 part of a batch failed.
fn main() -> ExitCode {
    // Help and errors of the command line are told while it is read.
    let plain = Report::new(std::env::args_os().any(|argument| argument == "--plain")).is_plain();
    let colours = if plain { ColorChoice::Never } else { ColorChoice::Auto };
    let matches = Cli::command().color(colours).get_matches();
    let Cli { plain, verb } = Cli::from_arg_matches(&matches).unwrap_or_else(|e| e.exit());
    let report = Report::new(plain);
    cli::stop_on_ctrl_c();
    match run(verb, &report) {
        Ok(code) => code,
        Err(error) => report.failure(&error),
    }
}

fn run(verb: Verb, report: &Report) -> Result<ExitCode> {
    #[cfg(feature = "gdal")]
    if let (false, Ok(program)) = (matches!(verb, Verb::Probe(_)), std::env::current_exe()) {
        wysiwyh::sensor::probe_with(program, cli::probe::VERB);
    }
    match verb {
        #[cfg(feature = "gdal")]
        Verb::Probe(arguments) => arguments.run(report),
        Verb::Sensors(arguments) => arguments.run(report),
        Verb::Inspect(arguments) => arguments.run(report),
        Verb::Train(arguments) => arguments.run(report),
        Verb::Live(arguments) => arguments.run(report),
        Verb::Convert(arguments) => arguments.run(report),
        Verb::Plan(arguments) => arguments.run(report),
        Verb::Collect(arguments) => arguments.run(report),
        Verb::Listen(arguments) => arguments.run(report),
        Verb::Evaluate(arguments) => arguments.run(report),
        Verb::Hearing(arguments) => arguments.run(report),
        Verb::Datasets(arguments) => arguments.run(report),
        Verb::Practice(arguments) => arguments.run(report),
        Verb::View(arguments) => arguments.run(report),
        Verb::Demo(arguments) => arguments.run(report),
        Verb::Completions(arguments) => arguments.run(report),
    }
}
