//! A first look at a raster from a process of its own.
//!
//! A call inside GDAL cannot be stopped, and the HDF libraries under it crash
//! on some damaged files. So a program can name a helper with [`probe_with`]:
//! it opens a raster before this process does, under limits of time and
//! memory. Without a helper, as for users of the library, rasters are opened
//! at once.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use super::content::Content;
use super::folder::{TIFFS, ends_in};
use super::raster::{Raster, library};
use crate::error::{Error, Fault, Result};

/// How many seconds a helper may compute to open a raster and read its first window,
/// and how long it may take in all: on a busy machine it computes seldom.
const COMPUTING_S: u32 = 10;
const DEADLINE: Duration = Duration::from_secs(60);

/// What it may take of memory, in KiB: 1 GiB, and 400 MiB for the program and
/// its libraries themselves.
const MEMORY_KIB: u64 = (1024 + 400) << 10;

/// Side of the first window in pixels; a whole block is decoded for it.
const WINDOW: usize = 64;

/// How often the helper is asked whether it is done.
const REST: Duration = Duration::from_millis(5);

static HELPER: OnceLock<(PathBuf, &'static str)> = OnceLock::new();

/// From now on, rasters that could do harm are first opened by `program`,
/// called with `verb` and the source's name, which shall do as [`answer`]
/// does. The first call counts.
pub fn probe_with(program: PathBuf, verb: &'static str) {
    // A second helper would do the same.
    let _ = HELPER.set((program, verb));
}

/// What a helper does: opens `source`, reads its first window, and gives what
/// it has to print where that fails.
///
/// # Errors
///
/// If it fails: whose fault, what is wrong, and the hint, a line each.
pub fn answer(source: &str) -> std::result::Result<(), String> {
    let opened = Raster::open(source, None).and_then(|raster| {
        raster.read(0, 0, raster.rows().min(WINDOW), raster.columns().min(WINDOW))
    });
    opened.map(drop).map_err(|error| {
        let said = error.to_string();
        let what = said.strip_prefix(&format!("{source}: ")).unwrap_or(&said);
        let ours = error.fault == Fault::Unsupported;
        // Nobody takes it from the pipe before the end, which holds 64 KiB.
        let hint: String = error.advice().unwrap_or_default().chars().take(8_000).collect();
        format!("{}\n{what}\n{hint}", u8::from(ours))
    })
}

/// Lets the helper open `source`, of this `content` if it is a file, where there
/// is a helper and the source could do harm. What it found once holds for the rest
/// of the process.
///
/// # Errors
///
/// If the helper crashes, takes too long, or cannot open it.
pub(super) fn check(source: &str, content: Option<Content>) -> Result<()> {
    static VERDICTS: Mutex<BTreeMap<String, Option<String>>> = Mutex::new(BTreeMap::new());
    let verdicts = || VERDICTS.lock().unwrap_or_else(PoisonError::into_inner);
    let Some((program, verb)) = HELPER.get() else { return Ok(()) };
    if is_plain(source, content) {
        return Ok(());
    }
    let known = verdicts().get(source).cloned();
    let verdict = match known {
        Some(verdict) => verdict,
        None => {
            // Where nothing can be started, nothing can be tried.
            let Ok(child) = spawn(program, [verb, source].map(OsStr::new)) else { return Ok(()) };
            let verdict = judge(child);
            verdicts().insert(source.to_owned(), verdict.clone());
            verdict
        }
    };
    let Some(said) = verdict else { return Ok(()) };
    let mut lines = said.splitn(3, '\n').map(str::trim);
    let fault = if lines.next() == Some("1") { Fault::Unsupported } else { Fault::Input };
    let error = Error::new(fault, source, lines.next().unwrap_or("cannot be opened"));
    Err(match lines.next().filter(|hint| !hint.is_empty()) {
        Some(hint) => error.hint(hint),
        None => error,
    })
}

/// What is wrong with the raster that `child` opens, as [`answer`] puts it;
/// none where it opened it.
fn judge(mut child: Child) -> Option<String> {
    let damaged = |what: &str| {
        Some(format!("0\n{what}\nit may be damaged: fetch it again; or copy it to a faster disk"))
    };
    match wait(&mut child) {
        None => damaged(&format!("takes longer than {} s to open", DEADLINE.as_secs())),
        Some(status) if status.success() => None,
        Some(status) if is_out_of_time(status) => {
            damaged(&format!("takes more than {COMPUTING_S} s of computing to open"))
        }
        Some(status) => match heard(&mut child) {
            said if status.code() == Some(1) && said.contains('\n') => Some(said),
            _ => damaged("crashes the library that reads it"),
        },
    }
}

/// Whether a helper was ended for computing too long.
fn is_out_of_time(status: ExitStatus) -> bool {
    /// SIGXCPU, on Linux and macOS.
    const OUT_OF_TIME: i32 = 24;
    #[cfg(unix)]
    return std::os::unix::process::ExitStatusExt::signal(&status) == Some(OUT_OF_TIME);
    #[cfg(not(unix))]
    return status.code() == Some(OUT_OF_TIME);
}

/// Whether `source` is a TIFF file, by name or by its first bytes: on those,
/// GDAL neither crashed nor hung in all that was tried, and there are archives
/// of thousands of small ones, which a process each would take twice as long.
/// Nor are remote files tried, which are as slow as their server, or catalogues and
/// their items, which may name such.
fn is_plain(source: &str, content: Option<Content>) -> bool {
    if super::is_item(source)
        || Raster::is_catalogue(source)
        || library::REMOTE_PREFIXES.iter().any(|prefix| source.starts_with(prefix))
    {
        return true;
    }
    let named = || ends_in(Path::new(source), &TIFFS);
    content.map_or_else(named, |content| content == Content::Tiff)
}

/// Starts `program` under the limits of memory and computing, where there is a shell to
/// set them.
fn spawn(program: &Path, arguments: [&OsStr; 2]) -> std::io::Result<Child> {
    let mut command = if cfg!(unix) {
        let mut shell = Command::new("sh");
        let limits = format!("ulimit -v {MEMORY_KIB}; ulimit -S -t {COMPUTING_S}");
        shell.args(["-c", &format!("{limits}; exec \"$0\" \"$@\"")]).arg(program);
        shell
    } else {
        Command::new(program)
    };
    let quiet = command.args(arguments).stdin(Stdio::null()).stderr(Stdio::null());
    quiet.stdout(Stdio::piped()).spawn()
}

/// Waits for the end of `child`; none where it did not come in time.
fn wait(child: &mut Child) -> Option<ExitStatus> {
    let started = Instant::now();
    while started.elapsed() < DEADLINE {
        if let Ok(Some(status)) = child.try_wait() {
            return Some(status);
        }
        std::thread::sleep(REST);
    }
    // It may have ended this very moment.
    let _ = child.kill();
    let _ = child.wait();
    None
}

/// What `child` printed.
fn heard(child: &mut Child) -> String {
    let mut said = Vec::new();
    if let Some(out) = &mut child.stdout {
        // What was printed before a failure counts.
        let _ = out.take(1 << 16).read_to_end(&mut said);
    }
    String::from_utf8_lossy(&said).into_owned()
}
