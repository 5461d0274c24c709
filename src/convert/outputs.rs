//! The files of one scene.

use std::path::PathBuf;

use rayon::prelude::*;

use super::Job;
use super::chips::ChipTable;
use super::record::Request;
use crate::error::{Error, Result};
use crate::frame::Frame;
use crate::map::Geopackage;
use crate::npy::FrameArray;
use crate::original::{self, Original};
use crate::recorder::{Moment, Pace, Recorder, Target};
use crate::sensor::Source;
use crate::session;
use crate::sink::{self, FileSink};
use crate::sonifier::{Sonifier, Sound};
use crate::staging::StagedFolder;
use crate::stereo::{Panner, easting};
use crate::synth::SLOT;
use crate::table::Table;

/// The files of one scene in the making.
pub(super) struct Outputs<'a> {
    source: &'a Source,
    request: &'a Request,
    sound: Box<dyn FileSink>,
    table: ChipTable,
    table_path: PathBuf,
    geopackage: Option<Geopackage>,
    header: sink::Header,
    original: Option<Original>,
    panner: Option<Panner>,
    array: Option<FrameArray>,
    recorder: Option<Recorder>,
    names: Vec<String>,
    pub slots: usize,
}

impl<'a> Outputs<'a> {
    pub fn create(
        job: &Job,
        request: &'a Request,
        stem: &str,
        staging: &StagedFolder,
        source: &'a Source,
        sonifier: &Sonifier,
    ) -> Result<Self> {
        let name = format!("{stem}.{}", job.format.extension());
        let mut header = sonifier.header(source, &request.source);
        header.stereo = job.stereo;
        let mut original = None;
        if job.original {
            let values = header.mapping.values;
            if values > original::VALUES {
                let what =
                    format!("{values} values, the original's sound has {}", original::VALUES);
                return Err(Error::usage("--original", what).hint("ask for fewer: --values 128"));
            }
            original = Some(Original::new(header.mapping.values, job.voice.seed));
            header = Original::header(header, job.voice.seed);
        }
        let sound = sink::create(&staging.place(&name), job.format, &header)?;
        let staged = |extension: &str| staging.place(&format!("{stem}.{extension}"));
        let table_path = staged("parquet");
        let table = ChipTable::create(&table_path, source, sonifier)?;
        let mut names = vec![name, format!("{stem}.parquet")];
        let mut geopackage = None;
        if job.gpkg {
            geopackage = Some(Geopackage::create(&staged("gpkg"), stem)?);
            names.push(format!("{stem}.gpkg"));
        }
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
        let slots = 0;
        Ok(Self {
            source,
            request,
            sound,
            table,
            table_path,
            geopackage,
            header,
            original,
            panner: job.stereo.then(Panner::default),
            array,
            recorder,
            names,
            slots,
        })
    }

    /// Takes the `sounds` of `frames`, which come next.
    pub fn write(
        &mut self,
        sonifier: &Sonifier,
        frames: &[Frame],
        sounds: Vec<Sound>,
    ) -> Result<()> {
        for (frame, sound) in frames.iter().zip(&sounds) {
            match (&mut self.original, &mut self.panner) {
                (Some(original), _) => {
                    let mut samples = Vec::with_capacity(SLOT);
                    original.push(&sound.code, &mut samples);
                    self.sound.write(&samples)?;
                }
                (None, Some(panner)) => {
                    let scene = self.source.scene.as_ref();
                    let (row, column) = frame.position;
                    let place = scene.map_or(sound.place, |scene| easting(scene, [row, column]));
                    self.sound.write(&panner.push(&sound.samples, place))?;
                }
                (None, None) => self.sound.write(&sound.samples)?,
            }
        }
        let slots = self.slots as u64..;
        let sounds: Vec<_> = slots.zip(sounds).collect();
        let moments: Vec<Moment> = sounds
            .into_par_iter()
            .map(|(slot, sound)| session::moment(sonifier, slot, sound))
            .collect::<Result<_>>()?;
        for (frame, moment) in frames.iter().zip(moments) {
            self.table.push(sonifier, frame, &moment)?;
            if let Some(array) = &mut self.array {
                array.push(moment.input.view())?;
            }
            if let Some(recorder) = &self.recorder {
                recorder.log(moment);
            }
            if self.source.scene.is_some() {
                self.header.positions.push([frame.position.0 as u32, frame.position.1 as u32]);
            }
            self.slots += 1;
        }
        Ok(())
    }

    /// Completes every file; gives their names, the sound first.
    pub fn finish(mut self, sonifier: &mut Sonifier) -> Result<Vec<String>> {
        if self.original.is_none() {
            let rest = sonifier.finish();
            let rest =
                self.panner.as_mut().map_or_else(|| rest.clone(), |panner| panner.hold(&rest));
            self.sound.write(&rest)?;
        }
        self.header.frames = Some(self.slots);
        self.sound.replace_header(&self.header)?;
        self.sound.finish()?;
        self.table.finish(&self.header, self.request, sonifier)?;
        if let Some(geopackage) = self.geopackage {
            geopackage.fill(&Table::open(&self.table_path)?)?;
        }
        if let Some(array) = self.array {
            array.finish()?;
        }
        if let Some(recorder) = self.recorder {
            recorder.finish()?;
        }
        Ok(self.names)
    }
}
