//! Errors, sorted by whose fault they are.
//!
//! Every error names its subject (a file, a flag, a device), says what is
//! wrong with both numbers where there are two, and hints at what to do.
//! The binary prints `error: SUBJECT: WHAT` and `hint: ...`.

use std::cell::Cell;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook};
use std::path::Path;
use std::sync::Once;

/// The result of everything here that can fail.
pub type Result<T> = std::result::Result<T, Error>;

/// Whose fault an [`Error`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The input: a file that is missing, damaged or not what it claims to be.
    Input,
    /// The caller: settings that contradict each other or the input.
    Usage,
    /// Us: the input is sound, but this build or version cannot take it.
    Unsupported,
    /// The place we write to: no permission, no space.
    Output,
    /// A device: sound card, camera, graphics adapter.
    Device,
    /// A camera that was there and is not at present, or that sends nothing
    /// new. Its sensor can be asked again: see [`crate::sensor::Sensor`].
    Away,
    /// The user stopped the work; what was finished is on disk.
    Interrupted,
}

/// What went wrong, with whom, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    /// Whose fault it is.
    pub fault: Fault,
    subject: String,
    what: String,
    hint: Option<String>,
}

impl Error {
    /// An error of `fault` about `subject`.
    pub fn new(fault: Fault, subject: impl fmt::Display, what: impl fmt::Display) -> Self {
        Self { fault, subject: subject.to_string(), what: what.to_string(), hint: None }
    }

    /// The input at `path` is at fault.
    pub fn input(path: impl AsRef<Path>, what: impl fmt::Display) -> Self {
        Self::new(Fault::Input, path.as_ref().display(), what)
    }

    /// The output at `path` could not be written.
    pub fn output(path: impl AsRef<Path>, what: impl fmt::Display) -> Self {
        Self::new(Fault::Output, path.as_ref().display(), what)
    }

    /// The setting `name` cannot be followed.
    pub fn usage(name: impl fmt::Display, what: impl fmt::Display) -> Self {
        Self::new(Fault::Usage, name, what)
    }

    /// Adds what the user can do.
    #[must_use]
    pub fn hint(mut self, hint: impl fmt::Display) -> Self {
        self.hint = Some(hint.to_string());
        self
    }

    /// Likewise, unless it says that already.
    #[must_use]
    pub(crate) fn or_hint(self, hint: &str) -> Self {
        if self.hint.is_some() { self } else { self.hint(hint) }
    }

    /// The same error about the file's later place: what lay at `from`, or
    /// below it, will lie at `to`.
    #[must_use]
    pub(crate) fn moved(mut self, from: &Path, to: &Path) -> Self {
        if let Ok(rest) = Path::new(&self.subject).strip_prefix(from) {
            let place = if rest.as_os_str().is_empty() { to.to_owned() } else { to.join(rest) };
            self.subject = place.display().to_string();
        }
        self
    }

    /// The same error, met in what is called `name`.
    #[must_use]
    pub(crate) fn within(self, name: impl fmt::Display) -> Self {
        Self { subject: format!("{name}: {}", self.subject), ..self }
    }

    /// What the user can do, if we know it.
    pub fn advice(&self) -> Option<&str> {
        self.hint.as_deref()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.subject, self.what)
    }
}

impl std::error::Error for Error {}

thread_local! {
    /// Whether this thread panics without a word.
    static SILENT: Cell<bool> = const { Cell::new(false) };
}

/// What `work` gives, which calls a library that is not made for damaged input;
/// `None` if it panics there. Nothing is printed of that: the error that comes of it
/// says what is wrong, and a screen reader would read out both.
pub(crate) fn caught<T>(work: impl FnOnce() -> T) -> Option<T> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let usual = take_hook();
        set_hook(Box::new(move |panic| {
            if !SILENT.get() {
                usual(panic);
            }
        }));
    });
    let before = SILENT.replace(true);
    let given = catch_unwind(AssertUnwindSafe(work));
    SILENT.set(before);
    given.ok()
}
