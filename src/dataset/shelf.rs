//! The shelf of data sets, `datasets/`: which there are, and how to get them.
//!
//! The files of a set are fetched by the program curl, which knows proxies and
//! certificates. A file gets its name once its checksum is right; what was
//! fetched of one that was cut off waits beside it, as `NAME.part`.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Component, Path, PathBuf};
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::error::{Error, Fault, Result};
use crate::intake;
use crate::program;
use crate::staging;

/// Manifest and checksums of those that come with the program, as far as their
/// files are listed.
const SHELF: [[&str; 2]; 7] = [
    [
        include_str!("../../datasets/eurosat-ms/manifest.toml"),
        include_str!("../../datasets/eurosat-ms/SHA256SUMS"),
    ],
    [include_str!("../../datasets/flir-adas/manifest.toml"), ""],
    [
        include_str!("../../datasets/hituav/manifest.toml"),
        include_str!("../../datasets/hituav/SHA256SUMS"),
    ],
    [include_str!("../../datasets/kaist/manifest.toml"), ""],
    [
        include_str!("../../datasets/micasense/manifest.toml"),
        include_str!("../../datasets/micasense/SHA256SUMS"),
    ],
    [
        include_str!("../../datasets/ssl4eos12/manifest.toml"),
        include_str!("../../datasets/ssl4eos12/SHA256SUMS"),
    ],
    [
        include_str!("../../datasets/terramesh/manifest.toml"),
        include_str!("../../datasets/terramesh/SHA256SUMS"),
    ],
];

/// How often a file that comes is looked at.
const LOOK: Duration = Duration::from_millis(100);

/// A manifest or a list of checksums is not longer.
const MAX_BYTES: u64 = 64 << 20;

/// What there is to know of a data set; `datasets/README.md` explains the keys.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Name of its folder.
    pub name: String,
    /// One line for people.
    pub title: String,
    /// SPDX identifier of the licence of the data; `LicenseRef-` and a name
    /// where they are under terms of their own.
    pub licence: String,
    /// The publication to cite.
    pub cite: Option<String>,
    /// DOI of the data or of their publication.
    pub doi: Option<String>,
    /// Where the authors publish the data.
    pub homepage: Option<String>,
    /// Addresses of folders that hold the listed files under their names.
    #[serde(default)]
    pub urls: Vec<String>,
    /// How people get them, in a sentence.
    pub get: Option<String>,
    /// The profile that reads them; absent where none ships.
    pub sensor: Option<String>,
    /// Name of the list of checksums; absent where no files are listed.
    pub checksums: Option<String>,
    /// How many files are listed.
    #[serde(default)]
    pub files: usize,
    /// Their total size.
    #[serde(default)]
    pub bytes: u64,
    /// What a group is; absent where there is only one.
    pub group: Option<String>,
}

/// A data set: its manifest and its files.
#[derive(Clone, Debug)]
pub struct Listed {
    /// What there is to know of it.
    pub manifest: Manifest,
    /// Names of the files, relative, with their SHA-256 in hexadecimal.
    files: Vec<(PathBuf, String)>,
}

impl Listed {
    /// All that come with the program.
    ///
    /// # Errors
    ///
    /// None, as the tests see to it.
    pub fn shelf() -> Result<Vec<Self>> {
        let origin = Path::new("datasets");
        SHELF.iter().map(|[manifest, sums]| Self::parse(manifest, sums, origin)).collect()
    }

    /// The one of this `name`, or, with a folder in it, the one whose manifest
    /// lies there.
    ///
    /// # Errors
    ///
    /// If there is none, or its files are damaged.
    pub fn find(name: &str) -> Result<Self> {
        let shelf = Self::shelf()?;
        let names: Vec<String> = shelf.iter().map(|set| set.manifest.name.clone()).collect();
        if let Some(found) = shelf.into_iter().find(|set| set.manifest.name == name) {
            return Ok(found);
        }
        let path = Path::new(name).join("manifest.toml");
        if !path.is_file() {
            return Err(Error::usage(name, "is no data set on the shelf and no folder with one")
                .hint(format!("the shelf has {}", names.join(", "))));
        }
        let text = intake::text(&path, MAX_BYTES)?;
        let manifest: Manifest = parse(&text, &path)?;
        let sums = match &manifest.checksums {
            Some(list) => intake::text(&Path::new(name).join(list), MAX_BYTES)?,
            None => String::new(),
        };
        Self::parse(&text, &sums, &path)
    }

    fn parse(manifest: &str, sums: &str, origin: &Path) -> Result<Self> {
        let manifest = parse(manifest, origin)?;
        let mut files = Vec::new();
        for line in sums.lines() {
            let odd = || Error::input(origin, format!("{line:.80?} is no line of sha256sum"));
            // An asterisk marks what was read in binary.
            let (sum, name) = line.split_once(' ').ok_or_else(odd)?;
            let name = name.trim_start_matches([' ', '*']);
            let inside =
                Path::new(name).components().all(|part| matches!(part, Component::Normal(_)));
            let hexadecimal = sum.bytes().all(|digit| digit.is_ascii_hexdigit());
            if sum.len() != 64 || !hexadecimal || name.is_empty() || !inside {
                return Err(odd());
            }
            files.push((PathBuf::from(name), sum.to_ascii_lowercase()));
        }
        Ok(Self { manifest, files })
    }

    /// Fetches all files into `folder` that are not there yet, from `address`
    /// or else the first of the manifest; `tell` is told how many bytes are there,
    /// at first those of earlier calls, and ten times a second while a file comes.
    ///
    /// # Errors
    ///
    /// If no files are listed or there is no address, curl is missing or fails,
    /// a file is not the listed one, it cannot be written, or `stop` becomes
    /// true. What was fetched stays, and the next call goes on from there.
    pub fn fetch(
        &self,
        address: Option<&str>,
        folder: &Path,
        stop: &AtomicBool,
        tell: &mut dyn FnMut(u64),
    ) -> Result<()> {
        let Manifest { name, homepage, urls, get, .. } = &self.manifest;
        if self.files.is_empty() {
            let home = homepage.as_deref().unwrap_or("its publication");
            let how = get.clone().unwrap_or_else(|| format!("get it as {home} tells"));
            return Err(Error::usage(name, "no files of it are listed: nothing to fetch").hint(how));
        }
        let address = address.or(urls.first().map(String::as_str)).ok_or_else(|| {
            let home = homepage.as_deref().unwrap_or("its publication");
            Error::usage(name, "no address holds exactly the listed files").hint(format!(
                "get them as {home} tells, or name an address that has them with --from"
            ))
        })?;
        let mut there: u64 = self.files.iter().map(|(file, _)| length(&folder.join(file))).sum();
        tell(there);
        for (number, (file, sum)) in self.files.iter().enumerate() {
            let stopped = || {
                let what = format!("stopped after {number} of {} files", self.files.len());
                Error::new(Fault::Interrupted, name, what)
                    .hint("the same command goes on from there")
            };
            if stop.load(Ordering::Relaxed) {
                return Err(stopped());
            }
            let path = folder.join(file);
            let others = there.saturating_sub(length(&path));
            match sum_of(&path)? {
                Some(found) if found == *sum => {}
                Some(_) => {
                    return Err(Error::input(&path, "is there and not the listed file")
                        .hint("move it away, or fetch into another folder"));
                }
                None => {
                    // Whether to go on is asked at each look.
                    let mut look = |bytes| {
                        tell(others + bytes);
                        !stop.load(Ordering::Relaxed)
                    };
                    let fetched = fetch(address, file, sum, &path, &mut look);
                    fetched.map_err(|e| if look(length(&path)) { e } else { stopped() })?;
                }
            }
            there = others + length(&path);
            tell(there);
        }
        Ok(())
    }
}

fn parse(text: &str, origin: &Path) -> Result<Manifest> {
    toml::from_str(text).map_err(|e| Error::input(origin, e.message()))
}

/// Where the file of `path` waits until it is whole.
fn part(path: &Path) -> PathBuf {
    let mut part = path.as_os_str().to_owned();
    part.push(".part");
    part.into()
}

/// Bytes that are there of the file of `path`.
fn length(path: &Path) -> u64 {
    let found = fs::metadata(path).or_else(|_| fs::metadata(part(path)));
    found.map_or(0, |found| found.len())
}

/// Fetches one file to `path`, going on from what is there of it; `look` is told
/// how many bytes that is meanwhile, and says whether to go on.
fn fetch(
    address: &str,
    file: &Path,
    sum: &str,
    path: &Path,
    look: &mut dyn FnMut(u64) -> bool,
) -> Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(|e| Error::output(folder, e))?;
    }
    let part = part(path);
    let mut curl = |url: &str| curl(url, &part, &mut || look(length(path)));
    let remove = || fs::remove_file(&part).map_err(|e| Error::output(&part, e));
    // Whole, if the program was stopped just before it got its name.
    if sum_of(&part)?.as_deref() != Some(sum) {
        let url = format!("{}/{}", address.trim_end_matches('/'), escaped(file));
        match curl(&url)? {
            None => {}
            // The server cannot go on, or has less than is there: status 416.
            Some((code, said)) if part.is_file() && (code == 33 || said.contains(" 416")) => {
                remove()?;
                if let Some((_, what)) = curl(&url)? {
                    return Err(Error::input(url, what));
                }
            }
            Some((_, what)) => {
                return Err(Error::input(url, what).hint("the same command goes on from there"));
            }
        }
        match sum_of(&part)? {
            Some(found) if found == sum => {}
            Some(found) => {
                remove()?;
                let what = format!("its SHA-256 is {found:.12}.., listed is {sum:.12}..");
                return Err(Error::input(url, what)
                    .hint("the file has changed there; ask its authors for the listed version"));
            }
            None => return Err(Error::input(url, "nothing came")),
        }
    }
    fs::rename(&part, path).map_err(|e| Error::output(path, e))
}

/// Runs curl, and asks `look` now and then whether to go on; its exit status and
/// what it says where it fails.
fn curl(url: &str, part: &Path, look: &mut dyn FnMut() -> bool) -> Result<Option<(i32, String)>> {
    let lock = File::options().append(true).create(true).open(part);
    let lock = lock.map_err(|e| Error::output(part, e))?;
    staging::is_ours(&lock, part)?;
    let mut child = program::command("curl")
        .args(["--fail", "--location", "--silent", "--show-error", "--proto", "=http,https"])
        .args(["--connect-timeout", "30", "--speed-limit", "1", "--speed-time", "60"])
        .args(["--continue-at", "-", "--output"])
        .arg(part)
        .arg("--url")
        .arg(url)
        // It reads nothing, and holds the lock for as long as it lives: longer than we do,
        // where we are killed.
        .stdin(Stdio::from(lock))
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|e| program::missing("curl", "it fetches the files", &e))?;
    let (ended, end) = mpsc::channel();
    let errors = child.stderr.take();
    std::thread::spawn(move || {
        let mut said = vec![];
        // What cannot be read any more is no loss: the exit status tells.
        let _ = errors.map(|mut errors| errors.read_to_end(&mut said));
        let _ = ended.send(said);
    });
    let said = loop {
        match end.recv_timeout(LOOK) {
            Err(RecvTimeoutError::Timeout) if look() => {}
            // It may have ended already, and then there is nothing to kill.
            Err(RecvTimeoutError::Timeout) => drop(child.kill()),
            said => break said.unwrap_or_default(),
        }
    };
    let status = child.wait().map_err(|e| Error::new(Fault::Device, "curl", e))?;
    if fs::metadata(part).is_ok_and(|part| part.len() == 0) {
        // Nothing came, and nothing is to go on from.
        fs::remove_file(part).map_err(|e| Error::output(part, e))?;
    }
    if status.success() {
        return Ok(None);
    }
    let said = String::from_utf8_lossy(&said);
    let said = said.lines().last().unwrap_or("curl failed").trim().to_owned();
    Ok(Some((status.code().unwrap_or_default(), said)))
}

/// A file's name in an address (RFC 3986).
fn escaped(file: &Path) -> String {
    let mut text = String::new();
    for byte in file.to_string_lossy().bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => {
                text.push(char::from(byte));
            }
            other => text += &format!("%{other:02X}"),
        }
    }
    text
}

/// The SHA-256 of the file at `path`; none where there is no file.
fn sum_of(path: &Path) -> Result<Option<String>> {
    match Digest::of_file(path) {
        Ok((digest, _)) => Ok(Some(digest.to_string())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::input(path, error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::Profile;

    #[test]
    fn the_shelf_is_what_it_says() {
        for set in Listed::shelf().unwrap() {
            let Manifest { name, files, bytes, sensor, checksums, get, .. } = &set.manifest;
            assert_eq!(set.files.len(), *files, "{name}");
            let listed = [*files > 0, *bytes > 0, checksums.is_some()];
            assert!(listed == [true; 3] || listed == [false; 3] && get.is_some(), "{name}");
            if let Some(sensor) = sensor {
                Profile::find(sensor).unwrap();
            }
            let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("datasets").join(name);
            let card = fs::read_to_string(folder.join("card.md")).unwrap();
            let home = set.manifest.homepage.as_deref().unwrap_or_default();
            for part in [home, "| Licence |", "| Bands |", "## Groups", "## Where to get it"] {
                assert!(card.contains(part), "the card of {name} lacks {part}");
            }
        }
        let folders = fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/datasets")).unwrap();
        let folders = folders.filter(|entry| entry.as_ref().unwrap().path().is_dir()).count();
        assert_eq!(folders, SHELF.len(), "a data set is not on the shelf");
    }

    #[test]
    fn lists_cannot_write_outside_their_folder() {
        let [manifest, _] = SHELF[2];
        let sum = "0".repeat(64);
        let parse = |line: String| Listed::parse(manifest, &line, Path::new("x"));
        assert_eq!(parse(format!("{sum} *a/b c.jpg")).unwrap().files[0].0, Path::new("a/b c.jpg"));
        for name in ["../a", "/etc/passwd", "a/../../b", "./a", ""] {
            assert!(parse(format!("{sum}  {name}")).is_err(), "{name:?}");
        }
        assert!(parse(format!("{sum}0  a")).is_err() && parse("a".into()).is_err());
        assert_eq!(escaped(Path::new("a/b c%.jpg")), "a/b%20c%25.jpg");
    }
}
