//! Sound in files of any kind, through the program `ffmpeg`.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::Stdio;

use crate::error::{Error, Fault, Result};
use crate::program;
use crate::synth::SAMPLE_RATE;

/// A sound may be this long, however few bytes hold it: three hours, 2 GiB of
/// memory for each channel.
pub(super) const LONGEST_S: usize = 3 * 60 * 60;

/// The sound in the file at `path`, of any format and rate that `ffmpeg`
/// reads: its channels mixed to `N` of them, at 48 kHz, full scale 1.0.
///
/// # Errors
///
/// If `ffmpeg` is not installed, the file holds no sound that it can read, or
/// the sound is longer than three hours.
pub fn decode<const N: usize>(path: &Path) -> Result<[Vec<f32>; N]> {
    let mut address = std::ffi::OsString::from("file:");
    address.push(path);
    let mut child = program::command("ffmpeg")
        .args(["-hide_banner", "-nostdin", "-v", "error", "-protocol_whitelist", "file,pipe", "-i"])
        .arg(address)
        .args(["-map", "0:a:0", "-f", "f32le", "-ac", &N.to_string()])
        .args(["-ar", &SAMPLE_RATE.to_string()])
        .arg("pipe:1")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|e| program::missing("ffmpeg", "this file needs it", &e).within(path.display()))?;
    let mut channels = std::array::from_fn(|_| Vec::new());
    let read = child.stdout.take().map(|sound| deal(sound, &mut channels));
    let length = channels.iter().map(Vec::len).min().unwrap_or_default();
    let too_long = length > LONGEST_S * SAMPLE_RATE;
    if too_long {
        // It may have ended already, and then there is nothing to kill.
        let _ = child.kill();
    }
    let success = child.wait().is_ok_and(|status| status.success());
    read.transpose().map_err(|e| Error::input(path, e))?;
    if too_long {
        let what = format!("the sound is longer than {} hours", LONGEST_S / 3600);
        return Err(Error::new(Fault::Unsupported, path.display(), what).hint("cut it into parts"));
    }
    if !success && length == 0 {
        return Err(Error::input(path, "holds no sound that ffmpeg can read"));
    }
    Ok(channels)
}

/// Deals the samples of `sound` to `channels`, one more than may be at most;
/// what is no number becomes silence.
fn deal<const N: usize>(sound: impl Read, channels: &mut [Vec<f32>; N]) -> std::io::Result<()> {
    let most = ((LONGEST_S * SAMPLE_RATE + 1) * N * 4) as u64;
    let mut sound = BufReader::with_capacity(1 << 16, sound.take(most));
    let mut frame = vec![0; 4 * N];
    while !sound.fill_buf()?.is_empty() {
        match sound.read_exact(&mut frame) {
            // The end cuts a sample.
            Err(e) if e.kind() == std::io::ErrorKind::UnexpectedEof => break,
            done => done?,
        }
        for (channel, bytes) in channels.iter_mut().zip(frame.as_chunks().0) {
            let sample = f32::from_le_bytes(*bytes);
            channel.push(if sample.is_finite() { sample } else { 0.0 });
        }
    }
    Ok(())
}
