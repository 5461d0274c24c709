//! Archives: which scenes are to be heard and how, written down, so that any
//! part of them can be converted anywhere.
//!
//! A manifest is a file of JSON lines, one for each scene, sorted by
//! identifier: the same scenes in any order give the same manifest.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Read, Write};
use std::path::{Component, Path, PathBuf};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::convert::{Job, Settings, Unit, id};
use crate::error::{Error, Result};
use crate::sensor::{Options, Rig, is_repeatable};
use crate::staging::StagedFile;

/// A line longer than this is none of a manifest.
const LONGEST_LINE: u64 = 1 << 20;

/// Scenes, and how they are to be heard.
#[derive(Clone, Debug, PartialEq)]
pub struct Manifest {
    /// How.
    pub settings: Settings,
    /// The scenes, sorted by identifier, which their files are named after.
    pub units: Vec<Unit>,
}

/// One line of the file.
#[derive(Serialize, Deserialize)]
struct Line {
    id: String,
    source: String,
    settings: Settings,
}

impl Manifest {
    /// The manifest of `sources`, to be heard with `settings`; a source that
    /// comes twice stands in it once.
    ///
    /// # Errors
    ///
    /// If there is no source, or one that can be read only once, or the settings
    /// do not go together: see [`Voice::check`](crate::voice::Voice::check).
    pub fn new(sources: &[String], settings: Settings) -> Result<Self> {
        settings.check()?;
        let mut units = BTreeMap::new();
        for source in sources {
            if !is_repeatable(source) {
                return Err(Error::input(source, "can be read only once")
                    .hint("a plan is carried out elsewhere and again: save it to a file first"));
            }
            let id = id(source, &settings);
            units.insert(id.clone(), Unit::planned(id, source.clone()));
        }
        if units.is_empty() {
            return Err(Error::usage("SCENE", "no scene is given"));
        }
        Ok(Self { settings, units: units.into_values().collect() })
    }

    /// Reads the manifest at `path`.
    ///
    /// # Errors
    ///
    /// If it cannot be read, a line is not of a manifest, its identifier is
    /// not of its source and settings, or the settings are not all alike.
    pub fn read(path: &Path) -> Result<Self> {
        let mut lines = BufReader::new(File::open(path).map_err(|e| Error::input(path, e))?);
        let (mut settings, mut units, mut number) = (None, BTreeMap::new(), 0);
        loop {
            let mut text = String::new();
            let read = lines.by_ref().take(LONGEST_LINE).read_line(&mut text);
            if read.map_err(|e| Error::input(path, e))? == 0 {
                break;
            }
            number += 1;
            let wrong = |what: &dyn std::fmt::Display| {
                Error::input(path, format!("line {number} {what}"))
                    .hint("`wysiwyh plan` writes manifests; make it anew with this version")
            };
            let line: Line = serde_json::from_str(&text)
                .map_err(|e| wrong(&format_args!("is none of a manifest: {e}")))?;
            if settings.get_or_insert_with(|| line.settings.clone()) != &line.settings {
                return Err(wrong(&"has other settings than the first one"));
            }
            let Line { id, source, settings } = line;
            if self::id(&source, &settings) != id {
                return Err(wrong(&format_args!("is not the one that {id} stands for")));
            }
            units.insert(id.clone(), Unit::planned(id, source));
        }
        let Some(settings) = settings else { return Err(Error::input(path, "names no scene")) };
        Ok(Self { settings, units: units.into_values().collect() })
    }

    /// Writes it to `path`; the file appears when it is whole.
    ///
    /// # Errors
    ///
    /// If it cannot be written.
    pub fn write(&self, path: &Path) -> Result<()> {
        let mut staged = StagedFile::create(path)?;
        let mut file = BufWriter::new(staged.file());
        for Unit { id, source, .. } in &self.units {
            let (id, source) = (id.clone(), source.clone());
            let line = Line { id, source, settings: self.settings.clone() };
            serde_json::to_writer(&mut file, &line).map_err(|e| Error::output(path, e))?;
            file.write_all(b"\n").map_err(|e| Error::output(path, e))?;
        }
        file.flush().map_err(|e| Error::output(path, e))?;
        drop(file);
        staged.finish()
    }

    /// The job of converting `part` of it into `folder`; `reading` says how
    /// sources are stopped, and whom they tell.
    ///
    /// # Errors
    ///
    /// If there is no such part.
    pub fn job(self, part: Part, folder: PathBuf, reading: Options) -> Result<Job> {
        let count = self.units.len();
        let units: Vec<Unit> = match part {
            Part::Whole => self.units,
            Part::Unit(index) => self.units.into_iter().skip(index).take(1).collect(),
            Part::Shard { index, of } => {
                let units = self.units.into_iter().enumerate();
                units.filter(|(at, _)| at % of == index).map(|(_, unit)| unit).collect()
            }
        };
        if let (Part::Unit(index), true) = (part, units.is_empty()) {
            let what = format!("{index} is beyond the {count} scenes of the manifest");
            return Err(Error::usage("--index", what)
                .hint(format!("the first one has index 0, the last one {}", count - 1)));
        }
        let mut settings = self.settings;
        let Options { stop, tell, .. } = reading;
        settings.voice.reading = Options { stop, tell, ..settings.voice.reading };
        Ok(Job { units, folder, settings, force: false, planned: true })
    }
}

/// A part of a manifest.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Part {
    /// All of it.
    Whole,
    /// One scene, counted from 0.
    Unit(usize),
    /// Every `of`-th scene from scene `index` on.
    Shard {
        /// Below `of`.
        index: usize,
        /// The number of shards; not 0.
        of: usize,
    },
}

impl FromStr for Part {
    type Err = String;

    /// Reads a shard as in `0/16`.
    fn from_str(text: &str) -> std::result::Result<Self, String> {
        let numbers = text.split_once('/').map(|(index, of)| (index.parse(), of.parse()));
        match numbers {
            Some((Ok(index), Ok(of))) if index < of => Ok(Self::Shard { index, of }),
            _ => Err("write I/N, I from 0 to N - 1, for example 0/16".to_owned()),
        }
    }
}

/// The sources that `words` name: each one itself; the files that match it
/// where it is a pattern such as `archive/**/*.tif`, in order of their names;
/// or the items of a STAC collection. Files of one capture are one source.
///
/// # Errors
///
/// If a pattern is none, or nothing matches it.
pub fn sources(words: &[String]) -> Result<Vec<String>> {
    let mut sources = vec![];
    for word in words {
        if let Some(items) = crate::sensor::items(word)? {
            sources.extend(items);
            continue;
        }
        // An address may ask with a question mark.
        let address = word.starts_with("/vsi") || word.contains("://");
        if address || !word.contains(['*', '?', '[']) || Path::new(word).exists() {
            sources.push(word.clone());
            continue;
        }
        let found = glob::glob(word)
            .map_err(|e| Error::usage(word, format!("is no pattern: {}", e.msg)))?;
        let before = sources.len();
        for path in found {
            let path = path.map_err(|e| Error::input(e.path(), e.error()))?;
            if is_hidden(&path, word) {
                continue;
            }
            sources.push(path.to_string_lossy().into_owned());
        }
        if sources.len() == before {
            return Err(Error::input(word, "matches no file")
                .hint("* stands for any part of a name, ** for any folders"));
        }
    }
    Ok(Rig::once(sources))
}

/// Whether `path` is hidden, or lies in what is, and its `pattern` asks for nothing hidden.
fn is_hidden(path: &Path, pattern: &str) -> bool {
    let dotted = |path: &Path| {
        path.components().any(|part| match part {
            Component::Normal(name) => name.as_encoded_bytes().starts_with(b"."),
            _ => false,
        })
    };
    dotted(path) && !dotted(Path::new(pattern))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hidden_files_are_left_out_unless_they_are_asked_for() {
        let hidden = |path: &str, pattern| is_hidden(Path::new(path), pattern);
        assert!(!hidden("../a/b.tif", "../a/*.tif") && !hidden("./b.tif", "./*.tif"));
        assert!(hidden("../a/._b.tif", "../a/*.tif") && hidden("./.c/b.tif", "./**/*.tif"));
        assert!(!hidden(".c/b.tif", ".c/*.tif"));
    }
}
