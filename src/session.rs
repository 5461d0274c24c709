//! What the recorder is told: from a sonifier and its sounds to a session and
//! its moments.

use std::path::PathBuf;

use rayon::prelude::*;

use crate::error::Result;
use crate::evaluate::figures::psnr_db;
use crate::recorder::{Moment, Origin, Session};
use crate::sink::Header;
use crate::sonifier::{Sonifier, Sound};
use crate::synth::SLOT_S;

/// Levels in dB between which spectra are drawn, the same in every session so
/// that sessions can be compared. No value is above the upper one at the
/// loudest code, and the lower one is 60 dB below.
const LEVELS_DB: [f32; 2] = [-80.0, -20.0];

/// What the session of `sonifier` is about. `wav` is the sound file that
/// `header` stands in, if there is one.
pub fn about(sonifier: &Sonifier, header: &Header, wav: Option<PathBuf>) -> Session {
    Session {
        command_line: command_line(),
        seed: header.seed,
        model: header.model.clone(),
        model_hash: header.model_hash.clone(),
        profile: header.profile.clone(),
        source: header.source.clone(),
        wav,
        lead_in_s: header.lead_in_s,
        start_time: header.start_time.clone(),
        // One that JSON cannot hold makes no sound, and needs no second hearing.
        header: header.to_json().unwrap_or_default(),
        bands: sonifier.model().bands().into(),
        range: header.range.clone(),
        frequencies_hz: sonifier.layout().frequencies_hz().to_vec(),
        levels_db: LEVELS_DB,
    }
}

/// The command that this process was given, as a POSIX shell reads it; of what is
/// no Unicode in it, a replacement character is left.
pub fn command_line() -> String {
    let words = std::env::args_os().map(|word| quoted(&word.to_string_lossy()));
    words.collect::<Vec<_>>().join(" ")
}

/// `word` in quotes, if it needs them.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "@%+=:,./_-".contains(c);
    match !word.is_empty() && word.chars().all(plain) {
        true => word.to_owned(),
        false => format!("'{}'", word.replace('\'', r"'\''")),
    }
}

/// What `sounds`, sent in the slots from `first` on, are for the recorder,
/// `scored` or not; they are worked on at once, on all cores.
///
/// # Errors
///
/// If one of them is another sonifier's.
pub fn moments(
    sonifier: &Sonifier,
    first: usize,
    sounds: Vec<Sound>,
    scored: bool,
) -> Result<Vec<Moment>> {
    let of = |(index, sound)| match (scored, (first + index) as u64) {
        (true, slot) => moment(sonifier, slot, sound),
        (false, slot) => Ok(unscored(slot, sound)),
    };
    sounds.into_par_iter().enumerate().map(of).collect()
}

/// What `sound`, sent in `slot`, is for the recorder, with the picture that
/// its code still holds.
///
/// # Errors
///
/// If the sound is another sonifier's.
pub fn moment(sonifier: &Sonifier, slot: u64, sound: Sound) -> Result<Moment> {
    let back = sonifier.reconstruct(&sound.code)?;
    // Nothing comes back of a picture that is not there.
    let there = sound.sent.data.iter().any(|value| value.is_finite());
    let psnr_db = there.then(|| psnr_db(sound.sent.data.view(), back.view(), sonifier.range()));
    let reconstruction = Some((back, Origin::FromCode));
    Ok(Moment { psnr_db, reconstruction, ..unscored(slot, sound) })
}

/// Likewise without that picture, which takes as long as the code.
pub fn unscored(slot: u64, sound: Sound) -> Moment {
    Moment {
        slot,
        time_s: slot as f64 * SLOT_S,
        psnr_db: None,
        input: sound.sent.data,
        code: sound.code,
        levels_db: sound.levels_db,
        reconstruction: None,
        loudness_lufs: sound.loudness_lufs,
        band_energy: sound.band_energy,
        latency_s: None,
        sample: None,
        left_out: None,
        extremes: [None; 3],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shell_reads_back_the_words_of_a_command() {
        let words = ["live", "--span=20C..40C", "", "a b", "it's", "$HOME", ">60C", "Wärme/1.wav"];
        let line: Vec<String> = words.map(quoted).into();
        assert_eq!(line[1], words[1]);
        let script = format!("printf '%s\\n' {}", line.join(" "));
        let output = std::process::Command::new("sh").args(["-c", &script]).output().unwrap();
        assert_eq!(String::from_utf8(output.stdout).unwrap().lines().collect::<Vec<_>>(), words);
    }
}
