//! Sound in files of any kind, through the program `ffmpeg`.

use std::io::Read;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::error::{Error, Fault, Result};
use crate::synth::SAMPLE_RATE;

/// A sound may be this long: three hours, 2 GiB of memory.
const LONGEST_S: usize = 3 * 60 * 60;

/// The sound in the file at `path`, of any format and rate that `ffmpeg`
/// reads: the mean over its channels at 48 kHz, full scale 1.0.
///
/// # Errors
///
/// If `ffmpeg` is not installed, the file holds no sound that it can read, or
/// the sound is longer than three hours.
pub fn decode(path: &Path) -> Result<Vec<f32>> {
    let mut address = std::ffi::OsString::from("file:");
    address.push(path);
    let mut child = Command::new("ffmpeg")
        .args(["-hide_banner", "-nostdin", "-v", "error", "-protocol_whitelist", "file,pipe", "-i"])
        .arg(address)
        .args(["-map", "0:a:0", "-f", "f32le", "-ac", "1", "-ar", &SAMPLE_RATE.to_string()])
        .arg("pipe:1")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|e| match e.kind() {
            std::io::ErrorKind::NotFound => {
                Error::new(Fault::Unsupported, "ffmpeg", "not found, and this file needs it")
                    .hint("install it: apt install ffmpeg")
            }
            _ => Error::new(Fault::Device, "ffmpeg", e),
        })?;
    let limit = (LONGEST_S * SAMPLE_RATE * 4) as u64;
    let mut bytes = Vec::new();
    if let Some(sound) = child.stdout.take() {
        sound.take(limit + 4).read_to_end(&mut bytes).map_err(|e| Error::input(path, e))?;
    }
    if bytes.len() as u64 > limit {
        // It may have ended already, and then there is nothing to kill.
        let _ = child.kill();
    }
    let success = child.wait().is_ok_and(|status| status.success());
    if bytes.len() as u64 > limit {
        let what = format!("the sound is longer than {} hours", LONGEST_S / 3600);
        return Err(Error::new(Fault::Unsupported, path.display(), what).hint("cut it into parts"));
    }
    if !success && bytes.is_empty() {
        return Err(Error::input(path, "holds no sound that ffmpeg can read"));
    }
    let samples = bytes.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]));
    Ok(samples.map(|s| if s.is_finite() { s } else { 0.0 }).collect())
}
