use super::*;
use crate::autoencoder::digits;
use crate::sensor::{Sensor, Simulated};
use crate::spectrum::Preset;
use crate::synth::SLOT;

#[test]
fn a_rest_fades_to_silence_and_a_frame_fades_in() {
    let model = Model::shipped("simulated-lwir").unwrap();
    let mapping = Mapping::preset(Preset::Data, model.profile().frequencies_hz);
    let mut sonifier = Sonifier::new(model, mapping, 1).unwrap();
    let mut camera = Simulated::new(1, None).unwrap();
    assert!(camera.losses().is_none());
    let mut next = || camera.next().unwrap().unwrap();
    let (mut samples, mut codes) = (vec![], vec![]);
    let first = sonifier.sonify(&next()).unwrap();
    samples.extend(&first.samples);
    codes.push(Some(first.code.clone()));
    for rest in 0..8 {
        samples.extend(sonifier.rest());
        codes.push((rest < 4).then(|| first.code.clone()));
    }
    for _ in 0..6 {
        let sound = sonifier.sonify(&next()).unwrap();
        samples.extend(&sound.samples);
        codes.push(Some(sound.code));
    }
    samples.extend(sonifier.finish());
    assert_eq!(samples.len(), (codes.len() + 2) * SLOT);
    let mut levels = vec![];
    for (slot, code) in codes.iter().enumerate() {
        let heard = sonifier.hear(&samples, slot);
        assert_eq!(heard.is_some(), code.is_some(), "slot {slot}");
        let pairs = heard.iter().flatten().zip(code.iter().flatten());
        let off = pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(off < 1e-3, "slot {slot}: {off}");
        let spectrum = sonifier.receiver.spectrum(&samples, slot).unwrap();
        levels.push(sonifier.layout.loudness_lufs(&spectrum));
    }
    // 12 dB a slot down, and up again to where it was.
    for slot in [0, 1, 2, 3, 9, 10, 11] {
        let step = levels[slot + 1] - levels[slot];
        let due = if slot < 4 { -12.0 } else { 12.0 };
        assert!((step - due).abs() < 1.5, "slot {slot}: {step} dB");
    }
    assert!((levels[13] - levels[0]).abs() < 1.5 && levels[6] < -150.0, "{levels:?}");
}

#[test]
fn a_coarser_level_is_read_by_the_receiver_of_the_full_code() {
    let model = Model::shipped("simulated-lwir").unwrap();
    let mapping = Mapping::preset(Preset::Data, model.profile().frequencies_hz);
    let values = mapping.values;
    let mut sonifier = Sonifier::new(model, mapping, 1).unwrap();
    let frame = Simulated::new(1, None).unwrap().next().unwrap().unwrap();
    let levels = [values, 16, 2, 1];
    let (mut samples, mut sounds) = (vec![], vec![]);
    for level in levels {
        sonifier.set_level(level);
        assert_eq!(sonifier.level(), level);
        sounds.push(sonifier.sonify(&frame).unwrap());
        samples.extend(&sounds[sounds.len() - 1].samples);
    }
    samples.extend(sonifier.finish());
    let all = sonifier.model.autoencoder();
    let leading = all.components_of_code(&sounds[0].code, values);
    for (slot, (level, sound)) in levels.into_iter().zip(&sounds).enumerate() {
        let heard = sonifier.hear(&samples, slot).unwrap();
        for (a, b) in heard.iter().zip(&sound.code) {
            assert!((a - b).abs() < 1e-3, "level {level}: {a} is not {b}");
        }
        let apart = (0.375 * digits::STEP) as f32;
        for group in sound.code.chunks(values / level).filter(|_| level < values) {
            assert!(group.iter().all(|value| (value - group[0]).abs() < apart), "{level}");
        }
        // It holds the leading components, as they were but for the steps,
        // and no others.
        let kept = sonifier.model.autoencoder().components_of_code(&sound.code, values);
        for (index, (a, b)) in kept.iter().zip(&leading).enumerate() {
            let due = if index < level || level == values { *b } else { 0.0 };
            // Fine components have a small share of the logits.
            let off = if index < 16 { 0.03 } else { 0.15 };
            assert!((a - due).abs() < off, "level {level}, component {index}: {a}, {due}");
        }
    }
    for (asked, given) in [(0, 1), (3, 2), (usize::MAX, values)] {
        sonifier.set_level(asked);
        assert_eq!(sonifier.level(), given);
    }
}
