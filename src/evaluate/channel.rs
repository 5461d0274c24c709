//! What happens to sound on its way.

use std::process::Command;

use crate::error::{Error, Fault, Result};
use crate::random::Random;
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
    /// MP3 at 128 kbit/s.
    Mp3,
    /// Opus at 64 kbit/s.
    Opus,
}

impl Channel {
    /// Every channel, the file first.
    pub const ALL: [Self; 5] = [Self::Wav, Self::Noise, Self::Late, Self::Mp3, Self::Opus];

    /// Its name in tables of figures.
    pub fn name(self) -> &'static str {
        match self {
            Self::Wav => "16-bit file",
            Self::Noise => "noise 20 dB",
            Self::Late => "1 % late",
            Self::Mp3 => "MP3 128k",
            Self::Opus => "Opus 64k",
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
            Self::Late => {
                let late = (SLOT / 100).min(carried.len());
                carried.rotate_left(late);
            }
            Self::Mp3 => return coded(samples, &["-c:a", "libmp3lame", "-b:a", "128k"], "mp3"),
            Self::Opus => return coded(samples, &["-c:a", "libopus", "-b:a", "64k"], "ogg"),
        }
        Ok(Some(carried))
    }
}

/// `samples` encoded and decoded by ffmpeg; `None` where it is not installed,
/// or lacks the encoder.
fn coded(samples: &[f32], encoder: &[&str], extension: &str) -> Result<Option<Vec<f32>>> {
    let folder = tempfile::tempdir().map_err(|e| Error::output("temporary folder", e))?;
    let [raw, file] =
        ["raw", extension].map(|extension| folder.path().join("sound").with_extension(extension));
    let bytes: Vec<u8> = samples.iter().flat_map(|s| s.to_le_bytes()).collect();
    std::fs::write(&raw, bytes).map_err(|e| Error::output(&raw, e))?;
    let status = Command::new("ffmpeg")
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
    let mut decoded = crate::sink::decode(&file)?;
    decoded.resize(samples.len(), 0.0);
    Ok(Some(decoded))
}

#[cfg(test)]
mod tests {
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
}
