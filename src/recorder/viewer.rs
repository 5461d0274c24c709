//! The Rerun viewer, a program of its own.

use std::ffi::OsString;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::error::{Error, Fault, Result};

/// The version that this build records for.
const VERSION: &str = "0.36.3";
/// Viewers of this minor version read it.
const MINOR: &str = "0.36.";
/// How every Rerun recording begins.
pub(crate) const MAGIC: [u8; 4] = *b"RRF2";

/// Whether the file at `path` begins like a session.
pub fn is_session(path: &Path) -> bool {
    let mut magic = [0; MAGIC.len()];
    // A pipe or a device is none, and would lose its first bytes.
    path.is_file()
        && std::fs::File::open(path).is_ok_and(|mut file| file.read_exact(&mut magic).is_ok())
        && magic == MAGIC
}

/// Opens the session at `path` in the Rerun viewer and waits until it is
/// closed. The viewer is the program named by `RERUN_VIEWER`, else `rerun` on
/// the `PATH`, else that in `~/.local/bin`, where pipx and uv put it; it listens
/// on the loopback interface only. `say` is told when it opens.
///
/// # Errors
///
/// If `path` is no session, if there is no viewer or it is not of version
/// 0.36, or if it fails.
pub fn view(path: &Path, say: &mut dyn FnMut(&str)) -> Result<()> {
    std::fs::File::open(path).map_err(|e| Error::input(path, e))?;
    if !is_session(path) {
        return Err(Error::input(path, "is not a Rerun session").hint(
            "sessions are the .rrd files that `demo` and the option --rrd of other verbs write",
        ));
    }
    let viewer = find()?;
    say("The viewer is a window of its own; close it to go on here.");
    let status = Command::new(&viewer)
        .args(["--bind", "127.0.0.1"])
        .arg(path)
        .status()
        .map_err(|e| Error::new(Fault::Device, viewer.display(), e))?;
    if !status.success() {
        let what = format!("ended with {status}");
        return Err(Error::new(Fault::Device, viewer.display(), what)
            .hint("its own messages stand above; it needs a display"));
    }
    Ok(())
}

/// The viewer's path, after a look at its version.
pub(super) fn find() -> Result<PathBuf> {
    let named = std::env::var_os("RERUN_VIEWER").filter(|name| !name.is_empty());
    let viewer = match named {
        Some(name) => PathBuf::from(name),
        None => installed(std::env::var_os("PATH"), std::env::var_os("HOME")).ok_or_else(|| {
            install(Error::new(Fault::Unsupported, "rerun", "no viewer is on the PATH"))
        })?,
    };
    let output = Command::new(&viewer).arg("--version").output().map_err(|e| {
        install(Error::new(Fault::Unsupported, viewer.display(), format!("does not run: {e}")))
    })?;
    match version(&String::from_utf8_lossy(&output.stdout)) {
        Some(found) if found.starts_with(MINOR) => Ok(viewer),
        Some(found) => {
            let what = format!("the viewer is version {found}, sessions are of {VERSION}");
            Err(install(Error::new(Fault::Unsupported, viewer.display(), what)))
        }
        None => {
            let what = "is not the Rerun viewer: it names no version";
            Err(install(Error::new(Fault::Unsupported, viewer.display(), what)))
        }
    }
}

fn install(error: Error) -> Error {
    error.hint(format!(
        "install the matching viewer with `pipx install rerun-sdk=={VERSION}` or \
         `uv tool install rerun-sdk=={VERSION}`, or name it in RERUN_VIEWER"
    ))
}

/// The viewer in a folder of `path`, else where programs of one user are
/// installed, which not every shell has on its path.
fn installed(path: Option<OsString>, home: Option<OsString>) -> Option<PathBuf> {
    let name = format!("rerun{}", std::env::consts::EXE_SUFFIX);
    let own = home.map(|home| PathBuf::from(home).join(".local/bin"));
    let folders = path.iter().flat_map(|path| std::env::split_paths(path)).chain(own);
    folders.map(|folder| folder.join(&name)).find(|file| file.is_file())
}

/// The version in text such as `rerun-cli 0.36.3 (map_view) [rustc ..`.
fn version(text: &str) -> Option<&str> {
    let mut words = text.split_whitespace();
    let name = words.next()?;
    let version = words.next()?;
    let dotted =
        version.split('.').count() == 3 && version.starts_with(|c: char| c.is_ascii_digit());
    (name.starts_with("rerun") && dotted).then_some(version)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_found_in_what_viewers_print() {
        let printed =
            "rerun-cli 0.36.3 (base map_view) [rustc 1.95.0 (59807616e 2026-04-14)] x86_64";
        assert_eq!(version(printed), Some("0.36.3"));
        assert_eq!(version("rerun-cli 0.41.0-alpha.1+dev"), None);
        // A Ruby program of the same name.
        assert_eq!(version("0.14.0\n"), None);
        assert_eq!(version("rerun"), None);
        assert_eq!(version(""), None);
    }

    #[test]
    fn the_first_folder_of_the_path_wins_and_the_users_own_comes_last() {
        let folder = tempfile::tempdir().unwrap();
        let (first, second) = (folder.path().join("a"), folder.path().join("b"));
        for part in [&first, &second] {
            std::fs::create_dir(part).unwrap();
        }
        let path = std::env::join_paths([&first, &second]).unwrap();
        let home = folder.path().as_os_str().to_owned();
        let own = folder.path().join(".local/bin");
        std::fs::create_dir_all(&own).unwrap();
        let found = || installed(Some(path.clone()), Some(home.clone()));
        assert_eq!(found(), None);
        for folder in [own, second, first] {
            std::fs::write(folder.join("rerun"), "").unwrap();
            assert_eq!(found(), Some(folder.join("rerun")));
        }
        assert_eq!(installed(Some(path.clone()), None), found());
        assert_eq!(installed(None, None), None);
    }
}
