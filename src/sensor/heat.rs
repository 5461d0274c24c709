//! Whether numbers can be the temperatures that a thermal camera's profile lists.

use ndarray::ArrayView3;

use crate::error::{Error, Result};
use crate::profile::Profile;

/// Refuses to take counts from 0 to `full_scale`, `[band, row, column]`, for the
/// temperatures that `profile` lists, where they are none: an alarm would believe them.
pub(super) fn check(
    subject: &str,
    counts: ArrayView3<f32>,
    full_scale: f32,
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
    let (_, rows, columns) = counts.dim();
    let is_own = camera.sizes.contains(&[columns as u32, rows as u32]);
    if let Some([first, own_rows]) = camera.picture.filter(|&[_, own]| is_own && own != rows) {
        let what = format!(
            "has {rows} rows, of which those from {first} to {} are the picture of {name}",
            first + own_rows - 1
        );
        let cut = format!("ffmpeg -i FILE -vf crop={columns}:{own_rows}:0:{first} OUT");
        return refuse(what, &format!("cut them out, as with `{cut}`"));
    }
    let highest = counts.iter().copied().fold(0.0, f32::max);
    if let Some(most) = camera.counts_up_to.filter(|&most| highest <= f32::from(most)) {
        let what = format!(
            "has no number above {highest}: counts of {name} without temperatures end at {most}"
        );
        return refuse(what, "let the camera send temperatures");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use ndarray::Array3;

    use super::*;

    #[test]
    fn brightness_telemetry_and_bare_counts_are_no_temperatures() {
        let lepton = Profile::find("lepton3").unwrap();
        let check = |rows, count: f32, full_scale| {
            let counts = Array3::from_elem((1, rows, 160), count);
            super::check("a.raw", counts.view(), full_scale, Some(&lepton))
        };
        let refused =
            |rows, count, full_scale| check(rows, count, full_scale).unwrap_err().to_string();
        assert!(check(120, 29_315.0, 65_535.0).is_ok());
        assert!(refused(120, 200.0, 255.0).contains("up to 255, which are brightness"));
        assert!(
            refused(122, 29_315.0, 65_535.0).contains("has 122 rows, of which those from 0 to 119")
        );
        assert!(refused(120, 8_000.0, 65_535.0).contains("no number above 8000"));
        let counts = Array3::zeros((1, 9, 9));
        assert!(super::check("a.raw", counts.view(), 255.0, None).is_ok());
    }
}
