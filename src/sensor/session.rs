//! Sessions, as the recorder wrote them: the pictures that were sent.

use std::path::Path;

use ndarray::{Array3, s};

use super::{Sensor, Source};
use crate::dataset::GRID;
use crate::error::{Error, Result};
use crate::frame::{Area, Band, Frame};
use crate::recorder::{Recorded, Slots};
use crate::sink::Header;
use crate::synth::SLOT_S;

/// The driver of a session.
pub(super) const DRIVER: &str = "session";

/// The pictures of a session, each of them one slot of sound.
///
/// They are on the grid of the model that sent them, without its bars. Slots in
/// which the camera was away are left out, and so are those whose picture the
/// recorder dropped; their times tell.
#[derive(Debug)]
pub struct Session {
    path: String,
    source: Source,
    header: Header,
    slots: Slots,
    coded: bool,
    /// Whether there was a sound frame, or nobody waits for one any more.
    begun: bool,
}

impl Session {
    /// Opens the session at `path`.
    ///
    /// # Errors
    ///
    /// If it is damaged, or does not say how its sound was made, as that of a
    /// training.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let slots = Slots::open(path)?;
        let stated = |name: &str| slots.about().get(name).map_or("", String::as_str);
        let Some(header) = Header::parse(stated("header"), path)? else {
            let what = "does not say how its sound was made, and cannot be heard again";
            return Err(Error::input(path, what).hint(
                "sessions of trainings have no sound, and those of older versions do not say; \
                 record it anew: wysiwyh live SOURCE --rrd FILE",
            ));
        };
        let bands: Vec<Band> = serde_json::from_str(stated("bands"))
            .map_err(|e| Error::input(path, format!("its list of bands is damaged: {e}")))?;
        let Area { row, column, rows, columns } = header.area;
        let fits = |start: usize, size: usize| size > 0 && start.saturating_add(size) <= GRID;
        if !fits(row, rows) || !fits(column, columns) {
            let what = format!(
                "its picture of {rows} x {columns} at {row}, {column} fits no grid of {GRID} x \
                 {GRID}"
            );
            return Err(Error::input(path, what));
        }
        let source = Source {
            driver: Some(DRIVER.to_owned()),
            period_s: Some(SLOT_S),
            bands: bands.into(),
            rows,
            columns,
            ..Source::of(describe(path, &header))
        };
        let path = path.to_string_lossy().into_owned();
        Ok(Self { path, source, header, slots, coded: false, begun: false })
    }

    /// The same with the code that each picture was sent as, and with a picture
    /// of no reading where the recorder dropped it.
    #[must_use]
    pub fn coded(self) -> Self {
        Self { coded: true, ..self }
    }

    /// What a sound file of it says about itself.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// The frame of a slot; none where there is nothing to hear of it.
    fn frame(&self, recorded: Recorded) -> Result<Option<Frame>> {
        let Recorded { slot, time_s, code, input } = recorded;
        let bands = self.source.bands.clone();
        let data = match input {
            _ if self.coded && code.is_empty() => return Ok(None),
            Some(input) => self.picture(slot, &input)?,
            None if self.coded => {
                let (rows, columns) = (self.source.rows, self.source.columns);
                Array3::from_elem((bands.len(), rows, columns), f32::NAN)
            }
            None => return Ok(None),
        };
        let values = self.header.mapping.values;
        if self.coded
            && (code.len() != values || !code.iter().all(|value| (0.0..=1.0).contains(value)))
        {
            let what = format!(
                "the code of sound frame {slot} has {} values, and {values} in 0..1 are stated",
                code.len()
            );
            return Err(Error::input(&self.path, what));
        }
        let code = self.coded.then(|| code.into());
        Ok(Some(Frame { code, ..Frame::new(data, bands, time_s) }))
    }

    /// The part of what was sent that carries the picture.
    fn picture(&self, slot: u64, sent: &Array3<f32>) -> Result<Array3<f32>> {
        let Area { row, column, rows, columns } = self.header.area;
        let (bands, (planes, height, width)) = (self.source.bands.len(), sent.dim());
        if planes != bands || row + rows > height || column + columns > width {
            let what = format!(
                "the picture of sound frame {slot} has {planes} bands of {height} x {width} \
                 pixels, and {bands} of at least {} x {} are stated",
                row + rows,
                column + columns
            );
            return Err(Error::input(&self.path, what));
        }
        Ok(sent.slice(s![.., row..row + rows, column..column + columns]).to_owned())
    }
}

/// `session.rrd: a session of simulated:1, begun 2026-01-31T12:00:00Z`.
fn describe(path: &Path, header: &Header) -> String {
    let begun = header.start_time.as_ref().map_or(String::new(), |time| format!(", begun {time}"));
    format!("{}: a session of {}{begun}", path.display(), header.source)
}

impl Iterator for Session {
    type Item = Result<Frame>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let begun = std::mem::replace(&mut self.begun, true);
            let Some(recorded) = self.slots.next() else {
                let what = "ends before its first sound frame";
                return (!begun).then(|| Err(Error::input(&self.path, what)));
            };
            let frame = recorded.and_then(|recorded| self.frame(recorded));
            if let Some(frame) = frame.transpose() {
                return Some(frame);
            }
        }
    }
}

impl Sensor for Session {
    fn source(&self) -> &Source {
        &self.source
    }
}
