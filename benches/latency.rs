//! Milliseconds from a picture to its code and back, one at a time: `make
//! bench`. A picture is on the model's grid and normalised; sound is
//! not part of it.

use std::time::Instant;

use ndarray::Array3;
use wysiwyh::Result;
use wysiwyh::model::Model;
use wysiwyh::random::Random;

const TIMES: usize = 500;

fn main() -> Result<()> {
    for name in ["sentinel2-l2a", "hituav-lwir"] {
        let model = Model::shipped(name)?;
        let (autoencoder, values) = (model.autoencoder(), model.values());
        let ([rows, columns], bands) = (model.grid(), model.bands().len());
        let mut random = Random::new(1);
        let shape = (bands, rows, columns);
        let picture = Array3::from_shape_simple_fn(shape, || random.uniform() as f32);
        let (mut encoded, mut both) = (Vec::new(), Vec::new());
        for _ in 0..TIMES {
            let start = Instant::now();
            let code = autoencoder.encode(&picture, values)?;
            encoded.push(start.elapsed().as_secs_f64() * 1e3);
            autoencoder.decode(&code, values)?;
            both.push(start.elapsed().as_secs_f64() * 1e3);
        }
        println!("{name}, {bands} bands of {rows} x {columns}, {values} values, {TIMES} times:");
        for (what, mut times) in [("encode", encoded), ("encode and decode", both)] {
            times.sort_by(f64::total_cmp);
            let (median, late) = (times[TIMES / 2], times[TIMES * 95 / 100]);
            println!("  {what}: median {median:.2} ms, 95 % within {late:.2} ms");
        }
    }
    Ok(())
}
