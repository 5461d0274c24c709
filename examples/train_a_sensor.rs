//! A model of a sensor's own, in closed form, and what of unseen pictures its
//! sound still holds: `cargo run --example train_a_sensor SENSOR MODEL DATA..`.

use std::ops::ControlFlow;
use std::path::Path;

use wysiwyh::dataset::{Dataset, Part};
use wysiwyh::sensor::Options;
use wysiwyh::train::{self, Settings};
use wysiwyh::{Error, Profile, Result};

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [sensor, path, data @ ..] = &arguments[..] else {
        return Err(Error::usage("arguments", "SENSOR MODEL.safetensors DATA.."));
    };

    // Three fifths of the flights, places or clips to train, the rest to
    // choose and to report.
    let profile = Profile::find(sensor)?;
    let dataset = Dataset::read(data, &profile, 1, &Options::default())?;
    for part in [Part::Train, Part::Choose, Part::Report] {
        println!("{part:?}: {}", dataset.groups(part).join(", "));
    }

    let settings = Settings { seed: 1, ..Settings::default() };
    let model = train::analytic(&dataset, &profile, &settings, &mut |_| ControlFlow::Continue(()))?;
    model.save(Path::new(path))?;
    println!("{}", model.record().scores);
    for (name, compared) in &model.record().peers {
        println!("against {name}: {compared}");
    }
    Ok(())
}
