//! How the tool speaks: results on standard output; progress, notes and
//! errors on standard error.

use std::fmt::Display;
use std::io::{self, ErrorKind, IsTerminal, Write};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;
use wysiwyh::{Error, Fault, Result};

/// How often work on a plain terminal says how far it is.
const PLAIN_INTERVAL: Duration = Duration::from_secs(10);

/// Speaks in tables and redrawn progress bars, or in plain lines.
#[derive(Clone, Copy, Debug)]
pub struct Report {
    plain: bool,
}

impl Report {
    /// Plain if asked for, also by the environment, where 0 and nothing ask for nothing.
    pub fn new(plain: bool) -> Self {
        let environment = std::env::var_os("WYSIWYH_PLAIN");
        let environment = environment.is_some_and(|value| !value.is_empty() && value != "0");
        Self { plain: plain || environment }
    }

    /// Whether what is told is to be read line by line: no columns, nothing
    /// that has to be seen, nothing that redraws itself.
    pub fn is_plain(&self) -> bool {
        self.plain
    }

    /// A result, on standard output.
    ///
    /// # Errors
    ///
    /// If it cannot be written; a reader that has seen enough is no error.
    pub fn print(&self, text: impl Display) -> Result<()> {
        let text = text.to_string();
        match writeln!(io::stdout().lock(), "{}", text.trim_end()) {
            Err(error) if error.kind() != ErrorKind::BrokenPipe => {
                Err(Error::output("standard output", error))
            }
            _ => Ok(()),
        }
    }

    /// Rows of cells, the first being the headings, on standard output:
    /// columns, aligned, two spaces between them; plainly a line for each row,
    /// in which every cell comes with its heading.
    ///
    /// # Errors
    ///
    /// If it cannot be written.
    pub fn table(&self, rows: &[Vec<String>]) -> Result<()> {
        match (self.plain, rows) {
            (true, [headings, rows @ ..]) => {
                rows.iter().try_for_each(|row| self.print(in_words(headings, row)))
            }
            _ => self.print(aligned(rows)),
        }
    }

    /// A result for programs, on standard output.
    ///
    /// # Errors
    ///
    /// If it cannot be written.
    pub fn json(&self, value: &impl Serialize) -> Result<()> {
        let text =
            serde_json::to_string_pretty(value).map_err(|e| Error::output("standard output", e))?;
        self.print(text)
    }

    /// One line for people, on standard error.
    pub fn note(&self, text: impl Display) {
        line(text);
    }

    /// `error:` and `hint:`, on standard error.
    pub fn error(&self, error: &Error) {
        self.note(format_args!("error: {error}"));
        if let Some(advice) = error.advice() {
            self.note(format_args!("hint: {advice}"));
        }
    }

    /// Says `error` and gives its exit status: 2 where the command line is at
    /// fault, else 1.
    pub fn failure(&self, error: &Error) -> ExitCode {
        self.error(error);
        match error.fault {
            Fault::Usage => ExitCode::from(2),
            _ => ExitCode::FAILURE,
        }
    }

    /// Says `errors`, after which everything else went on, and gives the exit status of the
    /// last one; success where there are none.
    pub fn failures(&self, errors: &[Error]) -> ExitCode {
        errors.iter().fold(ExitCode::SUCCESS, |_, error| self.failure(error))
    }

    /// Progress on `what`, in steps of which there are `total`, if known.
    pub fn progress(&self, what: &str, total: Option<usize>) -> Progress {
        let redrawn = !self.plain && io::stderr().is_terminal();
        let bar = redrawn.then(|| {
            let (bar, template) = match total {
                Some(total) => (
                    ProgressBar::new(total as u64),
                    "{prefix} {wide_bar} {pos} of {len}, {per_sec}, {eta} left",
                ),
                None => (ProgressBar::new_spinner(), "{prefix} {spinner} {pos}, {per_sec}"),
            };
            let style = ProgressStyle::with_template(template);
            bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
                .with_prefix(what.to_owned())
        });
        let (what, now) = (what.to_owned(), Instant::now());
        Progress { what, total, done: 0, begun: None, started: now, spoken: now, bar }
    }
}

/// One line for people, on standard error.
pub fn line(text: impl Display) {
    // In one piece, as standard output may go to the same place. Nobody reads it where
    // standard error is closed.
    let _ = io::stderr().lock().write_all(format!("{text}\n").as_bytes());
}

/// How far some work is.
#[derive(Debug)]
pub struct Progress {
    what: String,
    total: Option<usize>,
    done: usize,
    /// Steps that were done when the first of them was told, at `started`; an
    /// earlier run may have done many, which say nothing of how fast this one is.
    begun: Option<usize>,
    started: Instant,
    spoken: Instant,
    bar: Option<ProgressBar>,
}

impl Progress {
    /// `done` steps are done.
    pub fn set(&mut self, done: usize) {
        self.done = done;
        if self.begun.is_none() {
            (self.begun, self.started) = (Some(done), Instant::now());
            if let Some(bar) = &self.bar {
                bar.set_position(done as u64);
                bar.reset_eta();
            }
        }
        match &self.bar {
            Some(bar) => bar.set_position(done as u64),
            None if self.spoken.elapsed() > PLAIN_INTERVAL => {
                self.spoken = Instant::now();
                self.say(&self.line());
            }
            None => {}
        }
    }

    /// One more step is done.
    pub fn advance(&mut self) {
        self.set(self.done + 1);
    }

    /// A line above the bar.
    pub fn say(&self, text: &str) {
        match &self.bar {
            Some(bar) => bar.suspend(|| line(text)),
            None => line(text),
        }
    }

    fn line(&self) -> String {
        let Self { what, done, .. } = self;
        let new = done.saturating_sub(self.begun.unwrap_or_default());
        let rate = new as f64 / self.started.elapsed().as_secs_f64();
        match self.total {
            Some(total) => {
                let percent = 100 * done / total.max(1);
                let left_s = total.saturating_sub(*done) as f64 / rate;
                let pace = match new {
                    0 => String::new(),
                    _ => format!(", {rate:.0} a second, {left_s:.0} s left"),
                };
                format!("{what}: {done} of {total}, {percent} %{pace}")
            }
            None => format!("{what}: {done}, {rate:.0} a second"),
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

/// `row` as a line: the first cell, then what each other one is and says.
fn in_words(headings: &[String], row: &[String]) -> String {
    let cells = headings.iter().zip(row).skip(1).filter(|(_, cell)| !cell.is_empty());
    let told: Vec<String> = cells.map(|(heading, cell)| format!("{heading} {cell}")).collect();
    let first = row.first().map_or("", String::as_str);
    format!("{first}: {}.", told.join("; "))
}

/// Rows of cells as text, columns aligned, two spaces between them.
pub fn aligned(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        rows.iter().filter_map(|row| row.get(column)).map(|c| c.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let line = |row: &Vec<String>| {
        let cells: Vec<String> =
            row.iter().zip(&widths).map(|(cell, &width)| format!("{cell:width$}")).collect();
        cells.join("  ").trim_end().to_owned()
    };
    rows.iter().map(line).collect::<Vec<_>>().join("\n")
}
