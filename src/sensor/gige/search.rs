//! Which cameras there are, on the network and on the bus.

use std::net::{IpAddr, Ipv4Addr, UdpSocket};
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use aravis::glib;
use aravis::prelude::*;
use aravis::{Aravis, Camera, DeviceInfo};

use super::device;
use super::setup::GREY;
use crate::error::{Error, Result};
use crate::profile::Profile;
use crate::sensor::camera::Attached;

/// A camera that answers.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Found {
    /// By which Aravis finds it: vendor, model and serial number.
    id: String,
    /// Its IP address, or its `id` where it has none.
    address: String,
    model: String,
}

/// What a camera says of itself.
#[derive(Clone, Debug)]
pub(super) struct Said {
    /// Vendor and model.
    pub model: String,
    /// Those of its pixel formats that are read.
    pub formats: Vec<String>,
}

/// The one handle on Aravis, whose list of cameras all threads share.
fn library() -> MutexGuard<'static, Option<Aravis>> {
    static LIBRARY: LazyLock<Mutex<Option<Aravis>>> =
        LazyLock::new(|| Mutex::new(Aravis::initialize().ok()));
    LIBRARY.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Looks for cameras; takes a second.
fn list() -> Vec<Found> {
    let cameras = library().as_ref().map(Aravis::get_device_list).unwrap_or_default();
    cameras.iter().map(Found::of).collect()
}

impl Found {
    fn of(info: &DeviceInfo) -> Self {
        let text = |text: &std::ffi::CStr| text.to_string_lossy().into_owned();
        let (id, address) = (text(&info.id), text(&info.address));
        let address = if address.parse::<IpAddr>().is_ok() { address } else { id.clone() };
        Self { model: named(&text(&info.vendor), &text(&info.model)), id, address }
    }

    /// Whether the user may call it `name`: its address, its whole name, its
    /// model, or its serial number.
    fn is_called(&self, name: &str) -> bool {
        let serial = self.id.strip_suffix(name).is_some_and(|rest| rest.ends_with('-'));
        serial || [&self.id, &self.address, &self.model].contains(&&name.to_owned())
    }
}

/// By which Aravis finds the camera that the user calls `address`: its IP
/// address, or its name where it has none.
///
/// # Errors
///
/// If no camera answers that is called so, or several do.
pub(super) fn find(name: &str, address: &str) -> Result<String> {
    match address.parse::<IpAddr>() {
        // Cameras beyond the next router do not answer a call to all.
        Ok(_) => Ok(address.to_owned()),
        Err(_) => choose(name, address, list()),
    }
}

/// The one of the cameras `found` that is called `address`; where that is
/// empty, the only one.
fn choose(name: &str, address: &str, found: Vec<Found>) -> Result<String> {
    let all: Vec<String> =
        found.iter().map(|camera| format!("gige:{} ({})", camera.address, camera.id)).collect();
    let all = all.join(", ");
    let mut fitting = found.into_iter().filter(|c| address.is_empty() || c.is_called(address));
    match (fitting.next(), fitting.next()) {
        (Some(camera), None) => Ok(camera.address),
        (None, _) if all.is_empty() => Err(device(name, "no camera answers")
            .hint("see that it is switched on, and on the same network as this computer")),
        (None, _) => Err(device(name, format!("no camera is called {address}"))
            .hint(format!("those that answer are {all}"))),
        (Some(_), Some(_)) => Err(Error::usage(name, "more than one camera fits")
            .hint(format!("name one of them: {all}"))),
    }
}

/// Whether a camera on the network answers at `id` within `patience`; true of
/// one that is not on the network. Where nobody answers, connecting would take
/// seconds to fail.
pub(super) fn answers(id: &str, patience: Duration) -> bool {
    // Key, "acknowledge", command 2 "discovery", no data, number 1; the answer
    // begins with status 0 and command 3 (GigE Vision, GVCP, port 3956).
    const DISCOVER: [u8; 8] = [0x42, 0x01, 0x00, 0x02, 0x00, 0x00, 0x00, 0x01];
    const DISCOVERED: [u8; 4] = [0x00, 0x00, 0x00, 0x03];
    let Ok(address) = id.parse::<IpAddr>() else { return true };
    let ask = || {
        let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
        socket.connect((address, 3956))?;
        socket.set_read_timeout(Some(patience))?;
        socket.send(&DISCOVER)?;
        let mut answer = [0; 4];
        // A longer answer is cut.
        socket.recv(&mut answer).map(|_| answer == DISCOVERED)
    };
    ask().unwrap_or(false)
}

/// Takes control of the camera that Aravis calls `id`.
///
/// # Errors
///
/// If it does not answer, or is in use.
pub(super) fn connect(name: &str, id: &str) -> Result<Camera> {
    let _library = library();
    Camera::new(Some(id)).map_err(|error| {
        device(name, format!("cannot be opened: {}", error.message())).hint(
            "see that it is switched on, on a network of this computer, and used by no other \
             program; `wysiwyh sensors probe` lists the cameras that answer",
        )
    })
}

/// What the camera that Aravis calls `id` says of itself.
///
/// # Errors
///
/// As [`connect`].
pub(super) fn ask(name: &str, id: &str) -> Result<Said> {
    let camera = connect(name, id)?;
    let offered = camera.dup_available_pixel_formats_as_strings().unwrap_or_default();
    let formats = offered.iter().map(ToString::to_string);
    let formats = formats.filter(|format| GREY.contains(&format.as_str())).collect();
    Ok(Said { model: model(&camera), formats })
}

/// Every camera that answers.
pub(super) fn attached() -> Vec<Attached> {
    let tell = |found: Found| {
        let address = format!("gige:{}", found.address);
        let said = ask(&address, &found.id);
        let profile = fitting(&found.model).map(|profile| profile.name);
        let problem = said.as_ref().err().map(ToString::to_string);
        let formats = said.map(|said| said.formats).unwrap_or_default();
        Attached { address, name: found.id, usb: None, formats, profile, problem }
    };
    list().into_iter().map(tell).collect()
}

/// The profile of the shelf for cameras called `model`.
pub(super) fn fitting(model: &str) -> Option<Profile> {
    let fits = |profile: &Profile| {
        profile.genicam.is_some()
            && profile.matching.model.iter().any(|text| model.contains(text.as_str()))
    };
    Profile::shelf().ok()?.into_iter().find(fits)
}

/// Vendor and model of `camera`.
pub(super) fn model(camera: &Camera) -> String {
    let text = |name: std::result::Result<glib::GString, glib::Error>| {
        name.map(|name| name.to_string()).unwrap_or_default()
    };
    named(&text(camera.vendor_name()), &text(camera.model_name()))
}

/// `vendor` and `model` as one name, the vendor not said twice.
fn named(vendor: &str, model: &str) -> String {
    match model.starts_with(vendor) {
        true => model.to_owned(),
        false => format!("{vendor} {model}").trim().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(id: &str, address: &str, model: &str) -> Found {
        Found { id: id.into(), address: address.into(), model: model.into() }
    }

    #[test]
    fn a_camera_is_found_by_address_name_model_and_serial_number() {
        let cameras = || {
            vec![
                found("FLIR Systems-FLIR A50-89807565", "192.168.0.51", "FLIR Systems FLIR A50"),
                found("Maker-U3-77", "Maker-U3-77", "Maker U3"),
            ]
        };
        let chosen = |address: &str| choose("gige:x", address, cameras());
        for name in ["192.168.0.51", "89807565", "FLIR Systems FLIR A50"] {
            assert_eq!(chosen(name).unwrap(), "192.168.0.51", "{name}");
        }
        assert_eq!(chosen("77").unwrap(), "Maker-U3-77");
        assert_eq!(choose("gige:", "", cameras()[..1].to_vec()).unwrap(), "192.168.0.51");
        for (name, hint) in [("", "Maker-U3-77"), ("7", "gige:192.168.0.51")] {
            let error = chosen(name).unwrap_err();
            assert!(error.advice().unwrap().contains(hint), "{error}");
        }
        assert!(choose("gige:", "", vec![]).unwrap_err().to_string().contains("no camera answers"));
    }

    #[test]
    fn cameras_are_known_by_their_models() {
        let name = |model| fitting(model).map(|profile| profile.name);
        for (model, profile) in [
            ("FLIR Systems FLIR A50", "flir-a-series"),
            ("FLIR Systems AB FLIR AX5", "flir-ax5"),
            ("Balluff BVS CA-GT1-0081UG", "imx487-uv"),
            ("Allied Vision Technologies G5-130 VSWIR", "swir-imx990"),
        ] {
            assert_eq!(name(model).as_deref(), Some(profile), "{model}");
        }
        assert_eq!(name("Aravis Fake"), None);
    }
}
