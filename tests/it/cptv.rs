//! CPTV files against an independent decoder, and damaged.

use std::fs;

use wysiwyh::random::Random;
use wysiwyh::sensor::{Options, open};
use wysiwyh::voice::recognise;
use wysiwyh::{Frame, Profile, Result};

#[test]
fn counts_and_times_are_those_of_an_independent_decoder() {
    let Some(data) = crate::data() else { return };
    let path = data.join("formats/cacophony-cptv/v2.cptv");
    let text = fs::read_to_string(data.join("formats/EXPECTED.json")).unwrap();
    let expected: serde_json::Value = serde_json::from_str(&text).unwrap();
    let known = &expected["cptv"]["cacophony-cptv/v2.cptv"];
    let sensor = open(&path.to_string_lossy(), None, &Options::default()).unwrap();
    let source = sensor.source().clone();
    assert_eq!((source.rows, source.columns, source.period_s), (120, 160, Some(1.0 / 9.0)));
    assert!(source.description.contains("lepton3"), "{}", source.description);
    let frames: Vec<Frame> = sensor.collect::<Result<_>>().unwrap();
    assert_eq!(frames.len() as u64, known["frames"].as_u64().unwrap());
    for (frame, key) in [(&frames[0], "first"), (&frames[frames.len() - 1], "last")] {
        let values = || frame.data.iter().map(|&value| f64::from(value));
        let found = [
            values().fold(f64::INFINITY, f64::min),
            values().fold(0.0, f64::max),
            values().sum::<f64>(),
        ];
        let known = ["min", "max", "sum"].map(|name| known[key][name].as_f64().unwrap());
        assert_eq!(found, known, "{key}");
    }
    let row: Vec<f32> = frames[0].data.iter().copied().take(4).collect();
    assert_eq!(row, [2657.0, 2660.0, 2662.0, 2656.0]);
    let clock = |key: &str| known[key].as_f64().unwrap();
    let seconds = (clock("time_on_ms_last") - clock("time_on_ms_first")) / 1000.0;
    assert_eq!((frames[0].time_s, frames[118].time_s), (0.0, seconds));

    // The same frames, as another program saved them.
    let pages = data.join("formats/cacophony-cptv/derived_lepton3_40frames_u16.tif");
    let pages = open(&pages.to_string_lossy(), None, &Options::default()).unwrap();
    for (page, frame) in pages.zip(&frames) {
        assert_eq!(page.unwrap().data, frame.data);
    }

    // A profile scales the counts.
    let mut profile = Profile::find("hituav-lwir").unwrap();
    let mut bands = profile.listed_bands().unwrap().to_vec();
    bands[0].scale = 0.5;
    profile.bands = wysiwyh::profile::Bands::Listed(bands);
    let mut scaled = open(&path.to_string_lossy(), Some(&profile), &Options::default()).unwrap();
    assert_eq!(scaled.next().unwrap().unwrap().data, &frames[0].data * 0.5);
}

#[test]
fn a_recording_is_recognised_alone_and_in_a_folder() {
    let Some(data) = crate::data() else { return };
    let folder = tempfile::tempdir().unwrap();
    for name in ["1.cptv", "2.cptv"] {
        let path = data.join("formats/cacophony-cptv/v2.cptv");
        fs::copy(path, folder.path().join(name)).unwrap();
    }
    for (source, frames) in [(folder.path().join("1.cptv"), 119), (folder.path().into(), 238)] {
        let source = source.to_string_lossy().into_owned();
        let profile = recognise(&source, &Options::default()).unwrap();
        assert_eq!(profile.name, "cptv-lepton3");
        let sensor = open(&source, Some(&profile), &Options::default()).unwrap();
        assert_eq!(sensor.source().model.as_deref(), Some("lepton3"));
        assert_eq!(sensor.collect::<Result<Vec<Frame>>>().unwrap().len(), frames);
    }
}

#[test]
fn a_damaged_recording_delivers_what_it_has_and_says_so() {
    let Some(data) = crate::data() else { return };
    let whole = fs::read(data.join("formats/cacophony-cptv/v2.cptv")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.cptv");
    let read = |bytes: &[u8]| {
        fs::write(&path, bytes).unwrap();
        let opened = open(&path.to_string_lossy(), None, &Options::default());
        let mut frames: Vec<Result<Frame>> = match opened {
            Ok(sensor) => sensor.collect(),
            Err(error) => vec![Err(error)],
        };
        let error = frames.pop_if(|frame| frame.is_err()).map(|frame| frame.unwrap_err());
        assert!(frames.iter().all(Result::is_ok), "an error ends the iteration");
        (frames.len(), error.map(|error| error.to_string()))
    };
    let (frames, error) = read(&whole[..whole.len() / 2]);
    let error = error.unwrap();
    assert!((30..90).contains(&frames), "{frames} frames");
    assert!(error.contains(&format!("ended after {frames} frames")), "{error}");

    // Without its end, each of them has an error to tell.
    let mut random = Random::named(1, "damaged recordings");
    for _ in 0..100 {
        let mut bytes = whole[..40_000].to_vec();
        let reach = if random.uniform() < 0.5 { 64 } else { bytes.len() };
        let at = random.below(reach);
        bytes[at] ^= 1 << random.below(8);
        let (_, error) = read(&bytes);
        assert!(error.unwrap().contains("a.cptv"));
    }
}
