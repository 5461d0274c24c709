//! The pictures of a camera, whether it is there or away.

use std::time::{Duration, Instant};

use ndarray::Array3;

use super::link::{Arrival, Link};
use super::tally::Tally;
use super::{device, search};
use crate::error::{Error, Fault, Result};
use crate::frame::Frame;
use crate::profile::Profile;
use crate::sensor::camera::{ANSWER_S, Attached, Losses, PATIENCE_S};
use crate::sensor::{Sensor, Source, reconcile};

/// A camera that was just started may take so long for its first picture.
const START: Duration = Duration::from_secs(6);

/// How long a camera that is away is waited for when it is called.
const LOOK: Duration = Duration::from_millis(200);

/// The whole pictures of a camera, oldest first, at the times of their arrival.
///
/// Pictures of which a part is missing are left out, and counted.
#[derive(Debug)]
struct Gige {
    name: String,
    /// By which Aravis finds it again.
    id: String,
    profile: Option<Profile>,
    source: Source,
    /// None while the camera is away.
    link: Option<Link>,
    /// The picture that was read when the camera was opened.
    ready: Option<Frame>,
    opened: Instant,
    /// When the last whole picture came, or the camera was started.
    fresh: Instant,
    /// Pictures that came since then, and were not whole.
    broken: u64,
    tally: Tally,
    /// Packets that were lost on links that are no more.
    packets: u64,
}

/// Opens the camera at `address`, sets it up as `profile` asks, or, where that
/// is not about such a camera, as the profile of the shelf that fits it, and
/// reads its first picture. `name` is the source as the user wrote it.
///
/// # Errors
///
/// If there is no such camera or more than one, another program has it, it
/// offers no grey pixel format or none that the profile takes, refuses a
/// setting, sends counts where the profile expects temperatures, its pictures
/// are above 1 GiB, or none comes.
pub fn open(name: &str, address: &str, profile: Option<&Profile>) -> Result<Box<dyn Sensor>> {
    let id = search::find(name, address)?;
    let profile = match profile.filter(|profile| profile.genicam.is_some()) {
        Some(profile) => Some(profile.clone()),
        None => search::fitting(&search::ask(name, &id)?.model).or(profile.cloned()),
    };
    let link = Link::open(name, &id, profile.as_ref())?;
    let source = described(name, &link, profile.as_ref())?;
    let now = Instant::now();
    let mut gige = Gige {
        name: name.to_owned(),
        id,
        profile,
        source,
        link: Some(link),
        ready: None,
        opened: now,
        fresh: now,
        broken: 0,
        tally: Tally::default(),
        packets: 0,
    };
    let Some(first) = gige.read(now + START) else {
        let what = format!("{} within {} s of its start", gige.still(), START.as_secs());
        return Err(device(name, what).hint(gige.advice()));
    };
    gige.ready = Some(first);
    Ok(Box::new(gige))
}

/// The profile by which the camera at `address` is read: `preferred`, if that
/// is about such cameras, else that of the shelf which knows its model.
///
/// # Errors
///
/// If there is no such camera, it cannot be asked, or no profile fits it.
pub fn recognise(name: &str, address: &str, preferred: Option<&Profile>) -> Result<Profile> {
    if let Some(profile) = preferred.filter(|profile| profile.genicam.is_some()) {
        return Ok(profile.clone());
    }
    let model = search::ask(name, &search::find(name, address)?)?.model;
    search::fitting(&model).ok_or_else(|| {
        let what = format!("no sensor on the shelf is known as {model}");
        Error::input(name, what)
            .hint("name it: --sensor NAME (`wysiwyh sensors list`), or --model FILE")
    })
}

/// Every camera that answers within a second.
pub fn attached() -> Vec<Attached> {
    search::attached()
}

impl Gige {
    /// The next whole picture; `None` if none comes until `until`, or the
    /// camera stops answering.
    fn read(&mut self, until: Instant) -> Option<Frame> {
        let link = self.link.as_mut()?;
        loop {
            if let Some(Arrival { id, counts }) = link.next() {
                self.tally.count(counts.is_some().then_some(id));
                self.broken += u64::from(counts.is_none());
                if let Some(counts) = counts {
                    let arrived = Instant::now();
                    (self.fresh, self.broken) = (arrived, 0);
                    let time_s = arrived.duration_since(self.opened).as_secs_f64();
                    let readings = readings(&self.source, counts)?;
                    let mut frame = Frame::new(readings, self.source.bands.clone(), time_s);
                    frame.exposure = link.exposure();
                    return Some(frame);
                }
            }
            if link.is_lost() || Instant::now() >= until {
                return None;
            }
        }
    }

    /// Connects anew, if the camera is there again and sends such pictures as before;
    /// after its power was off they may come at another rate.
    fn reconnect(&mut self) -> bool {
        if !search::answers(&self.id, LOOK) {
            return false;
        }
        let Ok(link) = Link::open(&self.name, &self.id, self.profile.as_ref()) else {
            return false;
        };
        let Ok(Source { bands, rows, columns, .. }) =
            described(&self.name, &link, self.profile.as_ref())
        else {
            return false;
        };
        if (&bands, rows, columns) != (&self.source.bands, self.source.rows, self.source.columns) {
            return false;
        }
        // It counts anew, and is given time to start.
        self.tally.forget();
        (self.link, self.fresh, self.broken) = (Some(link), Instant::now(), 0);
        true
    }

    fn disconnect(&mut self) {
        let Some(link) = self.link.take() else { return };
        self.packets += link.packets();
        // To take leave of a camera that does not answer takes seconds. Where
        // no thread can be had for it, it takes them here.
        if link.is_lost() || !search::answers(&self.id, LOOK) {
            let _ = std::thread::Builder::new().spawn(move || drop(link));
        }
    }

    /// How long a camera may keep still that is neither lost nor stalled.
    fn patience(&self) -> Duration {
        let exposure_s = self.link.as_ref().map_or(0.0, Link::exposure_s);
        let slowest_s = self.source.period_s.unwrap_or(0.0).max(exposure_s);
        Duration::try_from_secs_f64(PATIENCE_S + 2.0 * slowest_s).unwrap_or(Duration::MAX)
    }

    /// Why there was no picture.
    fn still(&self) -> &'static str {
        match (&self.link, self.broken) {
            (None, _) => "the camera does not answer",
            (Some(_), 0) => "the camera sends no picture",
            (Some(_), _) => "the camera's pictures come incomplete, every one of them",
        }
    }

    /// What to do about that.
    fn advice(&self) -> &'static str {
        match (&self.link, self.broken) {
            (None, _) => "look after its cable and its power",
            (Some(_), 0) => "look after its cable, and whether it waits for a trigger",
            (Some(_), _) => {
                "give it a network card of its own and larger packets (MTU 9000), or ask for \
                 fewer or smaller pictures"
            }
        }
    }

    fn away(&self) -> Error {
        Error::new(Fault::Away, &self.name, self.still()).hint(self.advice())
    }
}

impl Iterator for Gige {
    type Item = Result<Frame>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Some(frame) = self.ready.take() {
            // What came since was not asked for, and is no loss.
            self.link.as_mut().into_iter().for_each(Link::flush);
            self.tally = Tally::default();
            self.fresh = Instant::now();
            return Some(Ok(frame));
        }
        let answer = Instant::now() + Duration::from_secs_f64(ANSWER_S);
        while self.link.is_none() && !self.reconnect() {
            if Instant::now() >= answer {
                return Some(Err(self.away()));
            }
            std::thread::sleep(LOOK / 4);
        }
        let patient = self.fresh.checked_add(self.patience()).unwrap_or(answer);
        let frame = self.read(patient.max(answer));
        if self.link.as_ref().is_some_and(Link::is_lost) {
            self.disconnect();
        }
        Some(frame.ok_or_else(|| self.away()))
    }
}

impl Drop for Gige {
    fn drop(&mut self) {
        self.disconnect();
    }
}

impl Sensor for Gige {
    fn source(&self) -> &Source {
        &self.source
    }

    fn losses(&self) -> Option<Losses> {
        let Tally { broken, missed, .. } = self.tally;
        let packets = self.packets + self.link.as_ref().map_or(0, Link::packets);
        Some(Losses { broken, missed, packets, repeated: 0 })
    }
}

/// What is known of the camera at the other end of `link`.
fn described(name: &str, link: &Link, profile: Option<&Profile>) -> Result<Source> {
    let (picture, model, period_s) = (link.picture(), link.model(), link.period_s());
    let (columns, rows) = (picture.columns, picture.rows - picture.header_rows);
    let description = format!(
        "{name}: {model}, {}, {columns} x {rows} pixels, {:.4} frames a second",
        picture.format,
        1.0 / period_s
    );
    Ok(Source {
        driver: Some("GenICam".to_owned()),
        model: Some(model.to_owned()),
        bands: reconcile(name, vec![link.band().clone()], profile)?,
        rows,
        columns,
        period_s: Some(period_s),
        ..Source::of(description)
    })
}

/// The counts of a picture as readings of the only band of `source`, a header
/// above them left out.
fn readings(source: &Source, mut counts: Vec<f32>) -> Option<Array3<f32>> {
    let Source { rows, columns, .. } = *source;
    let header = counts.len().checked_sub(rows * columns)?;
    counts.drain(..header);
    let (scale, offset) = source.bands.first().map(|band| (band.scale, band.offset))?;
    if (scale, offset) != (1.0, 0.0) {
        counts.iter_mut().for_each(|c| *c = (f64::from(*c) * scale + offset) as f32);
    }
    Array3::from_shape_vec((1, rows, columns), counts).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::{Band, Unit};

    #[test]
    fn a_header_is_left_out_and_counts_are_scaled() {
        let band = Band { scale: 0.5, offset: -1.0, ..Band::new("LWIR", Unit::Celsius) };
        let frame = Frame::new(Array3::zeros((1, 2, 2)), vec![band].into(), 0.0);
        let source = Source::like(&frame, "a camera");
        let found = readings(&source, vec![90.0, 91.0, 2.0, 4.0, 6.0, 8.0]).unwrap();
        assert_eq!(found.into_raw_vec_and_offset().0, [0.0, 1.0, 2.0, 3.0]);
        assert!(readings(&source, vec![1.0; 3]).is_none());
    }
}
