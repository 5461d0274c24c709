//! The records of many scenes as one table.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, StringArray, UInt64Array};
use arrow::datatypes::{DataType, Field};

use crate::convert::Record;
use crate::convert::record::{ENDING, Outcome};
use crate::error::Result;
use crate::map::{Atlas, Footprint};
use crate::plan::Manifest;
use crate::sensor::Scene;
use crate::synth::SLOT_S;
use crate::table::TableWriter;

/// So many rows are handed to the table at once.
const ROWS: usize = 1024;

/// What the records of some folders say.
#[derive(Clone, Debug, Default)]
pub struct Catalogue {
    /// By identifier, each scene once, and the folder that its files lie in.
    entries: BTreeMap<String, (PathBuf, Record)>,
}

/// How many scenes there are of each kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Scenes that are sounds.
    pub done: usize,
    /// Scenes that failed.
    pub failed: usize,
    /// Scenes of the manifest of which there is no record.
    pub missing: usize,
}

impl Catalogue {
    /// Reads the records in `folders` and all below them. Of several of one
    /// scene the one counts that tells of a sound, and of those the one in the
    /// first folder by name.
    ///
    /// With a `manifest` only its scenes count.
    ///
    /// # Errors
    ///
    /// If a folder or a record cannot be read.
    pub fn read(folders: &[PathBuf], manifest: Option<&Manifest>) -> Result<Self> {
        let planned = |id: &str| {
            let units = manifest.map(|manifest| &manifest.units);
            units.is_none_or(|units| units.binary_search_by(|unit| (*unit.id).cmp(id)).is_ok())
        };
        let mut entries: BTreeMap<String, (PathBuf, Record)> = BTreeMap::new();
        for path in records(folders)? {
            let record = Record::read(&path)?;
            let worse =
                |known: &(PathBuf, Record)| known.1.outcome.is_none() && record.outcome.is_some();
            if planned(&record.id) && entries.get(&record.id).is_none_or(worse) {
                let folder = path.parent().unwrap_or(Path::new("")).to_owned();
                entries.insert(record.id.clone(), (folder, record));
            }
        }
        Ok(Self { entries })
    }

    /// How many scenes there are, and how many of those of a `manifest` are
    /// missing.
    pub fn counts(&self, manifest: Option<&Manifest>) -> Counts {
        let done = self.entries.values().filter(|(_, record)| record.outcome.is_some()).count();
        let planned = manifest.iter().flat_map(|manifest| &manifest.units);
        let missing = planned.filter(|unit| !self.entries.contains_key(&unit.id)).count();
        Counts { done, failed: self.entries.len() - done, missing }
    }

    /// Writes the table to `path`: a row for each scene, by identifier. The
    /// same records give the same bytes.
    ///
    /// # Errors
    ///
    /// If it cannot be written.
    pub fn write(&self, path: &Path) -> Result<()> {
        let text = |name| Field::new(name, DataType::Utf8, true);
        let number = |name| Field::new(name, DataType::Float64, true);
        let count = |name| Field::new(name, DataType::UInt64, true);
        let mut table = TableWriter::create(
            path,
            vec![
                Field::new("id", DataType::Utf8, false),
                Field::new("source", DataType::Utf8, false),
                text("sound"),
                text("start_time"),
                number("sound_s"),
                count("slots"),
                number("loudness_lufs"),
                number("psnr_db"),
                number("model_psnr_db"),
                text("model"),
                text("model_sha256"),
                Field::new("version", DataType::Utf8, false),
                text("error"),
            ],
        )?;
        let mut atlas = Atlas::default();
        let entries: Vec<&(PathBuf, Record)> = self.entries.values().collect();
        for rows in entries.chunks(ROWS) {
            let footprints: Vec<Option<Footprint>> = rows
                .iter()
                .map(|(_, record)| footprint(record, &mut atlas))
                .collect::<Result<_>>()?;
            table.append(columns(rows), &footprints)?;
        }
        table.finish(&[])
    }
}

/// The columns of `rows`, in the order of the table.
fn columns(rows: &[&(PathBuf, Record)]) -> Vec<ArrayRef> {
    let texts = |of: &dyn Fn(&Record) -> Option<String>| -> ArrayRef {
        Arc::new(rows.iter().map(|(_, record)| of(record)).collect::<StringArray>())
    };
    let of_outcome = |of: fn(&Outcome) -> Option<String>| {
        texts(&|record: &Record| record.outcome.as_ref().and_then(of))
    };
    let numbers = |of: fn(&Outcome) -> Option<f64>| -> ArrayRef {
        let number = |record: &Record| record.outcome.as_ref().and_then(of);
        Arc::new(rows.iter().map(|(_, record)| number(record)).collect::<Float64Array>())
    };
    let sound = |(folder, record): &(PathBuf, Record)| {
        let sound = record.outcome.as_ref()?.outputs.first()?;
        Some(folder.join(&sound.name).to_string_lossy().into_owned())
    };
    let slots = |(_, record): &(PathBuf, Record)| Some(record.outcome.as_ref()?.slots as u64);
    vec![
        texts(&|record| Some(record.id.clone())),
        texts(&|record| Some(record.request.source.clone())),
        Arc::new(rows.iter().map(|row| sound(row)).collect::<StringArray>()),
        of_outcome(|outcome| outcome.header.start_time.clone()),
        numbers(|outcome| Some(outcome.slots as f64 * SLOT_S)),
        Arc::new(rows.iter().map(|row| slots(row)).collect::<UInt64Array>()),
        numbers(|outcome| outcome.loudness_lufs),
        numbers(|outcome| outcome.psnr_db),
        numbers(|outcome| outcome.model_psnr_db),
        of_outcome(|outcome| Some(outcome.header.model.clone())),
        of_outcome(|outcome| Some(outcome.header.model_hash.clone())),
        texts(&|record| Some(record.request.version.clone())),
        texts(&|record| record.error.clone()),
    ]
}

/// Where the scene of `record` lies, if that is known.
fn footprint(record: &Record, atlas: &mut Atlas) -> Result<Option<Footprint>> {
    let scene = record.outcome.as_ref().and_then(|outcome| outcome.header.scene.as_ref());
    let Some(scene) = scene.filter(|scene| scene.georeference.is_some()) else {
        return Ok(None);
    };
    // One chip as large as the scene.
    let whole = Scene { chip: scene.rows.max(scene.columns), ..scene.clone() };
    Ok(atlas.footprints(&whole, &[[0, 0]])?.pop().flatten())
}

/// The records in `folders` and all below them, by path.
fn records(folders: &[PathBuf]) -> Result<Vec<PathBuf>> {
    let (mut records, mut folders) = (vec![], folders.to_vec());
    while let Some(folder) = folders.pop() {
        let entries = fs::read_dir(&folder).map_err(|e| crate::Error::input(&folder, e))?;
        for entry in entries {
            let entry = entry.map_err(|e| crate::Error::input(&folder, e))?;
            let name = entry.file_name().to_string_lossy().into_owned();
            match entry.file_type() {
                // What is hidden is in the making.
                _ if name.starts_with('.') => {}
                Ok(kind) if kind.is_dir() => folders.push(entry.path()),
                _ if name.ends_with(ENDING) => records.push(entry.path()),
                _ => {}
            }
        }
    }
    records.sort();
    Ok(records)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Error;
    use crate::convert::Settings;
    use crate::convert::record::{Input, Request};
    use crate::sensor::Options;
    use crate::sink::Format;
    use crate::voice::Voice;

    #[test]
    fn what_is_missing_is_what_the_manifest_has_and_the_catalogue_has_not() {
        let settings = Settings {
            voice: Voice::of_sensor("hituav-lwir", Options::default()),
            format: Format::Wav,
            stereo: false,
            rrd: false,
            npy: false,
            gpkg: false,
            unscored: true,
            frames: None,
        };
        let manifest = |names: &[&str]| {
            let names: Vec<String> = names.iter().copied().map(String::from).collect();
            Manifest::new(&names, settings.clone()).unwrap()
        };
        let mut catalogue = Catalogue::default();
        for unit in manifest(&["a.tif", "b.tif", "c.tif"]).units {
            let source = unit.source.clone();
            let input = Input { files: 0, bytes: 0, digest: String::new() };
            let (speakers, version) = (String::new(), String::new());
            let request = Request { source, input, settings: settings.clone(), speakers, version };
            let record = Record::new(&unit, request, Err(&Error::usage("a", "failed")), 0.0);
            catalogue.entries.insert(unit.id, (PathBuf::new(), record));
        }
        let counts = |missing| Counts { done: 0, failed: 3, missing };
        assert_eq!(catalogue.counts(None), counts(0));
        assert_eq!(
            catalogue.counts(Some(&manifest(&["a.tif", "b.tif", "c.tif", "d.tif"]))),
            counts(1)
        );
        // Another manifest than the one that it was read with.
        assert_eq!(catalogue.counts(Some(&manifest(&["x.tif"]))), counts(1));
        assert_eq!(catalogue.counts(Some(&manifest(&["a.tif"]))), counts(0));
    }
}
