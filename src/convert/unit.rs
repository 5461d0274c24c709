//! Scenes, and what their files are called.

use std::collections::{HashMap, HashSet};
use std::ffi::OsStr;
use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::Settings;
use super::record::{ENDING, Record};
use crate::digest::Digest;
use crate::sensor;

/// So many digits of the hash stand in an identifier: among a million scenes
/// two are alike once in forty million archives.
const DIGITS: usize = 16;

/// A scene that is to be a sound.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Unit {
    /// The stem of the source's name and a hash of source and settings: the
    /// same wherever and in whichever company the scene is converted, even
    /// where the source is not at hand.
    pub id: String,
    /// The stem of the names of its files.
    pub name: String,
    /// The source as the user named it.
    pub source: String,
    /// Where that is: its whole path, where it is a file or a folder here. Names
    /// alone may be short for several sources. A planned scene has none: it is
    /// the same on every machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<String>,
}

impl Unit {
    /// The scenes `sources`, to be heard with `settings` and to lie in `folder`.
    /// Their files are called like they are, with `-2`, `-3` .. where names would
    /// collide, even where case does not count. A source of which there is a
    /// record in `folder` keeps its name, and no other one gets it; what a pipe or
    /// a camera shows is another source each time.
    pub fn list(sources: &[String], folder: &Path, settings: &Settings) -> Vec<Self> {
        let unit = |source: &String| Self {
            id: id(source, settings),
            name: stem(source),
            source: source.clone(),
            origin: fs::canonicalize(source).ok().map(|path| path.to_string_lossy().into_owned()),
        };
        let mut units: Vec<Self> = sources.iter().map(unit).collect();
        let mut names = Names::in_folder(folder, &units);
        units.iter_mut().for_each(|unit| unit.name = names.name(unit));
        units
    }

    /// The planned scene `source`, whose files are called by its `id`.
    pub(crate) fn planned(id: String, source: String) -> Self {
        Self { name: id.clone(), id, source, origin: None }
    }

    /// Whether it is of `source`, which lay at `origin`.
    pub(super) fn is_of(&self, source: &str, origin: Option<&str>) -> bool {
        match (&self.origin, origin) {
            (Some(own), Some(origin)) => own == origin,
            _ => self.source == source,
        }
    }
}

/// Names of scenes in a folder. They count as equal where only case differs.
struct Names {
    /// Those that were given.
    given: HashSet<String>,
    /// Those of which there are records.
    recorded: HashSet<String>,
    /// The scenes of these records, by the stems whose names they may be.
    kept: HashMap<String, Vec<Unit>>,
}

impl Names {
    /// What the records in `folder` say of all names that `units` may get.
    fn in_folder(folder: &Path, units: &[Unit]) -> Self {
        let stems: HashSet<String> = units.iter().map(|unit| unit.name.to_lowercase()).collect();
        let entries = fs::read_dir(folder).into_iter().flatten().flatten();
        let files = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
        let mut names: Vec<String> =
            files.filter_map(|file| file.strip_suffix(ENDING).map(str::to_owned)).collect();
        // Lower numbers first, however the folder is sorted.
        names.sort_by_key(|name| (name.len(), name.clone()));
        let (mut recorded, mut kept) = (HashSet::new(), HashMap::<_, Vec<Unit>>::new());
        for name in names {
            let lower = name.to_lowercase();
            let mut asked = vec![&lower[..], without_number(&lower)];
            asked.dedup();
            asked.retain(|stem| stems.contains(*stem));
            if asked.is_empty() {
                continue;
            }
            // What is damaged keeps nobody's place.
            let record = Record::read(&folder.join(format!("{name}{ENDING}")));
            let Ok(Record { id, origin, request, .. }) = record else { continue };
            let unit = Unit { id, name, source: request.source, origin };
            for stem in asked {
                kept.entry(stem.to_owned()).or_default().push(unit.clone());
            }
            recorded.insert(lower);
        }
        Self { given: HashSet::new(), recorded, kept }
    }

    /// The name for `unit`, which as yet is called by its stem.
    fn name(&mut self, unit: &Unit) -> String {
        let Self { given, recorded, kept } = self;
        let lasting = sensor::is_lasting(&unit.source);
        let mut own = kept.get(&unit.name.to_lowercase()).into_iter().flatten();
        let own = own.find(|kept| {
            let is_own = lasting && unit.is_of(&kept.source, kept.origin.as_deref());
            is_own && given.insert(kept.name.to_lowercase())
        });
        if let Some(own) = own {
            return own.name.clone();
        }
        let (mut name, mut count) = (unit.name.clone(), 1);
        let mut is_free = |name: String| !recorded.contains(&name) && given.insert(name);
        while !is_free(name.to_lowercase()) {
            count += 1;
            name = format!("{}-{count}", unit.name);
        }
        name
    }
}

/// `name` without the number at its end.
fn without_number(name: &str) -> &str {
    let (stem, number) = name.rsplit_once('-').unwrap_or((name, ""));
    let is_number = !number.is_empty() && number.bytes().all(|digit| digit.is_ascii_digit());
    if is_number { stem } else { name }
}

/// See [`Unit::id`].
pub(crate) fn id(source: &str, settings: &Settings) -> String {
    // JSON can say all of them once they are checked.
    let asked = serde_json::to_string(&(source, settings)).unwrap_or_default();
    let hash = Digest::of(asked).to_string();
    // Not what the file system knows of it, which differs from place to place.
    let name = source.rsplit('#').next().unwrap_or(source);
    format!("{}-{}", plain(Path::new(name).file_stem()), &hash[..DIGITS])
}

/// The stem of a scene's name; of a folder, its whole name; of an item in a
/// collection, its identifier.
fn stem(scene: &str) -> String {
    let item = scene.split_once('#').filter(|_| sensor::is_item(scene));
    let path = Path::new(match item {
        Some((_, id)) => id,
        None if scene == "-" => "stdin",
        None => scene,
    });
    let whole = fs::canonicalize(path).ok().filter(|path| path.is_dir());
    let name = match &whole {
        Some(folder) => folder.file_name(),
        None => path.file_stem(),
    };
    plain(name)
}

/// `name` with `-` for signs that some system forbids in names.
fn plain(name: Option<&OsStr>) -> String {
    let plain =
        |sign: char| if sign.is_control() || "/\\:*?\"<>|".contains(sign) { '-' } else { sign };
    let name = name.map(|name| name.to_string_lossy().chars().map(plain).collect());
    name.unwrap_or_else(|| "scene".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::convert::record::{Input, Request};
    use crate::error::Error;
    use crate::sensor::Options;
    use crate::sink::Format;
    use crate::voice::Voice;

    fn settings(seed: u64) -> Settings {
        let voice = Voice::of_sensor("hituav-lwir", Options::default());
        Settings {
            voice: Voice { seed, ..voice },
            format: Format::Wav,
            stereo: false,
            rrd: false,
            npy: false,
            gpkg: false,
            unscored: false,
            frames: None,
        }
    }

    #[test]
    fn names_never_collide() {
        let scenes = ["a/x.tif", "b/x.tif", "c/X.png", "x-2.tif", "simulated:7", "d/y.tar.gz"];
        let scenes: Vec<String> = scenes.map(String::from).into();
        let expected = ["x", "x-2", "X-3", "x-2-2", "simulated-7", "y.tar"];
        let units = Unit::list(&scenes, Path::new("nowhere"), &settings(0));
        assert_eq!(units.iter().map(|unit| &unit.name).collect::<Vec<_>>(), expected);
    }

    /// Leaves a record of `source` called `name` in `folder`.
    fn record(folder: &Path, name: &str, source: &str) {
        let unit = Unit::planned(name.to_owned(), source.to_owned());
        let input = Input::of(&[]);
        let (source, settings) = (source.to_owned(), settings(0));
        let [speakers, version] = [String::new(), String::new()];
        let request = Request { source, input, settings, speakers, version };
        let error = Error::input("x", "not found");
        let record = Record::new(&unit, request, Err(&error), 0.0);
        record.write(&folder.join(format!("{name}{ENDING}"))).unwrap();
    }

    #[test]
    fn a_source_keeps_its_name_and_no_other_one_gets_it() {
        let folder = tempfile::tempdir().unwrap();
        let named = |scenes: &[&str]| -> Vec<String> {
            let scenes: Vec<String> = scenes.iter().map(|scene| (*scene).to_owned()).collect();
            let units = Unit::list(&scenes, folder.path(), &settings(0));
            units.into_iter().map(|unit| unit.name).collect()
        };
        for (name, source) in [("x", "a/x.tif"), ("X-2", "b/X.tif"), ("x-10", "c/x.tif")] {
            record(folder.path(), name, source);
        }
        fs::write(folder.path().join(format!("x-3{ENDING}")), "damaged").unwrap();
        assert_eq!(named(&["b/X.tif", "a/x.tif", "c/x.tif"]), ["X-2", "x", "x-10"]);
        assert_eq!(named(&["d/x.tif", "e/x-2.tif", "a/x.tif"]), ["x-3", "x-2-2", "x"]);
        // One that comes twice has one more name each time.
        assert_eq!(named(&["a/x.tif", "a/x.tif"]), ["x", "x-3"]);
        record(folder.path(), "x-3", "a/x.tif");
        assert_eq!(named(&["a/x.tif", "a/x.tif", "y.tif"]), ["x", "x-3", "y"]);
        // A pipe shows something else each time.
        record(folder.path(), "stdin", "-");
        assert_eq!(named(&["-"]), ["stdin-2"]);
    }

    #[test]
    fn identifiers_follow_source_and_settings_alone() {
        let scenes = ["a/x.tif", "b/x.tif"].map(String::from);
        let units = |scenes, seed| Unit::list(scenes, Path::new("nowhere"), &settings(seed));
        let [all, last, other] =
            [(0, 0), (1, 0), (1, 1)].map(|(at, seed)| units(&scenes[at..], seed));
        assert_ne!(all[0].id, all[1].id);
        assert_eq!(last[0].id, all[1].id);
        assert_ne!(other[0].id, all[1].id);
        assert!(all.iter().all(|unit| unit.id.starts_with("x-") && unit.id.len() == 18));
        // Neither what lies there nor whether anything does.
        let folder = tempfile::tempdir().unwrap();
        let scene = folder.path().join("flight.2020").to_string_lossy().into_owned();
        let before = id(&scene, &settings(0));
        fs::create_dir(&scene).unwrap();
        assert_eq!(id(&scene, &settings(0)), before);
        assert!(id("items.json#S2A/T33", &settings(0)).starts_with("T33-"));
    }
}
