//! A radiometric FLIR picture, as temperatures and as a second of sound:
//! `cargo run --example sonify_a_flir FLIR0001.jpg SOUND.wav`.

use std::path::Path;

use wysiwyh::sensor::Options;
use wysiwyh::sink::{self, Format, Header};
use wysiwyh::spectrum::Preset;
use wysiwyh::voice::{Listener, Ready, Span, Voice};
use wysiwyh::{Error, Result};

/// Slots of a tenth of a second.
const SLOTS: usize = 10;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [picture, sound] = &arguments[..] else {
        return Err(Error::usage("arguments", "FLIR0001.jpg SOUND.wav"));
    };

    // The file says which camera it is from; whichever model fits speaks, and
    // the whole range of loudness is spent on the temperatures in view.
    let voice = Voice {
        model: None,
        sensor: None,
        preset: Preset::Listen,
        values: None,
        span: Some(Span::Auto),
        polarity: None,
        listener: Listener::default(),
        seed: 0,
        reading: Options::default(),
    };
    let Ready { mut sensor, mut sonifier } = voice.ready(picture, Some(1))?;
    let header = sonifier.header(sensor.source(), picture);
    let frame = sensor.next().ok_or_else(|| Error::input(picture, "holds no picture"))??;

    let (mut coldest, mut hottest) = (f32::INFINITY, f32::NEG_INFINITY);
    for &value in frame.data.iter().filter(|value| value.is_finite()) {
        (coldest, hottest) = (coldest.min(value), hottest.max(value));
    }
    let unit = frame.bands[0].unit;
    println!("{} x {} pixels, {coldest:.1} to {hottest:.1} {unit}", frame.columns(), frame.rows());

    let header = Header { frames: Some(SLOTS), ..header };
    let mut file = sink::create_atomic(Path::new(sound), Format::Wav, &header)?;
    for _ in 0..SLOTS {
        file.write(&sonifier.sonify(&frame)?.samples)?;
    }
    file.write(&sonifier.finish())?;
    file.finish()
}
