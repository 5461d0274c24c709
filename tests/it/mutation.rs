//! Recordings and rasters, damaged; `make soak` does more of it.

use crate::damage;

#[test]
fn damaged_recordings_end_in_frames_or_in_an_error() {
    let Some(data) = crate::data() else { return };
    let frames = damage::recordings(&data, 0..320, |_, _| {});
    // Some of the damage does no harm.
    assert!(frames > 50, "{frames} frames");
}

/// Bytes changed in files of HDF5 on which its library crashed (1.10.8), and
/// in the last one never came to an end.
#[cfg(feature = "gdal")]
const HARMFUL: [(&str, &[(usize, u8)]); 4] = [
    ("hdf5/fwhm.h5", &[(2078, 255), (2049, 255)]),
    ("hdf5/fwhm.h5", &[(2057, 255), (1953, 255), (890, 255)]),
    ("netcdf/fake_EMIT_L2B_MIN.nc", &[(3925, 255)]),
    ("netcdf/fake_EMIT_L2B_MIN.nc", &[(3954, 0), (3754, 4)]),
];

#[cfg(feature = "gdal")]
#[test]
fn a_raster_on_which_its_library_crashes_or_hangs_is_refused_by_every_verb() {
    use crate::cli::{picture, program, refused, text};

    let Some(data) = crate::data() else { return };
    let folder = tempfile::tempdir().unwrap();
    let mut files = Vec::new();
    for (number, (name, changes)) in HARMFUL.into_iter().enumerate() {
        let original = data.join("formats/gdal-autotest/gdrivers/data").join(name);
        let mut bytes = std::fs::read(&original).unwrap();
        changes.iter().for_each(|&(at, byte)| bytes[at] = byte);
        let ending = original.extension().unwrap();
        let path = folder.path().join(number.to_string()).with_extension(ending);
        std::fs::write(&path, bytes).unwrap();
        files.push(path);
    }
    let out = folder.path().join("out");
    for path in &files {
        let output = program().arg("inspect").arg(path).output().unwrap();
        refused(&output, 1, &path.to_string_lossy());
        let model = folder.path().join("model.safetensors");
        let mut train = program();
        train.args(["train", "--sensor", "sentinel2-l2a", "-o"]).arg(&model).arg(path);
        refused(&train.output().unwrap(), 1, &path.to_string_lossy());
        assert!(!model.exists());
    }
    // The others of a batch go on.
    let sound = folder.path().join("a.png");
    picture(&sound);
    let mut convert = program();
    convert.args(["convert", "--sensor", "hituav-lwir", "-o"]).arg(&out).arg(&sound).args(&files);
    let output = convert.output().unwrap();
    assert_eq!(output.status.code(), Some(3), "{}", text(&output.stderr));
    let mut names = crate::cli::names_in(&out);
    names.retain(|name| !name.ends_with(".record.json"));
    assert_eq!(names, ["a.parquet", "a.wav"]);
}
