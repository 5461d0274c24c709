//! How a test that misses something says so.

use std::fmt::Display;
use std::io::Write;

/// Says on standard error that the calling test was skipped, or a part of it,
/// and `why`: one line, `skipped TEST: WHY`.
///
/// It is written past the harness, which shows what `eprintln!` prints only of
/// tests that fail.
pub fn skipped(why: impl Display) {
    let thread = std::thread::current();
    let line = format!("skipped {}: {why}\n", thread.name().unwrap_or("a test"));
    // Nobody reads it where standard error is closed.
    let _ = std::io::stderr().lock().write_all(line.as_bytes());
}
