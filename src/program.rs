//! Other programs that do a part of the work: `ffmpeg` and `curl`.

use std::io::{Error as IoError, ErrorKind};
use std::process::Command;

use crate::error::{Error, Fault};

/// The program `name`. A Ctrl-C at the terminal is not for it: whoever starts it
/// ends it, and knows then that it did not fail by itself.
pub(crate) fn command(name: &str) -> Command {
    let mut command = Command::new(name);
    #[cfg(unix)]
    std::os::unix::process::CommandExt::process_group(&mut command, 0);
    command
}

/// The program `name` did not start; `purpose` completes "not found, and ...".
pub(crate) fn missing(name: &str, purpose: &str, error: &IoError) -> Error {
    match error.kind() {
        ErrorKind::NotFound => {
            Error::new(Fault::Unsupported, name, format!("not found, and {purpose}"))
                .hint(format!("install it: apt install {}", package(name)))
        }
        _ => Error::new(Fault::Device, name, error),
    }
}

/// The package of Debian and Ubuntu that brings the program `name`.
fn package(name: &str) -> &str {
    if name == "ffprobe" { "ffmpeg" } else { name }
}
