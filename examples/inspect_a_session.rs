//! When a session sounded least like its pictures:
//! `cargo run --example inspect_a_session SESSION.rrd [TABLE.csv]`.

use std::path::Path;

use wysiwyh::recorder::Replay;
use wysiwyh::{Error, Result};

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let session = arguments.next().ok_or_else(|| Error::usage("arguments", "SESSION.rrd"))?;
    let replay = Replay::read(Path::new(&session))?;

    for (name, value) in &replay.about {
        println!("{name}: {value}");
    }
    let mut moments: Vec<(f64, f64)> = replay
        .moments
        .values()
        .filter_map(|moment| Some((*moment.scores.get("psnr_db")?, moment.time_s)))
        .collect();
    moments.sort_by(|a, b| a.0.total_cmp(&b.0));
    for (psnr_db, time_s) in moments.iter().take(5) {
        println!("at {time_s:.1} s: {psnr_db:.2} dB");
    }

    // A row for each tenth of a second, for other programs.
    match arguments.next() {
        Some(table) => replay.save(Path::new(&table)),
        None => Ok(()),
    }
}
