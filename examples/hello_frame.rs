//! A frame made by hand, to a sound file and back:
//! `cargo run --example hello_frame [FILE.wav]`.

use std::path::PathBuf;

use ndarray::Array3;
use wysiwyh::evaluate::figures::psnr_db;
use wysiwyh::model::Model;
use wysiwyh::sensor::Source;
use wysiwyh::sink::{self, Format, Header};
use wysiwyh::sonifier::Sonifier;
use wysiwyh::spectrum::{Mapping, Preset};
use wysiwyh::{Error, Frame, Result};

fn main() -> Result<()> {
    let path = PathBuf::from(std::env::args().nth(1).unwrap_or_else(|| "hello.wav".into()));

    // A room of 20 degrees with a warm body in it: [band, row, column].
    let model = Model::shipped("simulated-lwir")?;
    let room = Array3::from_shape_fn((1, 120, 160), |(_, row, column)| {
        if row > 20 && (60..90).contains(&column) { 33.0 } else { 20.0 }
    });
    let frame = Frame::new(room, model.bands().into(), 0.0);

    let mapping = Mapping::preset(Preset::Data, model.profile().frequencies_hz);
    let mut sonifier = Sonifier::new(model, mapping, 0)?;
    let sound = sonifier.sonify(&frame)?;
    let header = sonifier.header(&Source::like(&frame, "a room"), "hello");
    let header = Header { frames: Some(1), ..header };
    let mut file = sink::create_atomic(&path, Format::Wav, &header)?;
    file.write(&sound.samples)?;
    file.write(&sonifier.finish())?;
    file.finish()?;

    let heard = sonifier.hear(&sink::read(&path)?.samples, 0);
    let code = heard.ok_or_else(|| Error::input(&path, "holds no frame"))?;
    let back = sonifier.reconstruct(&code)?;
    let psnr = psnr_db(sound.sent.data.view(), back.view(), sonifier.range());
    println!("{}: the picture comes back at {psnr:.1} dB PSNR", path.display());
    Ok(())
}
