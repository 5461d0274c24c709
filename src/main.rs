//! `wysiwyh` on the command line.

mod cli;

use std::process::ExitCode;

use clap::Parser;
use wysiwyh::Result;

use cli::{Cli, Verb, report::Report};

/// 0 ok, 1 failure, 2 usage, 3 part of a batch failed.
fn main() -> ExitCode {
    let Cli { plain, verb } = Cli::parse();
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
