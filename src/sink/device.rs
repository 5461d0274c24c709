//! Outputs and inputs for sound, by their names.
//!
//! Where a sound server runs (PulseAudio, or PipeWire in its place), devices
//! are its sinks and sources. ALSA's library reaches all of them through a
//! single device, `pulse`, and learns from the environment alone which of them
//! is meant: see [`environment`]. Elsewhere devices are what the system lists;
//! on Linux only those that other programs can use at the same time, so that
//! a screen reader stays audible.

use std::fmt;
use std::process::{Command, Stdio};

use super::Speaker;
use crate::ears::Sides;
use crate::error::{Error, Fault, Result};

/// Whether sound leaves or comes in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// A loudspeaker, headphones.
    Output,
    /// A microphone, or what other programs play.
    Input,
}

/// A device that can be chosen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Device {
    /// The name by which it is chosen.
    pub name: String,
    /// What it is, for people.
    pub description: String,
    /// Whether it is a sound server's.
    served: bool,
}

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.name, self.description)
    }
}

impl Way {
    /// What `pactl` lists, and the variable in which the client library of
    /// PulseAudio looks for the name of the one to use.
    fn served_as(self) -> [&'static str; 2] {
        match self {
            Self::Output => ["sinks", "PULSE_SINK"],
            Self::Input => ["sources", "PULSE_SOURCE"],
        }
    }
}

/// All devices for sound that goes this way.
pub fn list(way: Way) -> Vec<Device> {
    let served = served(way);
    if served.is_empty() { local::list(way) } else { served }
}

/// The device called `name`, or described so.
///
/// # Errors
///
/// If there is none; the error names all that there are.
pub fn find(way: Way, name: &str) -> Result<Device> {
    let devices = list(way);
    let called = |device: &&Device| device.name == name || device.description == name;
    if let Some(device) = devices.iter().find(called) {
        return Ok(device.clone());
    }
    let word = match way {
        Way::Output => "output",
        Way::Input => "input",
    };
    let names: Vec<String> = devices.iter().map(Device::to_string).collect();
    let hint = match names.is_empty() {
        true => "there is none at all".to_owned(),
        false => format!("there are {}", names.join("; ")),
    };
    Err(Error::usage("--device", format!("no {word} for sound is called {name:?}")).hint(hint))
}

/// The variable and its value that a process has to be started with before it
/// can open the device called `name`; `None` where it can already.
///
/// # Errors
///
/// As for [`find`].
pub fn environment(way: Way, name: &str) -> Result<Option<(&'static str, String)>> {
    let Device { name, served, .. } = find(way, name)?;
    let [_, variable] = way.served_as();
    let set = std::env::var(variable).is_ok_and(|value| value == name);
    Ok((served && !set).then_some((variable, name)))
}

/// The devices of a sound server; none where none runs, or nobody can ask it.
fn served(way: Way) -> Vec<Device> {
    let [kind, _] = way.served_as();
    let asked = Command::new("pactl")
        .args(["list", kind])
        .env("LC_ALL", "C")
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output();
    match asked {
        Ok(told) if cfg!(target_os = "linux") => parse(&String::from_utf8_lossy(&told.stdout)),
        _ => vec![],
    }
}

/// Reads what `pactl list` tells.
fn parse(told: &str) -> Vec<Device> {
    let mut devices: Vec<Device> = vec![];
    for line in told.lines() {
        if let Some(name) = line.strip_prefix("\tName: ") {
            let (name, description) = (name.to_owned(), String::new());
            devices.push(Device { name, description, served: true });
        } else if let Some(description) = line.strip_prefix("\tDescription: ")
            && let Some(device) = devices.last_mut()
        {
            device.description = description.to_owned();
        }
    }
    devices
}

#[cfg(feature = "sound")]
pub(crate) use local::open;

/// Devices as the system itself has them.
#[cfg(feature = "sound")]
mod local {
    use cpal::traits::{DeviceTrait, HostTrait};

    use super::super::plausible;
    use super::{Device, Way};
    use crate::error::{Error, Fault, Result};

    /// ALSA's way to a sound server.
    const SERVER: &str = "pulse";

    /// Devices of cards that a program has for itself while it plays do not
    /// begin with any of these.
    const SHARED: [&str; 3] = ["default:", "sysdefault:", "dmix:"];

    /// See [`super::list`].
    pub fn list(way: Way) -> Vec<Device> {
        let devices = all(way).into_iter().map(|(name, device)| {
            let description = device.to_string();
            Device { name, description, served: false }
        });
        let shared = |device: &Device| {
            let card = device.name.contains("CARD=");
            let usable = !card || SHARED.iter().any(|kind| device.name.starts_with(kind));
            device.name != "null" && (way == Way::Input || usable)
        };
        devices.filter(shared).collect()
    }

    /// Opens the device called `name`, or the one that the system has chosen;
    /// and what it is. `None` where there is no device at all.
    ///
    /// # Errors
    ///
    /// If none is called so.
    pub(crate) fn open(way: Way, name: Option<&str>) -> Result<Option<(cpal::Device, String)>> {
        if !plausible() {
            return Ok(None);
        }
        let Some(name) = name else {
            let host = cpal::default_host();
            let device = match way {
                Way::Output => host.default_output_device(),
                Way::Input => host.default_input_device(),
            };
            return Ok(device.map(|device| (device.clone(), device.to_string())));
        };
        let Device { name, description, served } = super::find(way, name)?;
        let key = if served { SERVER } else { &name };
        match all(way).into_iter().find(|(name, _)| name == key) {
            Some((_, device)) => Ok(Some((device, description))),
            None => Err(Error::new(Fault::Device, &name, format!("ALSA has no device {key:?}"))
                .hint("install its plugins: apt install libasound2-plugins")),
        }
    }

    /// Every device with its name.
    fn all(way: Way) -> Vec<(String, cpal::Device)> {
        if !plausible() {
            return vec![];
        }
        let host = cpal::default_host();
        let Ok(devices) = host.devices() else { return vec![] };
        let fits = |device: &cpal::Device| match way {
            Way::Output => device.supports_output(),
            Way::Input => device.supports_input(),
        };
        let named = |device: cpal::Device| {
            let description = device.description().ok()?;
            // On Linux several devices are described alike; ALSA's own name is
            // that of the driver.
            let name = description.driver().filter(|_| cfg!(target_os = "linux"));
            Some((name.unwrap_or(description.name()).to_owned(), device))
        };
        devices.filter(fits).filter_map(named).collect()
    }
}

#[cfg(not(feature = "sound"))]
mod local {
    use super::{Device, Way};

    /// This build opens no devices.
    pub fn list(_: Way) -> Vec<Device> {
        vec![]
    }
}

/// Opens the speaker called `device`, or the system's choice, at `volume_db` and
/// for ears that hear as `sides` say, and says what it is; where there is none,
/// says so, or fails if it is `needed`.
///
/// # Errors
///
/// If a speaker that is needed cannot be opened, or none is called `device`.
pub fn open_speaker(
    volume_db: Option<f32>,
    device: Option<&str>,
    sides: Sides,
    needed: bool,
    say: &mut dyn FnMut(&str),
) -> Result<Option<Box<Speaker>>> {
    let Some(volume_db) = volume_db else { return Ok(None) };
    match Speaker::open(volume_db, device, sides.gains()) {
        Ok(speaker) => {
            let name = speaker.name();
            say(&format!("It plays to {name} at {volume_db} dB, and begins quietly."));
            if let Some((side, db)) = sides.louder() {
                say(&format!("The {side} side is made quieter by {db} dB, as it suits your ears."));
            }
            Ok(Some(Box::new(speaker)))
        }
        Err(error) if matches!(error.fault, Fault::Device | Fault::Unsupported) && !needed => {
            let reason = error.to_string();
            let reason = reason.trim_end_matches('.');
            say(&format!("There is no speaker, so nothing is played: {reason}."));
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sinks_are_read_from_what_the_server_tells() {
        let told = "Sink #0\n\tState: IDLE\n\tName: one\n\tDescription: Null Output\n\
                    \tProperties:\n\t\tdevice.description = \"x\"\n\t\tName: y\n\
                    Sink #1\n\tName: two\n\tDescription: Ohr: Hörer\n";
        let devices: Vec<String> = parse(told).iter().map(Device::to_string).collect();
        assert_eq!(devices, ["one: Null Output", "two: Ohr: Hörer"]);
        assert!(parse("Connection failure: Connection refused\n").is_empty());
    }
}
