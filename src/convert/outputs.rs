//! The files of one scene.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rayon::prelude::*;

use super::chips::{Chip, ChipTable};
use super::record::{Outcome, Output, Request};
use crate::error::Result;
use crate::frame::Frame;
use crate::map::Geopackage;
use crate::npy::FrameArray;
use crate::recorder::{Pace, Recorder, Target};
use crate::sensor::Source;
use crate::session;
use crate::sink::{self, FileSink, Header};
use crate::sonifier::{Sonifier, Sound};
use crate::staging::StagedFolder;
use crate::stereo::{Channels, easting};
use crate::table::Table;

/// The files of one scene in the making.
pub(super) struct Outputs<'a> {
    source: &'a Source,
    request: &'a Request,
    scored: bool,
    staging: &'a StagedFolder,
    sound: Box<dyn FileSink>,
    table: ChipTable,
    table_path: PathBuf,
    geopackage: Option<Geopackage>,
    header: Header,
    channels: Channels,
    array: Option<FrameArray>,
    recorder: Option<Recorder>,
    names: Vec<String>,
    /// Slots written so far.
    pub slots: usize,
    /// How many of them show a tile or a picture some pixels of which have no reading
    /// in some band.
    pub gaps: usize,
    /// The sum of their powers.
    power: f64,
    /// The sum of their scores in dB, and how many have one.
    psnr_db: (f64, usize),
}

impl<'a> Outputs<'a> {
    /// Begins the files of `source` in `staging`, under names that begin with
    /// `stem`; later they lie in `folder`.
    pub fn create(
        folder: &Path,
        request: &'a Request,
        stem: &str,
        staging: &'a StagedFolder,
        source: &'a Source,
        sonifier: &Sonifier,
    ) -> Result<Self> {
        let settings = &request.settings;
        let place = |ending: &str| staging.place(&format!("{stem}.{ending}"));
        let names = settings.endings().iter().map(|ending| format!("{stem}.{ending}")).collect();
        let mut header = sonifier.header(source, &request.source);
        header.stereo = settings.stereo;
        let sound_path = place(settings.format.extension());
        let sound = sink::create(&sound_path, settings.format, &header)?;
        let table_path = place("parquet");
        let table = ChipTable::create(&table_path, source, sonifier)?;
        let geopackage = match settings.gpkg {
            true => Some(Geopackage::create(&place("gpkg"), stem)?),
            false => None,
        };
        let [rows, columns] = sonifier.model().grid();
        let array = match settings.npy {
            true => Some(FrameArray::create(place("npy"), [source.bands.len(), rows, columns])?),
            false => None,
        };
        let recorder = match settings.rrd {
            true => {
                let save = Some(place("rrd"));
                let target = Target { save, pace: Pace::Batch, ..Target::default() };
                let heard = sound_path.file_name().map(|name| folder.join(name));
                Some(Recorder::new(&target, &session::about(sonifier, &header, heard))?)
            }
            false => None,
        };
        Ok(Self {
            source,
            request,
            scored: !settings.unscored,
            staging,
            sound,
            table,
            table_path,
            geopackage,
            header,
            channels: Channels::new(settings.stereo),
            array,
            recorder,
            names,
            slots: 0,
            gaps: 0,
            power: 0.0,
            psnr_db: (0.0, 0),
        })
    }

    /// Takes the `sounds` of `frames`, which come next.
    pub fn write(
        &mut self,
        sonifier: &Sonifier,
        frames: &[Arc<Frame>],
        mut sounds: Vec<Sound>,
    ) -> Result<()> {
        for (frame, sound) in frames.iter().zip(&sounds) {
            self.power += 10f64.powf(sound.loudness_lufs / 10.0);
            let (row, column) = frame.position;
            let place = match &self.source.scene {
                _ if !self.header.stereo => None,
                Some(scene) => Some(easting(scene, [row, column])),
                None => sonifier.place(&sound.sent),
            };
            self.sound.write(&self.channels.lay(&sound.samples, place))?;
        }
        let means: Vec<Vec<Option<f64>>> =
            sounds.iter_mut().map(|sound| std::mem::take(&mut sound.band_means)).collect();
        let moments = session::moments(sonifier, self.slots, sounds, self.scored)?;
        let chips = frames.par_iter().zip(means).zip(&moments);
        let chips: Vec<Chip> =
            chips.map(|((frame, means), heard)| Chip::of(frame, means, heard)).collect();
        for ((frame, moment), chip) in frames.iter().zip(moments).zip(chips) {
            if let Some(psnr_db) = chip.psnr_db() {
                self.psnr_db = (self.psnr_db.0 + psnr_db, self.psnr_db.1 + 1);
            }
            self.gaps += usize::from(chip.has_gaps(self.source.scene.as_ref(), frame));
            self.table.push(chip)?;
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

    /// Completes every file; tells what came of the scene, `skipped` chips of
    /// which are not heard.
    pub fn finish(mut self, sonifier: &mut Sonifier, skipped: usize) -> Result<Outcome> {
        self.sound.write(&self.channels.lay(&sonifier.finish(), None))?;
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
        let scores = &sonifier.model().record().scores;
        let written = |name: &String| Output::of(&self.staging.place(name), name);
        Ok(Outcome {
            header: Header { positions: vec![], ..self.header },
            slots: self.slots,
            skipped,
            loudness_lufs: (self.power > 0.0)
                .then(|| 10.0 * (self.power / self.slots as f64).log10()),
            psnr_db: (self.psnr_db.1 > 0).then(|| self.psnr_db.0 / self.psnr_db.1 as f64),
            model_psnr_db: scores.psnr_sound_db.last_key_value().map(|(_, psnr_db)| *psnr_db),
            outputs: self.names.iter().map(written).collect::<Result<_>>()?,
        })
    }
}
