//! GDAL as a guest: it reports to us instead of to the terminal, keeps its
//! cache small, and reaches no further than the path that the user gave.

use std::cell::RefCell;
use std::path::Path;
use std::sync::Once;

use gdal::DriverManager;
use gdal::config::{
    clear_thread_local_config_option, get_config_option, set_config_option, set_error_handler,
    set_thread_local_config_option,
};
use gdal::errors::{CplErrType, GdalError};

use crate::error::{Error, Fault, Result};
use crate::sensor::files;

/// GDAL's cache of decoded blocks, in bytes: two rows of blocks of a
/// Sentinel-2 scene with all its bands. Its own default is a twentieth of the
/// machine's memory.
pub(super) const CACHE: usize = 512 << 20;

/// Drivers that fetch pictures from servers, which a small local file can
/// order them to do. Remote files remain readable by `/vsicurl/` and its kin.
const REMOTE_DRIVERS: &str =
    "HTTP WMS WMTS WCS OGCAPI STACTA STACIT PLMOSAIC PLSCENES NGW EEDAI DAAS";

/// Prefixes of the paths that GDAL reads over the network.
pub(crate) const REMOTE_PREFIXES: [&str; 8] =
    ["/vsicurl", "/vsis3", "/vsigs", "/vsiaz", "/vsiadls", "/vsioss", "/vsiswift", "/vsiwebhdfs"];

/// The option that limits network paths to file names of certain endings.
const REMOTE_ENDINGS: &str = "CPL_VSIL_CURL_ALLOWED_EXTENSIONS";

/// The option that keeps GDAL from listing the folder of a file, to look for
/// others that describe it.
const LISTING: &str = "GDAL_DISABLE_READDIR_ON_OPEN";

thread_local! {
    /// The first failure that GDAL reported on this thread since the last
    /// look. Later ones follow from it and say less.
    static FAILURE: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Configures the library once per process. What the user's environment says
/// comes first.
fn ready() {
    static READY: Once = Once::new();
    READY.call_once(|| {
        let cache = (CACHE >> 20).to_string();
        for (option, value) in [
            ("GDAL_CACHEMAX", cache.as_str()),
            ("GDAL_SKIP", REMOTE_DRIVERS),
            ("GDAL_VRT_ENABLE_PYTHON", "NO"),
            ("GDAL_HTTP_CONNECTTIMEOUT", "10"),
            ("GDAL_HTTP_TIMEOUT", "30"),
        ] {
            if get_config_option(option, "").is_ok_and(|set| set.is_empty()) {
                // Only a zero byte in the name or value could make this fail.
                let _ = set_config_option(option, value);
            }
        }
        // A registration also takes away the drivers to skip, which a program
        // that used GDAL before us has registered already.
        DriverManager::register_all();
        set_error_handler(|class, _, message| {
            if matches!(class, CplErrType::Failure | CplErrType::Fatal) {
                FAILURE.with_borrow_mut(|first| {
                    first.get_or_insert_with(|| message.trim().to_string());
                });
            }
        });
    });
}

/// Forgets the failures reported so far: those that a caller can live with.
pub(crate) fn forgive() {
    FAILURE.take();
}

/// Runs `work` on the file at `path`.
///
/// A local path stays local: the files that it refers to (as a VRT does) are
/// not fetched from the network, unless the user's environment sets
/// `CPL_VSIL_CURL_ALLOWED_EXTENSIONS`.
///
/// # Errors
///
/// If `work` fails, or if GDAL reports a failure while it runs, even where
/// the call then claims success: the first failure reported, which is the
/// deepest, as a fault of kind `fault`.
pub(crate) fn call<T>(
    fault: Fault,
    path: &str,
    work: impl FnOnce() -> gdal::errors::Result<T>,
) -> Result<T> {
    ready();
    forgive();
    let unset = |option| get_config_option(option, "").is_ok_and(|set| set.is_empty());
    let remote = REMOTE_PREFIXES.iter().any(|prefix| path.contains(prefix));
    // No file name ends in a slash. A TIFF file far away describes itself, and
    // its folder may hold thousands.
    let (option, value) = match remote {
        false => (REMOTE_ENDINGS, "/"),
        true => (LISTING, "EMPTY_DIR"),
    };
    let lower = path.to_ascii_lowercase();
    let set = unset(option) && (!remote || lower.ends_with(".tif") || lower.ends_with(".tiff"));
    if set {
        let _ = set_thread_local_config_option(option, value);
    }
    let result = work();
    if set {
        let _ = clear_thread_local_config_option(option);
    }
    match (result, FAILURE.take()) {
        (Ok(value), None) => Ok(value),
        (Ok(_), Some(first)) => Err(Error::new(fault, path, plain(path, &first))),
        (Err(error), first) => {
            let what = first.unwrap_or_else(|| message(error));
            Err(Error::new(fault, path, plain(path, &what)))
        }
    }
}

/// `error` about what is in the file at `path`, with a hint. Of a virtual raster it
/// names the file that is gone, if one is.
pub(crate) fn advised(path: &str, error: Error) -> Error {
    if error.advice().is_some() {
        return error;
    }
    if let Some(lost) = lost_by(Path::new(path)) {
        return lost;
    }
    let said = error.to_string();
    let says = |words: &[&str]| words.iter().any(|word| said.contains(word));
    // The signs of a filter that the HDF5 library lacks, such as LZF.
    if says(&["H5Dread", UNSAID]) {
        return error.hint(
            "the file is damaged, or compressed by a filter that the HDF5 library lacks: \
             `h5repack -f GZIP=4` on the machine that wrote it undoes that",
        );
    }
    if says(&["missing codec", "nsupported", "not supported", "can not handle"]) {
        return error.hint(
            "GDAL here does not decode it: another program has to decompress it first, such as \
             tifffile",
        );
    }
    error.hint("the file is damaged or incomplete: fetch it again")
}

/// An error that names the first of the files to which the virtual raster at `path`
/// refers and that are not there; `None` where all are, and for other files.
pub(super) fn lost_by(path: &Path) -> Option<Error> {
    let mut named = files::named_in(path);
    // A stack refers to a file once for each band.
    named.sort();
    named.dedup();
    let lost: Vec<_> = named.iter().filter(|file| !file.exists()).collect();
    let first = lost.first()?.display();
    let what = match (lost.len(), named.len()) {
        (1, 1) => format!("refers to {first}, which is not there"),
        (lost, all) => format!(
            "{lost} of the {all} files that it refers to cannot be found; the first is {first}"
        ),
    };
    Some(Error::input(path, what).hint(
        "put it back there, or make the virtual raster anew where the files lie now, as with \
         `gdalbuildvrt`",
    ))
}

/// What is said of a failure that GDAL does not explain.
const UNSAID: &str = "cannot be read";

/// What GDAL said, without the wrapping of the Rust crate.
fn message(error: GdalError) -> String {
    match error {
        GdalError::CplError { msg, .. } | GdalError::NullPointer { msg, .. } if !msg.is_empty() => {
            msg
        }
        GdalError::CplError { .. } | GdalError::NullPointer { .. } => UNSAID.to_owned(),
        other => other.to_string(),
    }
}

/// One line, without the path that the error already names.
fn plain(path: &str, message: &str) -> String {
    let message = message.replace(&format!("{path}:"), "");
    let quoted = format!("`{path}'");
    let message = message.strip_prefix(path).unwrap_or(&message);
    let message = message.strip_prefix(&quoted).unwrap_or(message);
    let message = message.trim_start_matches([':', ',', ' ']);
    message.split_whitespace().collect::<Vec<_>>().join(" ")
}
