//! USB cameras through Video4Linux: thermal cameras whose firmware speaks the
//! USB video class, dongles, and webcams.
//!
//! Which camera is which, what to ask it for, and where in its pictures
//! temperatures and telemetry lie, is the table `[camera]` of a profile; here
//! is only what all of them share. A frame's time is the moment at which its
//! buffer was taken from the driver, by the monotonic clock.

mod device;
mod picture;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use self::device::{Arrival, Device, Stream};
use self::picture::{Reader, Reading};
use super::camera::{self, ANSWER_S, Attached, Losses, PATIENCE_S};
use super::{Sensor, Source, count};
use crate::error::{Error, Fault, Result};
use crate::frame::{Band, Frame, Unit};
use crate::profile::{Camera, Profile};

/// A camera that was just started may take so long for its first picture.
const START: Duration = Duration::from_secs(6);

/// A camera that sends nothing at all for so long is started anew.
const STALL: Duration = Duration::from_secs(5);

/// How often a camera that is gone is looked for.
const LOOK: Duration = Duration::from_millis(100);

/// The pictures of a camera.
///
/// Pictures that are damaged or that came before are left out, and counted.
#[derive(Debug)]
pub struct Uvc {
    source: Source,
    device: Device,
    /// Cameras like it that were attached when it was lost.
    others: Vec<PathBuf>,
    camera: Camera,
    reader: Reader,
    /// None while the camera is gone.
    stream: Option<Stream>,
    /// A frame that was read when the camera was opened.
    ready: Option<Frame>,
    opened: Instant,
    /// When the last new picture came, and the last one of any kind; or when
    /// the camera was started.
    fresh: Instant,
    heard: Instant,
    /// Why there was nothing new since.
    still: String,
    losses: Losses,
}

impl Uvc {
    /// Opens the camera `source`: a number, a device, or the name of a
    /// profile. Its pictures are read as `profile` says, or, where that is
    /// not about a camera, as the profile of the shelf that fits it.
    ///
    /// # Errors
    ///
    /// If there is no such camera, it may not be opened, no profile fits it,
    /// it agrees to nothing that its profile asks for, or it sends no picture.
    pub fn open(source: &str, profile: Option<&Profile>) -> Result<Self> {
        let device = find(source)?;
        let profile = match profile.filter(|profile| profile.camera.is_some()) {
            Some(profile) => profile.clone(),
            None => identify(source, &device)?,
        };
        let (Some(camera), Some(listed)) = (profile.camera.as_ref(), profile.listed_bands()) else {
            let what =
                format!("the profile {} lists no bands, and a camera needs them", profile.name);
            return Err(Error::usage("--sensor", what));
        };
        let stream = Stream::start(&device, camera)?;
        let reader = Reader::new(stream.agreed, camera, listed)
            .map_err(|what| device.error(Fault::Unsupported, what))?;
        let now = Instant::now();
        let mut uvc = Self {
            source: described(&device, &stream, &reader),
            camera: camera.clone(),
            reader,
            stream: Some(stream),
            ready: None,
            opened: now,
            fresh: now,
            heard: now,
            still: NOTHING.into(),
            losses: Losses::default(),
            others: vec![],
            device,
        };
        let Some(first) = uvc.read(now + START).map_err(|_| uvc.gone())? else {
            let what = format!("{} within {} s of its start", uvc.still, START.as_secs());
            return Err(uvc
                .device
                .error(Fault::Device, what)
                .hint("unplug it and plug it in again"));
        };
        uvc.source.bands = first.bands.clone();
        uvc.source.description += &note(&first.bands, listed);
        uvc.ready = Some(first);
        Ok(uvc)
    }

    /// The next new picture; `None` if none comes until `until`.
    fn read(&mut self, until: Instant) -> std::io::Result<Option<Frame>> {
        let Some(stream) = &mut self.stream else { return Ok(None) };
        loop {
            let reading = match stream.next(until)? {
                Arrival::Picture(bytes) => self.reader.read(&bytes),
                Arrival::Damaged => Reading::Broken("damaged on the way".into()),
                Arrival::Nothing => return Ok(None),
            };
            let now = Instant::now();
            self.heard = now;
            match reading {
                Reading::Picture(data) => {
                    (self.fresh, self.still) = (now, NOTHING.into());
                    let bands = self.reader.bands().cloned().unwrap_or_else(|| [].into());
                    let time_s = now.duration_since(self.opened).as_secs_f64();
                    return Ok(Some(Frame::new(data, bands, time_s)));
                }
                Reading::Repeat => {
                    self.losses.repeated += 1;
                    if self.still != CALIBRATES {
                        self.still = STILL.into();
                    }
                }
                Reading::Calibrating => self.still = CALIBRATES.into(),
                Reading::Broken(why) => {
                    self.losses.broken += 1;
                    self.still = format!("the camera sends damaged pictures ({why})");
                }
            }
            // A flood of pictures without any that is new ends here.
            if now >= until {
                return Ok(None);
            }
        }
    }

    /// Closes the camera. Others of its kind that are attached at this moment
    /// are not it, wherever it will be plugged in again.
    fn close(&mut self) {
        self.stream = None;
        let others = device::listed().into_iter();
        let others = others.filter(|d| d.is_like(&self.device) && d.path != self.device.path);
        self.others = others.map(|device| device.path).collect();
    }

    /// Starts the camera anew, if it is there again; under another number,
    /// perhaps.
    fn reopen(&mut self) -> bool {
        let mut found = device::listed();
        found.retain(|d| d.is_like(&self.device) && !self.others.contains(&d.path));
        let mut places: Vec<PathBuf> = found.into_iter().map(|device| device.path).collect();
        if places.is_empty() {
            // Not every system has the kernel's list.
            places.push(self.device.path.clone());
        }
        places.iter().any(|path| self.start(path))
    }

    /// Starts the camera at `path`, if its pictures come as they did before.
    fn start(&mut self, path: &Path) -> bool {
        let Ok(found) = device::at(path) else { return false };
        let Ok(stream) = Stream::start(&found, &self.camera) else { return false };
        if stream.agreed != *self.reader.agreed() {
            return false;
        }
        self.reader.forget();
        // It is given time to start, as it was at first.
        (self.fresh, self.heard) = (Instant::now(), Instant::now());
        self.still = NOTHING.into();
        (self.device, self.stream) = (found, Some(stream));
        true
    }

    fn gone(&self) -> Error {
        self.away("the camera is gone")
    }

    fn away(&self, what: &str) -> Error {
        self.device.error(Fault::Away, what).hint("unplug it, and plug it in again")
    }
}

const NOTHING: &str = "the camera sends no picture";
const STILL: &str = "the camera's picture stands still, as while it calibrates itself";
const CALIBRATES: &str = "the camera calibrates itself, and its picture stands still";

impl Iterator for Uvc {
    type Item = Result<Frame>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Some(frame) = self.ready.take() {
            return Some(Ok(frame));
        }
        let now = Instant::now();
        let answer = now + Duration::from_secs_f64(ANSWER_S);
        if self.stream.is_some() && self.heard.elapsed() > STALL {
            self.close();
        }
        while self.stream.is_none() && !self.reopen() {
            if Instant::now() >= answer {
                return Some(Err(self.gone()));
            }
            std::thread::sleep(LOOK);
        }
        let patient = self.fresh + Duration::from_secs_f64(PATIENCE_S);
        Some(match self.read(patient.max(answer)) {
            Ok(Some(frame)) => Ok(frame),
            Ok(None) => Err(self.away(&self.still)),
            Err(_) => {
                self.close();
                Err(self.gone())
            }
        })
    }
}

impl Sensor for Uvc {
    fn source(&self) -> &Source {
        &self.source
    }

    fn losses(&self) -> Option<Losses> {
        Some(self.losses)
    }
}

/// What is known of a camera before its first picture.
fn described(device: &Device, stream: &Stream, reader: &Reader) -> Source {
    let (format, columns, rows) = (stream.agreed.format, stream.agreed.columns, reader.rows());
    let name = if device.name.is_empty() { "camera" } else { &device.name };
    let description =
        format!("{}: {name}, {format}, {columns} x {rows} pixels", device.path.display());
    Source {
        model: Some(device.name.clone()),
        rows,
        columns,
        // Where the driver does not say: the rate of most webcams.
        period_s: stream.period_s.or(Some(1.0 / 30.0)),
        ..Source::of(description)
    }
}

/// What is to be said of a camera that sends `bands` where its profile has
/// `listed` others.
fn note(bands: &[Band], listed: &[Band]) -> String {
    let bare = bands.iter().zip(listed).any(|(band, listed)| band.unit != listed.unit);
    match (bare, bands.first()) {
        (true, _) => "; it sends bare counts, not temperatures: it is no radiometric camera, or \
                      not set to be one"
            .into(),
        (false, Some(band)) if band.unit == Unit::Celsius => ", in degC".into(),
        _ => format!(", {} of counts", count(bands.len(), "band")),
    }
}

/// The device that `source` names.
fn find(source: &str) -> Result<Device> {
    if let Some(profile) = camera::of_profile(source) {
        // What another profile fits better is likely to be something else.
        let rank = |device: &Device| {
            let is_best = best(device).is_some_and(|best| best.name == profile.name);
            fit(&profile, device).map(|fit| (is_best, fit))
        };
        let devices = device::list().into_iter().rev();
        let fitting = devices.filter(|device| rank(device).is_some()).max_by_key(rank);
        return fitting.ok_or_else(|| {
            Error::new(Fault::Device, source, "no camera of this kind is attached")
                .hint("`wysiwyh sensors probe` lists the cameras that are")
        });
    }
    if source.bytes().all(|byte| byte.is_ascii_digit()) {
        return device::at(Path::new(&format!("/dev/video{source}")));
    }
    device::at(Path::new(source))
}

/// How well a profile fits a device: known by its USB number, by its name, by
/// a size of its own, and how far down the list of formats what it offers is.
type Fit = (bool, bool, bool, std::cmp::Reverse<usize>);

/// How well `profile` fits `device`; `None` if not at all.
///
/// A USB number alone is no proof: the one of the InfiRay P2 Pro is that of a
/// chip which many webcams have. So the device must offer what the profile
/// asks for.
fn fit(profile: &Profile, device: &Device) -> Option<Fit> {
    let camera = profile.camera.as_ref()?;
    let (format, size) = device.offers(camera).into_iter().next()?;
    let rank = camera.formats.iter().position(|name| {
        crate::profile::FourCc::parse(name).is_some_and(|asked| asked == format)
    })?;
    let usb = device.usb.as_ref().is_some_and(|usb| profile.matching.usb.contains(usb));
    let model = profile.matching.model.iter().any(|text| device.name.contains(text.as_str()));
    Some((usb, model, size.is_some(), std::cmp::Reverse(rank)))
}

/// The profile of the shelf that fits `device` best; of equals the first.
fn best(device: &Device) -> Option<Profile> {
    let shelf = Profile::shelf().ok()?;
    let mut best: Option<(Fit, Profile)> = None;
    for profile in shelf {
        if let Some(fit) = fit(&profile, device)
            && best.as_ref().is_none_or(|(most, _)| fit > *most)
        {
            best = Some((fit, profile));
        }
    }
    best.map(|(_, profile)| profile)
}

fn identify(source: &str, device: &Device) -> Result<Profile> {
    if let Some(profile) = camera::of_profile(source) {
        return Ok(profile);
    }
    best(device).ok_or_else(|| {
        let modes: Vec<String> = device.modes.iter().map(ToString::to_string).collect();
        let what = format!("no sensor on the shelf sends what it offers: {}", modes.join(", "));
        device.error(Fault::Unsupported, what).hint(
            "write a profile for it, and name it with --sensor: see CONTRIBUTING.md, \"A new \
             sensor\"",
        )
    })
}

/// See [`camera::recognise`].
pub(super) fn recognise(source: &str, preferred: Option<&Profile>) -> Result<Profile> {
    let device = find(source)?;
    match preferred.filter(|profile| fit(profile, &device).is_some()) {
        Some(profile) => Ok(profile.clone()),
        None => identify(source, &device),
    }
}

/// Every camera that is attached.
pub(super) fn attached() -> Vec<Attached> {
    let tell = |device: Device| Attached {
        address: device.path.display().to_string(),
        profile: best(&device).map(|profile| profile.name),
        formats: device.modes.iter().map(ToString::to_string).collect(),
        name: device.name,
        usb: device.usb,
        problem: device.problem,
    };
    device::list().into_iter().map(tell).collect()
}
