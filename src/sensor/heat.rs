//! Whether numbers can be the temperatures that a thermal camera's profile lists.

use std::sync::Arc;

use crate::error::{Error, Result};
use crate::frame::Band;
use crate::profile::Profile;

/// `bands` as they are where a file states no scale of its own and holds floats: what a
/// profile lists as temperatures are those, as whole numbers alone stand for others.
pub(super) fn floats(bands: &[Band]) -> Arc<[Band]> {
    let own = |band: &Band| match band.unit.is_temperature() {
        true => Band { scale: 1.0, offset: 0.0, ..band.clone() },
        false => band.clone(),
    };
    bands.iter().map(own).collect()
}

/// Refuses to take whole numbers up to `full_scale`, the largest of their type, for the
/// temperatures that `profile` lists, where they are none: an alarm would believe them. A
/// picture has `[rows, columns]`; `highest` looks for its highest number.
pub(super) fn check(
    subject: &str,
    [rows, columns]: [usize; 2],
    full_scale: f64,
    highest: impl FnOnce() -> f32,
    profile: Option<&Profile>,
) -> Result<()> {
    let is_heat = |p: &&Profile| {
        p.listed_bands().is_some_and(|bands| bands.iter().any(|band| band.unit.is_temperature()))
    };
    let Some(profile) = profile.filter(is_heat) else { return Ok(()) };
    let refuse = |what: String, hint: &str| {
        Err(Error::usage(subject, what).hint(format!("{hint}, or leave out --sensor")))
    };
    let name = &profile.name;
    if full_scale < 256.0 {
        let what = format!(
            "stores numbers up to {full_scale}, which are brightness on a screen; the temperatures \
             of {name} take up to 65535"
        );
        return refuse(what, "give the file with the temperatures in it");
    }
    let Some(camera) = &profile.camera else { return Ok(()) };
    let is_own = camera.sizes.contains(&[columns as u32, rows as u32]);
    if let Some([first, own_rows]) = camera.picture.filter(|&[_, own]| is_own && own != rows) {
        let what = format!(
            "has {rows} rows, of which those from {first} to {} are the picture of {name}",
            first + own_rows - 1
        );
        let cut = format!("ffmpeg -i FILE -vf crop={columns}:{own_rows}:0:{first} OUT");
        return refuse(what, &format!("cut them out, as with `{cut}`"));
    }
    let Some(most) = camera.counts_up_to else { return Ok(()) };
    let highest = highest();
    if highest <= f32::from(most) {
        let what = format!(
            "has no number above {highest}: counts of {name} without temperatures end at {most}"
        );
        return refuse(what, "let the camera send temperatures");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn brightness_telemetry_and_bare_counts_are_no_temperatures() {
        let lepton = Profile::find("lepton3").unwrap();
        let check = |rows, count: f32, full_scale| {
            super::check("a.raw", [rows, 160], full_scale, || count, Some(&lepton))
        };
        let refused =
            |rows, count, full_scale| check(rows, count, full_scale).unwrap_err().to_string();
        assert!(check(120, 29_315.0, 65_535.0).is_ok());
        assert!(refused(120, 200.0, 255.0).contains("up to 255, which are brightness"));
        assert!(
            refused(122, 29_315.0, 65_535.0).contains("has 122 rows, of which those from 0 to 119")
        );
        assert!(refused(120, 8_000.0, 65_535.0).contains("no number above 8000"));
        assert!(super::check("a.raw", [9, 9], 255.0, || 0.0, None).is_ok());
    }
}
