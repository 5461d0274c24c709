//! The files of one scene.

use std::fs;

use super::Job;
use crate::error::{Error, Result};
use crate::frame::Frame;
use crate::map;
use crate::npy::FrameArray;
use crate::original::Original;
use crate::recorder::{Pace, Recorder, Target};
use crate::sensor::Source;
use crate::session;
use crate::sink::{self, FileSink};
use crate::sonifier::{Sonifier, Sound};
use crate::staging::StagedFolder;
use crate::synth::{SLOT, SLOT_S};

/// The files of one scene in the making.
pub(super) struct Outputs<'a> {
    source: &'a Source,
    stem: String,
    staging: &'a StagedFolder,
    sound: Box<dyn FileSink>,
    header: sink::Header,
    original: Option<Original>,
    array: Option<FrameArray>,
    recorder: Option<Recorder>,
    names: Vec<String>,
    pub slots: usize,
}

impl<'a> Outputs<'a> {
    pub fn create(
        job: &Job,
        scene: &str,
        stem: &str,
        staging: &'a StagedFolder,
        source: &'a Source,
        sonifier: &Sonifier,
    ) -> Result<Self> {
        let name = format!("{stem}.{}", job.format.extension());
        let mut header = sonifier.header(source, scene);
        let mut original = None;
        if job.original {
            original = Some(Original::new(header.mapping.values, job.voice.seed));
            header = Original::header(header, job.voice.seed);
        }
        let sound = sink::create(&staging.place(&name), job.format, &header)?;
        let mut names = vec![name];
        let staged = |extension: &str| staging.place(&format!("{stem}.{extension}"));
        let mut array = None;
        if job.npy {
            let [rows, columns] = sonifier.model().grid();
            array = Some(FrameArray::create(staged("npy"), [source.bands.len(), rows, columns])?);
            names.push(format!("{stem}.npy"));
        }
        let mut recorder = None;
        if job.rrd && !job.original {
            let target =
                Target { save: Some(staged("rrd")), pace: Pace::Batch, ..Target::default() };
            let about = session::about(sonifier, &header, Some(job.folder.join(&names[0])));
            recorder = Some(Recorder::new(&target, &about)?);
            names.push(format!("{stem}.rrd"));
        }
        let stem = stem.to_owned();
        Ok(Self {
            source,
            stem,
            staging,
            sound,
            header,
            original,
            array,
            recorder,
            names,
            slots: 0,
        })
    }

    pub fn write(&mut self, sonifier: &Sonifier, frame: &Frame, sound: Sound) -> Result<()> {
        match &mut self.original {
            Some(original) => {
                let mut samples = Vec::with_capacity(SLOT);
                original.push(&sound.code, &mut samples);
                self.sound.write(&samples)?;
            }
            None => self.sound.write(&sound.samples)?,
        }
        if let Some(array) = &mut self.array {
            array.push(sound.sent.data.view())?;
        }
        if let Some(recorder) = &self.recorder {
            recorder.log(session::moment(sonifier, self.slots as u64, sound)?);
        }
        if self.source.scene.is_some() {
            self.header.positions.push([frame.position.0 as u32, frame.position.1 as u32]);
        }
        self.slots += 1;
        Ok(())
    }

    /// Completes every file; gives their names, the sound first.
    pub fn finish(mut self, sonifier: &mut Sonifier) -> Result<Vec<String>> {
        if self.original.is_none() {
            self.sound.write(&sonifier.finish())?;
        }
        self.header.frames = Some(self.slots);
        self.sound.replace_header(&self.header)?;
        self.sound.finish()?;
        if let Some(array) = self.array {
            array.finish()?;
        }
        if let Some(recorder) = self.recorder {
            recorder.finish()?;
        }
        if let Some(scene) = self.source.scene.as_ref().filter(|s| s.georeference.is_some()) {
            let time_s = |slot: usize| slot as f64 * SLOT_S;
            let times: Vec<_> =
                (0..self.slots).map(|slot| [time_s(slot), time_s(slot + 1)]).collect();
            let footprints = map::footprints(scene, &self.header.positions, &times)?;
            let name = format!("{}.geojson", self.stem);
            let path = self.staging.place(&name);
            fs::write(&path, footprints).map_err(|e| Error::output(&path, e))?;
            self.names.push(name);
        }
        Ok(self.names)
    }
}
