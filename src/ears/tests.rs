use super::*;
use crate::spectrum::{Layout, Preset};

/// The check of somebody who hears what is above `threshold_db`.
fn checked(seed: u64, threshold_db: impl Fn(f64) -> f64) -> Check {
    let mut check = Check::new(seed);
    let mut asked = 0;
    while let Some(trial) = check.trial() {
        check.answer(trial.level_db.is_some_and(|db| db >= threshold_db(trial.hz)));
        asked += 1;
    }
    assert_eq!((asked, check.answered()), (Check::TRIALS, Check::TRIALS));
    check
}

fn standard(hz: f64) -> f64 {
    hearing::threshold_db(hz) - 70.0
}

#[test]
fn who_hears_as_the_standard_does_needs_nothing() {
    for seed in 0..20 {
        let ears = checked(seed, standard).finish().unwrap();
        assert_eq!(ears.band_hz, TONES_HZ);
        assert!(ears.gains_db.iter().all(|[_, db]| *db == 0.0), "{ears:?}");
    }
}

#[test]
fn half_of_a_loss_is_made_up_for() {
    let loss = |hz: f64| if hz > 2500.0 { 20.0 } else { 0.0 };
    let ears = checked(1, |hz| standard(hz) + loss(hz)).finish().unwrap();
    for &[hz, db] in &ears.gains_db {
        assert!((db - loss(hz) / 2.0).abs() <= 2.0, "{hz} Hz: {db} dB");
    }
    let deep = checked(1, |hz| standard(hz) + 2.0 * loss(hz)).finish().unwrap();
    assert!(deep.gains_db.iter().all(|[_, db]| *db <= MOST_GAIN_DB));
    assert!(deep.gains_db.iter().any(|[_, db]| *db == MOST_GAIN_DB));
}

#[test]
fn what_is_not_heard_at_all_is_left_out() {
    let deaf = |hz: f64| if (200.0..4000.0).contains(&hz) { standard(hz) } else { 0.0 };
    let ears = checked(2, deaf).finish().unwrap();
    let [low_hz, high_hz] = ears.band_hz;
    assert!((200.0..400.0).contains(&low_hz) && (2000.0..4000.0).contains(&high_hz));
    let mut mapping = Mapping::preset(Preset::Listen, [60.0, 3000.0]);
    ears.fit(&mut mapping);
    assert_eq!((mapping.low_hz, mapping.high_hz), (low_hz, high_hz.min(3000.0)));
    Layout::new(&mapping).unwrap();
}

#[test]
fn a_check_that_says_nothing_is_refused() {
    let mut check = Check::new(3);
    while check.trial().is_some() {
        check.answer(true);
    }
    assert!(check.finish().unwrap_err().to_string().contains("in silence"));
    let error = checked(4, |_| 0.0).finish().unwrap_err().to_string();
    assert!(error.contains("0 of 10"), "{error}");
    let error = checked(5, |hz| if hz < 200.0 { standard(hz) } else { 0.0 }).finish();
    assert!(error.is_err());
}

#[test]
fn tones_are_soft_and_do_not_click() {
    let trial = Trial { hz: 1000.0, level_db: Some(-24.0) };
    let samples = trial.samples();
    let peak = samples.iter().fold(0.0, |peak: f32, v| peak.max(v.abs()));
    assert!((20.0 * peak.log10() + 24.0).abs() < 0.01);
    assert!(samples[..48].iter().chain(&samples[SAMPLE_RATE - 48..]).all(|v| v.abs() < 1e-4));
    let silence = Trial { level_db: None, ..trial }.samples();
    assert!(silence.len() == samples.len() && silence.iter().all(|&v| v == 0.0));
}

#[test]
fn settings_come_back_from_their_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a/hearing.toml");
    let gains_db = vec![[60.0, 0.0], [4200.0, 7.5]];
    let both = Ears { band_hz: [60.0, 4200.0], gains_db, sides: Sides::default() };
    let left = Sides { quieter_db: [4.5, 0.0], one_ear: false };
    let deaf = Sides { one_ear: true, ..Sides::default() };
    for sides in [Sides::default(), left, deaf] {
        let ears = Ears { sides, ..both.clone() };
        ears.save(&path).unwrap();
        assert_eq!(Ears::load(&path).unwrap(), ears);
    }
    // As versions wrote it that did not compare the ears.
    let text = "band_hz = [60.0, 4200.0]\ngains_db = [[60.0, 0.0], [4200.0, 7.5]]\n";
    std::fs::write(&path, text).unwrap();
    assert_eq!(Ears::load(&path).unwrap(), both);
    let sides = |db: &str| format!("{text}[sides]\nquieter_db = {db}\n");
    for damaged in [
        "",
        "band_hz = [1, 2]",
        "band_hz = [500, 60]\ngains_db = []",
        "x = 1",
        &sides("[13, 0]"),
        &sides("[-3, 0]"),
        &sides("[3, 3]"),
        &sides("[nan, 0]"),
        &sides("[3]"),
        &(sides("[3, 0]") + "ears = 3"),
    ] {
        std::fs::write(&path, damaged).unwrap();
        assert!(Ears::load(&path).is_err(), "{damaged:?}");
    }
    assert!(Ears::load(folder.path()).is_err());
}

#[test]
fn a_place_is_one_as_far_as_its_missing_folders_can_be_made() {
    let folder = tempfile::tempdir().unwrap();
    let place = |name: &str| Ears::check_place(&folder.path().join(name));
    std::fs::write(folder.path().join("file"), "").unwrap();
    assert!(place("a.toml").is_ok() && place("new/wysiwyh/a.toml").is_ok());
    for wrong in ["file/a.toml", "file/wysiwyh/a.toml"] {
        let error = place(wrong).unwrap_err();
        assert!(error.to_string().contains(wrong) && error.advice().is_some(), "{error}");
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "only the file");
}
