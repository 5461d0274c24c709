//! A scene in tiles, along the whole signal path:
//! `cargo run --example raster_to_sound SCENE.tif SENSOR SOUND.wav`.
//!
//! `wysiwyh convert` does the same, and maps the sound besides.

use std::path::Path;

use wysiwyh::model::Model;
use wysiwyh::sensor::{self, Options};
use wysiwyh::sink::{self, Format};
use wysiwyh::sonifier::Sonifier;
use wysiwyh::spectrum::{Mapping, Preset};
use wysiwyh::{Error, Result};

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [scene, name, sound] = &arguments[..] else {
        return Err(Error::usage("arguments", "SCENE.tif SENSOR SOUND.wav"));
    };

    let model = Model::shipped(name)?;
    let mapping = Mapping::preset(Preset::Data, model.profile().frequencies_hz);
    let options = Options { chip: Some(model.grid()[0]), ..Options::default() };
    let sensor = sensor::open(scene, Some(model.profile()), &options)?;
    let mut sonifier = Sonifier::new(model, mapping, 0)?;
    let mut header = sonifier.header(sensor.source(), scene);
    let mut file = sink::create_atomic(Path::new(sound), Format::Wav, &header)?;

    for frame in sensor {
        let frame = frame?;
        file.write(&sonifier.sonify(&frame)?.samples)?;
        header.positions.push([frame.position.0 as u32, frame.position.1 as u32]);
    }
    file.write(&sonifier.finish())?;
    header.frames = Some(header.positions.len());
    file.replace_header(&header)?;
    file.finish()
}
