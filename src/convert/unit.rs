//! Scenes, and what their files are called.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::Settings;
use super::record::hexadecimal;
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
}

impl Unit {
    /// The scenes `sources`, to be heard with `settings`. Their files are
    /// called like they are, with `-2`, `-3` .. where names would collide, even
    /// where case does not count.
    pub fn list(sources: &[String], settings: &Settings) -> Vec<Self> {
        let mut taken = HashSet::new();
        let mut free = |stem: &str| {
            let mut name = stem.to_owned();
            let mut count = 1;
            while !taken.insert(name.to_lowercase()) {
                count += 1;
                name = format!("{stem}-{count}");
            }
            name
        };
        let unit = |source: &String| Self {
            id: id(source, settings),
            name: free(&stem(source)),
            source: source.clone(),
        };
        sources.iter().map(unit).collect()
    }
}

/// See [`Unit::id`].
pub(crate) fn id(source: &str, settings: &Settings) -> String {
    let mut digest = Sha256::new();
    // Settings are plain values, which JSON always can say.
    digest.update(serde_json::to_string(&(source, settings)).unwrap_or_default());
    let hash = hexadecimal(digest);
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
        let units = Unit::list(&scenes, &settings(0));
        assert_eq!(units.iter().map(|unit| &unit.name).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn identifiers_follow_source_and_settings_alone() {
        let scenes = ["a/x.tif", "b/x.tif"].map(String::from);
        let units = Unit::list(&scenes, &settings(0));
        assert_ne!(units[0].id, units[1].id);
        assert_eq!(Unit::list(&scenes[1..], &settings(0))[0].id, units[1].id);
        assert_ne!(Unit::list(&scenes[1..], &settings(1))[0].id, units[1].id);
        assert!(units.iter().all(|unit| unit.id.starts_with("x-") && unit.id.len() == 18));
        // Neither what lies there nor whether anything does.
        let folder = tempfile::tempdir().unwrap();
        let scene = folder.path().join("flight.2020").to_string_lossy().into_owned();
        let before = id(&scene, &settings(0));
        fs::create_dir(&scene).unwrap();
        assert_eq!(id(&scene, &settings(0)), before);
        assert!(id("items.json#S2A/T33", &settings(0)).starts_with("T33-"));
    }
}
