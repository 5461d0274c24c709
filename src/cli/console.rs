//! Listens to whoever sits at standard input while something plays: keys at a
//! terminal, lines from anything else.

use std::fs;
use std::io::{self, BufRead, IsTerminal, Read};
use std::process::{Command as Process, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use wysiwyh::live::{Command, Keys};
use wysiwyh::sensor::STDIN;

use super::report::Report;

/// No command is longer; the rest of a line that is goes unread.
const LONGEST_LINE: u64 = 256;

/// How often is looked whether a shell has taken the terminal, and given it back.
const LOOK: Duration = Duration::from_millis(200);

/// Whoever looks so much later has been stopped.
const STOPPED: Duration = Duration::from_secs(1);

/// What makes a terminal send each key at once, and show none.
const SINGLE_KEYS: [&str; 6] = ["-icanon", "-echo", "min", "1", "time", "0"];

/// The terminal's settings before they were changed, as `stty` wrote them.
static SETTINGS: Mutex<Option<String>> = Mutex::new(None);

/// Commands as they come in, until this is dropped, which gives the terminal
/// its settings back.
#[derive(Debug)]
pub struct Console<T> {
    pub commands: Receiver<T>,
}

impl Console<Command> {
    /// Listens for commands while `source` plays; see [`Console::of`].
    pub fn open(source: &str, report: Report) -> Self {
        let mut keys = Keys::default();
        let line = |line: &str| match line {
            // The key that mutes, and Enter.
            " " => Ok(Command::Mute),
            line => line.parse(),
        };
        let hint = "Keys: space mutes, s tells how it goes, h lists all.";
        Self::of(source, report, hint, move |byte| keys.press(byte), line)
    }
}

impl<T: Send + 'static> Console<T> {
    /// Listens for what keys, byte by byte, and lines mean, unless standard input is the `source` or this process is in
    /// the background of its terminal, where reading would suspend it.
    ///
    /// The end of standard input ends nothing else. Its reader may wait for
    /// ever, and then ends with the process.
    pub fn of(
        source: &str,
        report: Report,
        hint: &str,
        press: impl FnMut(u8) -> Option<T> + Send + 'static,
        line: fn(&str) -> Result<T, String>,
    ) -> Self {
        let (sender, commands) = channel();
        let pictures = [STDIN, "/dev/stdin", "/dev/fd/0", "/proc/self/fd/0"].contains(&source);
        if !pictures && io::stdin().is_terminal() {
            if is_in_foreground() {
                let single = take_single_keys();
                report.note(match single {
                    true => hint,
                    false => "The program stty is missing: press Enter after each key.",
                });
                if single {
                    std::thread::spawn(keep_single_keys);
                }
                std::thread::spawn(move || match single {
                    true => read_keys(&sender, press),
                    false => read_lines(&sender, report, line),
                });
            }
        } else if !pictures {
            std::thread::spawn(move || read_lines(&sender, report, line));
        }
        Self { commands }
    }
}

impl<T> Drop for Console<T> {
    fn drop(&mut self) {
        restore_terminal();
    }
}

/// Gives the terminal the settings back that it had, if they were changed.
pub fn restore_terminal() {
    let settings = SETTINGS.lock().unwrap_or_else(PoisonError::into_inner).take();
    if let Some(settings) = settings {
        stty(&[&settings]);
    }
}

/// Makes the terminal send each key at once, and show none; false where that
/// cannot be done. Ctrl-C stays what it is.
fn take_single_keys() -> bool {
    let Some(before) = stty(&["-g"]) else { return false };
    let mut settings = SETTINGS.lock().unwrap_or_else(PoisonError::into_inner);
    *settings = Some(before);
    drop(settings);
    let taken = stty(&SINGLE_KEYS).is_some();
    if !taken {
        restore_terminal();
    }
    taken
}

/// Takes single keys again whenever this process has been stopped and goes on, until
/// the terminal gets its settings back: a shell has them as it likes meanwhile.
fn keep_single_keys() {
    let (mut looked, mut away) = (Instant::now(), false);
    loop {
        std::thread::sleep(LOOK);
        // Held while the settings change, so that they are given back after that.
        let settings = SETTINGS.lock().unwrap_or_else(PoisonError::into_inner);
        if settings.is_none() {
            return;
        }
        let here = is_in_foreground();
        away |= !here || looked.elapsed() > STOPPED;
        looked = Instant::now();
        if away && here {
            away = stty(&SINGLE_KEYS).is_none();
        }
    }
}

/// What `stty` says of our terminal, if it can.
fn stty(arguments: &[&str]) -> Option<String> {
    let asked = Process::new("stty").args(arguments).stdin(Stdio::inherit()).output().ok()?;
    let said = String::from_utf8(asked.stdout).ok()?;
    asked.status.success().then(|| said.trim().to_owned())
}

/// Whether this process may read its terminal: whether its process group is
/// the terminal's. Where there is no `/proc` to tell, it is taken for granted.
fn is_in_foreground() -> bool {
    let Ok(stat) = fs::read_to_string("/proc/self/stat") else { return true };
    // proc_pid_stat(5): after the name in parentheses, which may hold any
    // characters: state, parent, group, session, terminal, terminal's group.
    let fields = stat.rsplit_once(')').map_or("", |(_, fields)| fields);
    let fields: Vec<&str> = fields.split_whitespace().collect();
    match (fields.get(2), fields.get(5)) {
        (Some(ours), Some(terminals)) => ours == terminals,
        _ => true,
    }
}

fn read_keys<T>(sender: &Sender<T>, mut press: impl FnMut(u8) -> Option<T>) {
    for byte in io::stdin().lock().bytes() {
        let Ok(byte) = byte else { return };
        if press(byte).is_some_and(|command| sender.send(command).is_err()) {
            return;
        }
    }
}

fn read_lines<T>(sender: &Sender<T>, report: Report, meaning: fn(&str) -> Result<T, String>) {
    let mut input = io::stdin().lock();
    loop {
        let mut line = Vec::new();
        match input.by_ref().take(LONGEST_LINE).read_until(b'\n', &mut line) {
            Ok(0) | Err(_) => return,
            Ok(_) if !line.ends_with(b"\n") && input.skip_until(b'\n').is_err() => return,
            Ok(_) => {}
        }
        let line = String::from_utf8_lossy(&line);
        let command = match line.trim_end_matches(['\r', '\n']) {
            "" => continue,
            line => meaning(line),
        };
        match command {
            Ok(command) => {
                if sender.send(command).is_err() {
                    return;
                }
            }
            Err(sentence) => report.note(sentence),
        }
    }
}
