//! What happens to sound on its way.

use crate::error::{Error, Fault, Result};
use crate::program;
use crate::random::Random;
use crate::sink::meter::Biquad;
use crate::synth::{SAMPLE_RATE, SLOT};

/// A way that sound can take from the file to the receiver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Channel {
    /// A 16-bit file.
    Wav,
    /// White noise over the whole band, 20 dB below the sound.
    Noise,
    /// The receiver starts a hundredth of a slot late.
    Late,
    /// The receiver starts a twentieth of a slot late.
    Later,
    /// MP3 at 128 kbit/s.
    Mp3,
    /// MP3 at 64 kbit/s.
    SmallMp3,
    /// Opus at 64 kbit/s.
    Opus,
    /// Opus at 24 kbit/s, whose encoder may take some of the sound for speech.
    SmallOpus,
    /// Opus at 24 kbit/s from an encoder that takes nothing for speech.
    MusicOpus,
    /// A room.
    Room,
    /// A small loudspeaker.
    Speaker,
}

impl Channel {
    /// Every channel, the file first.
    pub const ALL: [Self; 11] = [
        Self::Wav,
        Self::Noise,
        Self::Late,
        Self::Later,
        Self::Mp3,
        Self::SmallMp3,
        Self::Opus,
        Self::SmallOpus,
        Self::MusicOpus,
        Self::Room,
        Self::Speaker,
    ];

    /// Its name in tables of figures.
    pub fn name(self) -> &'static str {
        match self {
            Self::Wav => "16-bit file",
            Self::Noise => "noise 20 dB",
            Self::Late => "1 % late",
            Self::Mp3 => "MP3 128k",
            Self::Later => "5 % late",
            Self::SmallMp3 => "MP3 64k",
            Self::Opus => "Opus 64k",
            Self::SmallOpus => "Opus 24k",
            Self::MusicOpus => "Opus 24k music",
            Self::Room => "room 10 dB",
            Self::Speaker => "small speaker",
        }
    }

    /// The same for people, in words.
    pub fn told(self) -> &'static str {
        match self {
            Self::Wav => "a 16-bit file",
            Self::Noise => "white noise, 20 dB below the sound",
            Self::Late => "a receiver that starts 1 ms late",
            Self::Later => "a receiver that starts 5 ms late",
            Self::Mp3 => "MP3 at 128 kbit/s",
            Self::SmallMp3 => "MP3 at 64 kbit/s",
            Self::Opus => "Opus at 64 kbit/s",
            Self::SmallOpus => "Opus at 24 kbit/s",
            Self::MusicOpus => "Opus at 24 kbit/s, told that it is music",
            Self::Room => "a room, with echoes 10 dB below the sound",
            Self::Speaker => "a small loudspeaker, which plays little below 300 Hz",
        }
    }

    /// `samples` (48 kHz, full scale 1.0) after the channel; as many, and in
    /// place. `None` where the channel needs ffmpeg and it is not installed,
    /// or lacks the encoder.
    ///
    /// # Errors
    ///
    /// If a temporary file cannot be written.
    pub fn carry(self, samples: &[f32]) -> Result<Option<Vec<f32>>> {
        let mut carried: Vec<f32> = samples.to_vec();
        match self {
            Self::Wav => {
                for sample in &mut carried {
                    *sample = (*sample * 32768.0).round().clamp(-32768.0, 32767.0) / 32768.0;
                }
            }
            Self::Noise => {
                let power = samples.iter().map(|&s| f64::from(s).powi(2)).sum::<f64>();
                let deviation = (power / samples.len().max(1) as f64 / 100.0).sqrt();
                let mut random = Random::named(0, "noise");
                for sample in &mut carried {
                    *sample += (deviation * random.normal()) as f32;
                }
            }
            Self::Late => carried.rotate_left((SLOT / 100).min(samples.len())),
            Self::Later => carried.rotate_left((SLOT / 20).min(samples.len())),
            Self::Room => carried = room(samples),
            Self::Speaker => carried = small_speaker(samples),
            Self::Mp3 => return coded(samples, &["-c:a", "libmp3lame", "-b:a", "128k"], "mp3"),
            Self::SmallMp3 => return coded(samples, &["-c:a", "libmp3lame", "-b:a", "64k"], "mp3"),
            Self::Opus => return coded(samples, &["-c:a", "libopus", "-b:a", "64k"], "ogg"),
            Self::SmallOpus => return coded(samples, &["-c:a", "libopus", "-b:a", "24k"], "ogg"),
            Self::MusicOpus => {
                // ffmpeg cannot tell it what it is, but this leaves out what is for speech.
                let music = ["-c:a", "libopus", "-b:a", "24k", "-application", "lowdelay"];
                return coded(samples, &music, "ogg");
            }
        }
        Ok(Some(carried))
    }
}

/// Reverberation time of the room in seconds: 60 dB of decay. A furnished
/// living room has 0.3 to 0.5 s.
const REVERBERATION_S: f64 = 0.3;

/// `samples` as heard in a room with [`REVERBERATION_S`], where what comes
/// straight from the loudspeaker has ten times the energy of what the walls
/// send back: white noise that decays exponentially (Polack's model), from
/// 1 ms on.
fn room(samples: &[f32]) -> Vec<f32> {
    let length = (REVERBERATION_S * SAMPLE_RATE as f64) as usize;
    let mut random = Random::named(0, "room");
    let decay = |n: usize| (-(n as f64) * 1000.0_f64.ln() / length as f64).exp();
    let mut response: Vec<f64> = (0..length).map(|n| decay(n) * random.normal()).collect();
    response[..SAMPLE_RATE / 1000].fill(0.0);
    let energy: f64 = response.iter().map(|h| h * h).sum();
    let gain = (0.1 / energy).sqrt();
    response.iter_mut().for_each(|h| *h *= gain);
    response[0] = 1.0;
    convolve(samples, &response)
}

/// Where a small loudspeaker has lost half of the power, in hertz: those of
/// laptops and telephones do between 200 and 500 Hz.
const SPEAKER_HZ: f64 = 300.0;

/// `samples` without what a small loudspeaker cannot play: a Butterworth high
/// pass of the second order at [`SPEAKER_HZ`], 12 dB an octave, as a closed box
/// has it.
fn small_speaker(samples: &[f32]) -> Vec<f32> {
    let mut filter = Biquad::high_pass(SPEAKER_HZ);
    samples.iter().map(|&sample| filter.next(sample.into()) as f32).collect()
}

/// The first `samples.len()` samples of `samples` through `response`.
fn convolve(samples: &[f32], response: &[f64]) -> Vec<f32> {
    let size = (samples.len() + response.len()).next_power_of_two();
    let mut planner = realfft::RealFftPlanner::<f64>::new();
    let (forward, inverse) = (planner.plan_fft_forward(size), planner.plan_fft_inverse(size));
    let transform = |values: &mut dyn Iterator<Item = f64>| {
        let mut input = forward.make_input_vec();
        input.iter_mut().zip(values).for_each(|(to, from)| *to = from);
        let mut output = forward.make_output_vec();
        // It fails on wrong lengths only, and these are those it asked for.
        let _ = forward.process(&mut input, &mut output);
        output
    };
    let mut product = transform(&mut samples.iter().map(|&s| f64::from(s)));
    let response = transform(&mut response.iter().copied());
    product.iter_mut().zip(response).for_each(|(a, b)| *a *= b);
    let mut output = inverse.make_output_vec();
    let _ = inverse.process(&mut product, &mut output);
    output.iter().take(samples.len()).map(|&v| (v / size as f64) as f32).collect()
}

/// `samples` encoded and decoded by ffmpeg; `None` where it is not installed,
/// or lacks the encoder.
fn coded(samples: &[f32], encoder: &[&str], extension: &str) -> Result<Option<Vec<f32>>> {
    let folder = tempfile::tempdir().map_err(|e| Error::output("temporary folder", e))?;
    let [raw, file] =
        ["raw", extension].map(|extension| folder.path().join("sound").with_extension(extension));
    let bytes: Vec<u8> = samples.iter().flat_map(|s| s.to_le_bytes()).collect();
    std::fs::write(&raw, bytes).map_err(|e| Error::output(&raw, e))?;
    let status = program::command("ffmpeg")
        .args(["-nostdin", "-v", "quiet", "-f", "f32le", "-ac", "1", "-ar"])
        .arg(SAMPLE_RATE.to_string())
        .arg("-i")
        .arg(&raw)
        .args(encoder)
        .arg(&file)
        .status();
    match status {
        Ok(status) if status.success() => {}
        Ok(_) => return Ok(None),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Error::new(Fault::Device, "ffmpeg", error)),
    }
    let [mut decoded] = crate::sink::decode(&file)?;
    decoded.resize(samples.len(), 0.0);
    Ok(Some(decoded))
}

#[cfg(test)]
mod tests {
    use std::f64::consts::PI;

    use super::*;

    #[test]
    fn noise_is_twenty_decibels_below() {
        let sound: Vec<f32> = (0..48_000).map(|n| 0.3 * (n as f32 * 0.05).sin()).collect();
        let noisy = Channel::Noise.carry(&sound).unwrap().unwrap();
        let power = |s: &mut dyn Iterator<Item = f32>| s.map(|v| f64::from(v).powi(2)).sum::<f64>();
        let noise = power(&mut noisy.iter().zip(&sound).map(|(a, b)| a - b));
        let ratio = 10.0 * (power(&mut sound.iter().copied()) / noise).log10();
        assert!((ratio - 20.0).abs() < 0.2, "{ratio} dB");
    }

    #[test]
    fn a_late_receiver_hears_what_was_sent_earlier() {
        let sound: Vec<f32> = (0..4800).map(|n| n as f32).collect();
        let late = Channel::Late.carry(&sound).unwrap().unwrap();
        assert_eq!((late[0], late.len()), (48.0, 4800));
    }

    #[test]
    fn a_small_loudspeaker_loses_twelve_decibels_an_octave() {
        let gain_db = |hz: f64| {
            let turn = 2.0 * PI * hz / SAMPLE_RATE as f64;
            let sound: Vec<f32> = (0..48_000).map(|n| (turn * f64::from(n)).sin() as f32).collect();
            let played = Channel::Speaker.carry(&sound).unwrap().unwrap();
            let power = |s: &[f32]| s[24_000..].iter().map(|v| f64::from(*v).powi(2)).sum::<f64>();
            10.0 * (power(&played) / power(&sound)).log10()
        };
        for (hz, db) in [(75.0, -24.1), (150.0, -12.3), (300.0, -3.0), (1200.0, 0.0)] {
            assert!((gain_db(hz) - db).abs() < 0.1, "{hz} Hz: {} dB", gain_db(hz));
        }
    }
}
