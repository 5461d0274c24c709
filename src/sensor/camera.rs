//! Cameras that are attached at this moment, whatever they are attached by.

use serde::Serialize;

use crate::error::Result;
#[cfg(not(all(target_os = "linux", feature = "uvc")))]
use crate::error::{Error, Fault};
use crate::profile::Profile;

#[cfg(all(target_os = "linux", feature = "uvc"))]
use super::uvc;
use super::{Sensor, gige};

/// A camera keeps still for so long, in seconds, before it counts as away:
/// a thermal camera that closes its shutter to calibrate takes about one.
pub const PATIENCE_S: f64 = 2.0;

/// While a camera is away, [`Sensor`]'s `next` answers after so many seconds.
pub const ANSWER_S: f64 = 0.25;

/// What a camera has lost since it was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Losses {
    /// Pictures that came damaged, and were left out.
    pub broken: u64,
    /// Pictures that never came, as far as the camera counts them.
    pub missed: u64,
    /// Pictures that came twice, and were left out the second time.
    pub repeated: u64,
    /// Packets of a network that never came.
    pub packets: u64,
}

impl Losses {
    /// One sentence for people, where anything was lost.
    pub fn sentence(&self) -> Option<String> {
        let Self { broken, missed, repeated, packets } = self;
        let kinds = [(broken, "were damaged"), (missed, "never came"), (repeated, "came twice")];
        let told = kinds.iter().filter(|(count, _)| **count > 0);
        let told: Vec<String> = told.map(|(count, what)| format!("{count} {what}")).collect();
        let packets = match packets {
            0 => String::new(),
            _ => format!("; {packets} packets were lost on the network"),
        };
        let told = (!told.is_empty()).then(|| told.join(", "))?;
        Some(format!("Of the camera's pictures {told}, and were left out{packets}."))
    }
}

/// An attached camera, as `sensors probe` tells it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Attached {
    /// By which it can be opened: `/dev/video0`, `gige:192.168.1.20`.
    pub address: String,
    /// What it calls itself.
    pub name: String,
    /// USB `vendor:product`, where it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub usb: Option<String>,
    /// Its pixel formats, with their sizes where they have some of their own:
    /// `Y16 160x120 160x122`.
    pub formats: Vec<String>,
    /// The profile of the shelf that fits it.
    pub profile: Option<String>,
    /// Why it cannot be asked, where it cannot.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

/// Every camera that is attached, in the order of their addresses: those that
/// are devices of this computer first, then those that answer on its networks.
pub fn attached() -> Vec<Attached> {
    #[cfg(all(target_os = "linux", feature = "uvc"))]
    let devices = uvc::attached();
    #[cfg(not(all(target_os = "linux", feature = "uvc")))]
    let devices = Vec::new();
    devices.into_iter().chain(gige::attached()).collect()
}

/// Whether `source` names a camera: `gige:ADDRESS`, a number, a device, or a
/// profile of one, unless a file or a folder has that name.
pub fn is_one(source: &str) -> bool {
    let number = !source.is_empty() && source.bytes().all(|byte| byte.is_ascii_digit());
    if source.starts_with("/dev/video") || gige::address(source).is_some() {
        return true;
    }
    (number || of_profile(source).is_some()) && !std::path::Path::new(source).exists()
}

/// The profile called `source`, where it is a camera's.
pub(super) fn of_profile(source: &str) -> Option<Profile> {
    let named = !source.contains(['/', '.']);
    named.then(|| Profile::find(source).ok()).flatten().filter(|found| found.camera.is_some())
}

/// The profile by which the camera `source` is read: `preferred`, if it fits,
/// else that of the shelf which fits best.
///
/// # Errors
///
/// If there is no such camera, it cannot be asked, or no profile fits it.
pub fn recognise(source: &str, preferred: Option<&Profile>) -> Result<Profile> {
    if let Some(address) = gige::address(source) {
        return gige::recognise(source, address, preferred);
    }
    #[cfg(all(target_os = "linux", feature = "uvc"))]
    return uvc::recognise(source, preferred);
    #[cfg(not(all(target_os = "linux", feature = "uvc")))]
    {
        let _ = preferred;
        Err(unsupported(source))
    }
}

/// Opens the camera `source`, with the bands of `profile`.
///
/// # Errors
///
/// If there is no such camera, it is in use, sends no pictures, or none that
/// can be read.
pub(super) fn open(source: &str, profile: Option<&Profile>) -> Result<Box<dyn Sensor>> {
    if let Some(address) = gige::address(source) {
        return gige::open(source, address, profile);
    }
    #[cfg(all(target_os = "linux", feature = "uvc"))]
    return Ok(Box::new(uvc::Uvc::open(source, profile)?));
    #[cfg(not(all(target_os = "linux", feature = "uvc")))]
    {
        let _ = profile;
        Err(unsupported(source))
    }
}

#[cfg(not(all(target_os = "linux", feature = "uvc")))]
fn unsupported(source: &str) -> Error {
    Error::new(Fault::Unsupported, source, "is a camera, and this build reads none")
        .hint("USB cameras are read on Linux, with the feature `uvc`")
}
