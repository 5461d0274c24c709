//! GigE Vision and USB3 Vision cameras, `gige:ADDRESS`, through the library
//! Aravis.
//!
//! Such a camera describes itself in GenICam's terms: features by name, of
//! which the Standard Features Naming Convention (SFNC) fixes the common ones,
//! and pixel formats by name and code, of the Pixel Format Naming Convention
//! (PFNC).

#[cfg(feature = "gige")]
mod link;
#[cfg_attr(not(feature = "gige"), path = "gige/absent.rs")]
mod reader;
#[cfg(feature = "gige")]
mod search;
#[cfg(feature = "gige")]
mod setup;
#[cfg(feature = "gige")]
mod tally;

pub(super) use reader::{attached, open, recognise};

/// The address in `source`, where that is such a camera: an IP address, a name
/// or a serial number; empty: the only camera there is.
pub(super) fn address(source: &str) -> Option<&str> {
    source.strip_prefix("gige:")
}

/// The camera `name` is at fault.
#[cfg(feature = "gige")]
fn device(name: &str, what: impl std::fmt::Display) -> crate::error::Error {
    crate::error::Error::new(crate::error::Fault::Device, name, what)
}
