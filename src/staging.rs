//! Outputs that appear whole or not at all.
//!
//! A file is written under a hidden name beside its final place and renamed
//! once it is complete; files that belong together wait in a hidden folder
//! and are moved together. What is dropped before that leaves nothing behind.
//! A hidden folder that a killed process left goes with the next
//! [`OutputFolder::clear`] there. A hidden file stays: nothing tells whether
//! somebody still writes it.

use std::ffi::OsStr;
use std::fs::{self, File, TryLockError};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use tempfile::{NamedTempFile, TempDir};

use crate::error::{Error, Result};

/// How the names of unfinished files and folders begin.
const PREFIX: &str = ".wysiwyh-";

/// A file that gets its name once it is whole.
#[derive(Debug)]
pub(crate) struct StagedFile {
    part: NamedTempFile,
    path: PathBuf,
}

/// The folder in which the file at `path` lies; that of a bare name is this one.
pub(crate) fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// A new file beside that at `path`, which may become it: nobody takes it for whole, its
/// name ends in `ending`, and its permissions are those of any other new file, where
/// temporary ones are their owner's alone.
///
/// # Errors
///
/// If the folder cannot be written.
pub(crate) fn part_of(path: &Path, ending: &str) -> std::io::Result<NamedTempFile> {
    let create = |name: &Path| File::options().read(true).write(true).create_new(true).open(name);
    tempfile::Builder::new().prefix(PREFIX).suffix(ending).make_in(folder_of(path), create)
}

/// Whether a file can be written to `path`, where a file may be already; leaves nothing
/// there. Who works for long asks before.
///
/// # Errors
///
/// If not.
pub fn check_place(path: &Path) -> Result<()> {
    StagedFile::create(path).map(drop)
}

/// The file at `path`, open to be written in place and empty. As long as it is open,
/// nobody else gets it here: two who wrote it would leave what neither can be read from.
/// Devices and pipes may have several writers, and so have files where the system knows
/// no locks that leave readers alone.
///
/// # Errors
///
/// If it cannot be opened, or another program of ours writes it: that one's is left as
/// it is.
pub(crate) fn claim(path: &Path) -> Result<File> {
    let file = File::options().read(true).write(true).create(true).truncate(false).open(path);
    let file = file.map_err(|e| Error::output(path, e))?;
    if is_ours(&file, path)? {
        file.set_len(0).map_err(|e| Error::output(path, e))?;
    }
    Ok(file)
}

/// Locks `file`, which is open at `path`; whether it is a regular file, which has what
/// was written before.
///
/// # Errors
///
/// If another program of ours holds it.
pub(crate) fn is_ours(file: &File, path: &Path) -> Result<bool> {
    let regular = file.metadata().map_err(|e| Error::output(path, e))?.is_file();
    if cfg!(unix) && regular && matches!(file.try_lock(), Err(TryLockError::WouldBlock)) {
        return Err(Error::output(path, "is being written by another program")
            .hint("give another name, or end that program first"));
    }
    Ok(regular)
}

impl StagedFile {
    /// Begins the file that will be called `path`, with the permissions of
    /// any other new file.
    ///
    /// # Errors
    ///
    /// If its folder cannot be written, or something that is no file has the
    /// name: a rename would replace a folder or a device.
    pub fn create(path: &Path) -> Result<Self> {
        if fs::metadata(path).is_ok_and(|found| !found.is_file()) {
            return Err(Error::output(path, "exists and is no file").hint("give another name"));
        }
        let part = part_of(path, "")
            .map_err(|e| Error::output(path, e).hint("give a place that can be written"))?;
        Ok(Self { part, path: path.to_owned() })
    }

    /// The file itself, open for writing.
    pub fn file(&mut self) -> &mut File {
        self.part.as_file_mut()
    }

    /// Where the file lies until it is whole.
    pub fn part(&self) -> &Path {
        self.part.path()
    }

    /// `error` by the name that the user knows, where it is about this file.
    pub fn named(&self, error: Error) -> Error {
        error.moved(self.part(), &self.path)
    }

    /// Gives the file its name.
    ///
    /// # Errors
    ///
    /// If it cannot be renamed.
    pub fn finish(self) -> Result<()> {
        let Self { part, path } = self;
        part.persist(&path).map(|_| ()).map_err(|e| Error::output(path, e.error))
    }
}

/// The file in a hidden folder that its owner holds locked.
const LOCK: &str = ".lock";

/// A folder of outputs, and the hidden one inside it where they are prepared.
#[derive(Debug)]
pub(crate) struct StagedFolder {
    // Goes first, so that the folder around it can be empty.
    hidden: TempDir,
    folder: OutputFolder,
    /// Locked for as long as this process lives.
    _lock: File,
}

impl StagedFolder {
    /// Opens `folder`, which is made if it is missing, and goes again if
    /// nothing comes to lie in it.
    ///
    /// # Errors
    ///
    /// If it cannot be written.
    pub fn open(folder: &Path) -> Result<Self> {
        let mut folder = OutputFolder::open(folder)?;
        loop {
            let hidden = tempfile::Builder::new().prefix(PREFIX).tempdir_in(&folder.path);
            let owned = hidden.and_then(|hidden| Ok((own(hidden.path())?, hidden)));
            match owned {
                Ok((Some(lock), hidden)) => return Ok(Self { hidden, folder, _lock: lock }),
                // Another process cleared it away before it was ours, or
                // removed the folder around it, which it had made.
                Ok((None, _)) => {}
                Err(error) if error.kind() == ErrorKind::NotFound => {
                    folder.made |= OutputFolder::make(&folder.path)?;
                }
                Err(error) => return Err(unwritable(&folder.path, error.kind())),
            }
        }
    }

    /// Where the file called `name` is to be written.
    pub fn place(&self, name: &str) -> PathBuf {
        self.hidden.path().join(name)
    }

    /// `error` by the name that the user knows, where it is about a file here.
    pub fn named(&self, error: Error) -> Error {
        error.moved(self.hidden.path(), &self.folder.path)
    }

    /// Moves the files called `names` to their places, the first one last, and
    /// after what had its name is gone: where it is, everything is, and is of
    /// one making.
    ///
    /// # Errors
    ///
    /// If one cannot be moved; those that were moved before are deleted.
    pub fn publish(self, names: &[String]) -> Result<Vec<PathBuf>> {
        self.replace(&[], names)
    }

    /// Likewise in place of the files called `before`, of an earlier making,
    /// which go as soon as what had the first name is gone.
    ///
    /// # Errors
    ///
    /// Likewise.
    pub fn replace(self, before: &[String], names: &[String]) -> Result<Vec<PathBuf>> {
        let place = |name: &String| self.folder.path.join(name);
        let files: Vec<PathBuf> = names.iter().map(place).collect();
        // Names that were read from a file must not lead elsewhere.
        let here = |name: &&String| Path::new(name).file_name() == Some(OsStr::new(*name));
        let gone = before.iter().filter(here).filter(|name| !names.contains(name)).map(place);
        // A file that comes alone simply takes the place of the one before.
        let first = files.first().filter(|_| names.len() > 1).cloned();
        for file in first.into_iter().chain(gone).filter(|file| file.is_file()) {
            fs::remove_file(&file).map_err(|e| Error::output(&file, e))?;
        }
        for (moved, (name, file)) in names.iter().zip(&files).rev().enumerate() {
            if let Err(error) = fs::rename(self.place(name), file) {
                for whole in files.iter().rev().take(moved) {
                    let _ = fs::remove_file(whole);
                }
                return Err(Error::output(file, error));
            }
        }
        Ok(files)
    }
}

/// A folder that goes again if we made it and nothing came to lie in it.
#[derive(Debug)]
pub(crate) struct OutputFolder {
    path: PathBuf,
    made: bool,
}

impl OutputFolder {
    /// Makes the folder at `path`, if it is missing.
    ///
    /// # Errors
    ///
    /// If it cannot be made.
    pub fn open(path: &Path) -> Result<Self> {
        let made = Self::make(path)?;
        Ok(Self { path: path.to_owned(), made })
    }

    /// Makes the folder, unless it is there; whether it was not.
    fn make(path: &Path) -> Result<bool> {
        let made = !path.is_dir();
        fs::create_dir_all(path).map_err(|e| unwritable(path, e.kind()))?;
        Ok(made)
    }

    /// Clears away the hidden folders of processes that are gone. Those of
    /// others that are at work here stay, as do all where the file system
    /// knows no locks.
    pub fn clear(&self) {
        for entry in fs::read_dir(&self.path).into_iter().flatten().flatten() {
            let path = entry.path();
            if !entry.file_name().to_string_lossy().starts_with(PREFIX) || !path.is_dir() {
                continue;
            }
            // Whatever fails here is left for the next run.
            let _ = match File::options().write(true).open(path.join(LOCK)) {
                Ok(lock) if lock.try_lock().is_ok() => fs::remove_dir_all(&path),
                Ok(_) => Ok(()),
                // Nothing is in it yet, or nothing any more.
                Err(_) => fs::remove_dir(&path),
            };
        }
    }
}

/// Marks the hidden folder at `path` as this process's own; none if another
/// one is clearing it away.
fn own(path: &Path) -> std::io::Result<Option<File>> {
    let name = path.join(LOCK);
    let lock = File::create_new(&name)?;
    match lock.try_lock() {
        Err(TryLockError::WouldBlock) => return Ok(None),
        // Without locks nobody clears away anything.
        Ok(()) | Err(TryLockError::Error(_)) => {}
    }
    Ok(name.exists().then_some(lock))
}

impl Drop for OutputFolder {
    fn drop(&mut self) {
        if self.made {
            // Fails, as it should, where the folder holds anything.
            let _ = fs::remove_dir(&self.path);
        }
    }
}

fn unwritable(path: &Path, kind: ErrorKind) -> Error {
    let what = match kind {
        ErrorKind::AlreadyExists | ErrorKind::NotADirectory => "is no folder".to_owned(),
        ErrorKind::NotFound => "cannot be made here".to_owned(),
        kind => kind.to_string(),
    };
    Error::output(path, what).hint("give a folder that can be written with -o DIR")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names_in(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap().map(|e| e.unwrap().file_name());
        entries.map(|name| name.to_string_lossy().into_owned()).collect()
    }

    #[test]
    fn files_appear_together_or_not_at_all() {
        let folder = tempfile::tempdir().unwrap();
        let names = ["a.wav", "a.npy"].map(String::from);
        let staged = || {
            let staged = StagedFolder::open(folder.path()).unwrap();
            names.iter().for_each(|name| fs::write(staged.place(name), name).unwrap());
            staged
        };
        // A folder in the way of the last move.
        fs::create_dir_all(folder.path().join("a.wav/x")).unwrap();
        assert!(staged().publish(&names).is_err());
        assert_eq!(names_in(folder.path()), ["a.wav"]);
        fs::remove_dir_all(folder.path().join("a.wav")).unwrap();
        assert_eq!(staged().publish(&names).unwrap().len(), 2);
        assert_eq!(names_in(folder.path()).len(), 2);
        // What was made before goes, unless it has a new name, or lies elsewhere.
        let other = tempfile::NamedTempFile::new().unwrap();
        let elsewhere = other.path().to_string_lossy().into_owned();
        fs::write(folder.path().join("a.rrd"), "").unwrap();
        let before = ["a.npy".to_owned(), "a.rrd".into(), "../x".into(), "..".into(), elsewhere];
        assert_eq!(staged().replace(&before, &names).unwrap().len(), 2);
        assert_eq!(names_in(folder.path()).len(), 2);
        assert!(other.path().exists());
    }

    #[test]
    fn what_killed_processes_left_is_cleared_away_and_what_others_do_is_not() {
        let parent = tempfile::tempdir().unwrap();
        let working = StagedFolder::open(parent.path()).unwrap();
        fs::write(working.place("a.wav"), "half").unwrap();
        for (name, files) in [("killed", &[LOCK, "b.wav"][..]), ("new", &[])] {
            let folder = parent.path().join(format!("{PREFIX}{name}"));
            fs::create_dir(&folder).unwrap();
            files.iter().for_each(|file| fs::write(folder.join(file), "").unwrap());
        }
        fs::create_dir(parent.path().join(".other")).unwrap();
        OutputFolder::open(parent.path()).unwrap().clear();
        let mut left = names_in(parent.path());
        left.sort();
        let own = working.hidden.path().file_name().unwrap().to_string_lossy().into_owned();
        assert_eq!(left, [".other".to_owned(), own]);
        assert!(working.place("a.wav").exists());
    }

    #[test]
    fn a_folder_that_stays_empty_goes_again_and_one_that_was_there_stays() {
        let parent = tempfile::tempdir().unwrap();
        let new = parent.path().join("new");
        drop(StagedFolder::open(&new).unwrap());
        assert!(!new.exists());
        drop(StagedFolder::open(parent.path()).unwrap());
        assert!(parent.path().exists());
    }

    #[cfg(unix)]
    #[test]
    fn a_file_that_is_written_is_nobody_elses_and_stays_as_it_is() {
        use std::io::Write;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.wav");
        fs::write(&path, "of an earlier run").unwrap();
        let mut file = claim(&path).unwrap();
        file.write_all(b"sound").unwrap();
        let error = claim(&path).unwrap_err();
        let expected = format!("{}: is being written by another program", path.display());
        assert_eq!((error.to_string(), error.advice().is_some()), (expected, true));
        assert_eq!(fs::read(&path).unwrap(), b"sound");
        drop(file);
        assert_eq!(claim(&path).unwrap().metadata().unwrap().len(), 0);
        // Many may write to a device.
        let nowhere = Path::new("/dev/null");
        assert!(claim(nowhere).is_ok_and(|_first| claim(nowhere).is_ok()));
    }

    #[test]
    fn errors_name_the_final_place() {
        let folder = tempfile::tempdir().unwrap();
        let staged = StagedFolder::open(folder.path()).unwrap();
        let error = staged.named(Error::output(staged.place("a.npy"), "no space"));
        let expected = format!("{}: no space", folder.path().join("a.npy").display());
        assert_eq!(error.to_string(), expected);
        let elsewhere = staged.named(Error::input("b.tif", "not found"));
        assert_eq!(elsewhere.to_string(), "b.tif: not found");
    }

    #[test]
    fn a_device_is_not_replaced_by_a_file() {
        let error = StagedFile::create(Path::new("/dev/null")).unwrap_err();
        assert!(error.to_string().starts_with("/dev/null: "), "{error}");
        let folder = tempfile::tempdir().unwrap();
        let file = StagedFile::create(&folder.path().join("a")).unwrap();
        file.finish().unwrap();
        drop(StagedFile::create(&folder.path().join("b")).unwrap());
        assert_eq!(names_in(folder.path()), ["a"]);
    }
}
