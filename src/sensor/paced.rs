//! Sources that are heard faster or slower than they were recorded.

use std::ops::RangeInclusive;
use std::path::Path;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::camera::{self, Losses};
use super::{Sensor, Source, is_repeatable, raw};
use crate::error::{Error, Result};
use crate::frame::Frame;
use crate::recorder::is_session;
use crate::synth::SLOT_S;

/// The speeds that there are.
const SPEEDS: RangeInclusive<f64> = 0.1..=10.0;

/// What is left of a picture's time and is less than this part of a slot is a
/// matter of rounding.
const ROUNDING: f64 = 1e-6;

/// How many times as fast as by itself a source is heard, 0.1 to 10.
///
/// A source with a clock goes as much faster. Of one without, each picture is
/// heard for so much less than a slot, which cannot be: only 1 and below are
/// for those.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(into = "f64", try_from = "f64")]
pub struct Speed(f64);

impl Default for Speed {
    fn default() -> Self {
        Self(1.0)
    }
}

impl Speed {
    /// Whether a source is heard as fast as by itself.
    pub fn is_own(&self) -> bool {
        self.0 == 1.0
    }

    /// How many times as fast it is.
    pub fn factor(self) -> f64 {
        self.0
    }

    /// Refuses `source`, before it is opened, if what it shows comes when it
    /// likes, or has its times already.
    ///
    /// # Errors
    ///
    /// If it is a camera, a pipe or a session, and to be heard at another speed
    /// than its own.
    pub fn check(self, source: &str) -> Result<()> {
        let error = |what| Error::usage("--speed", what);
        if self.is_own() {
            Ok(())
        } else if camera::is_one(source) {
            Err(error(format!("{source} is a camera, which is heard as it sees")).hint(
                "leave it out; a film that its own software records can be heard at any speed",
            ))
        } else if !is_repeatable(source) {
            let name = if source == raw::STDIN { "standard input" } else { source };
            Err(error(format!("{name} is a pipe, which is heard as it is written"))
                .hint("say how fast its pictures are to be heard: --raw FORMAT SIZE@RATE"))
        } else if is_session(Path::new(source)) {
            Err(error(format!("{source} is a session, whose sound frames keep their times"))
                .hint("leave it out, or give what the session was recorded of"))
        } else {
            Ok(())
        }
    }
}

impl From<Speed> for f64 {
    fn from(speed: Speed) -> Self {
        speed.0
    }
}

impl TryFrom<f64> for Speed {
    type Error = String;

    fn try_from(factor: f64) -> std::result::Result<Self, String> {
        match SPEEDS.contains(&factor) {
            true => Ok(Self(factor)),
            false => {
                let (slowest, fastest) = (SPEEDS.start(), SPEEDS.end());
                Err(format!("a speed is a number from {slowest} to {fastest}"))
            }
        }
    }
}

impl FromStr for Speed {
    type Err = String;

    /// Reads a number such as `0.1` or `4`.
    fn from_str(text: &str) -> std::result::Result<Self, String> {
        text.trim().parse().unwrap_or(f64::NAN).try_into()
    }
}

/// A source at another speed: times and period are those at which it is heard.
#[derive(Debug)]
pub(super) struct Paced {
    sensor: Box<dyn Sensor>,
    source: Source,
}

impl Paced {
    /// `sensor`, opened from the source called `name`, at `speed`.
    ///
    /// # Errors
    ///
    /// If it is a scene in tiles, or has no clock and `speed` is above 1.
    pub fn new(name: &str, sensor: Box<dyn Sensor>, speed: Speed) -> Result<Self> {
        let mut source = sensor.source().clone();
        let refused = |what, hint| Err(Error::usage("--speed", what).hint(hint));
        let factor = speed.factor();
        if source.scene.is_some() {
            return refused(
                format!("{name} is heard in tiles, each for a tenth of a second"),
                "`convert` hears more or fewer of them: --gsd METRES or --duration SECONDS",
            );
        }
        if source.period_s.is_none() && factor > 1.0 {
            return refused(
                format!(
                    "{factor} is asked for, and 1 is the most: {name} has no clock, and each of \
                     its pictures is heard for a tenth of a second at least"
                ),
                "with 0.1 each is heard for a second",
            );
        }
        source.description += &match source.period_s {
            Some(_) => format!(", {factor} times as fast"),
            None => format!(", each picture for {} s", (100.0 * SLOT_S / factor).round() / 100.0),
        };
        source.period_s = source.period_s.map(|period_s| period_s / factor);
        source.speed = speed;
        Ok(Self { sensor, source })
    }
}

impl Iterator for Paced {
    type Item = Result<Frame>;

    fn next(&mut self) -> Option<Self::Item> {
        Some(self.sensor.next()?.map(|mut frame| {
            frame.time_s /= self.source.speed.factor();
            frame
        }))
    }
}

impl Sensor for Paced {
    fn source(&self) -> &Source {
        &self.source
    }

    fn losses(&self) -> Option<Losses> {
        self.sensor.losses()
    }
}

/// The longest time between two pictures of a source, in seconds: beyond that
/// its clock is damaged, and nobody would listen to the gap.
const LONGEST_GAP_S: f64 = 3600.0;

/// Whether a picture at `now_s` can follow one at `before_s`, both in seconds as
/// they are heard at `speed`.
///
/// # Errors
///
/// If it was taken before it, or more than an hour after it.
pub(crate) fn check_clock(before_s: f64, now_s: f64, speed: Speed) -> Result<()> {
    let [before_s, now_s] = [before_s, now_s].map(|heard_s| heard_s * speed.factor());
    let apart_s = now_s - before_s;
    if (0.0..=LONGEST_GAP_S).contains(&apart_s) {
        return Ok(());
    }
    let what = format!("a picture at {now_s:.1} s follows one at {before_s:.1} s");
    Err(Error::input("source", what).hint("its clock is damaged; cut the file, or mend it"))
}

/// For how long pictures without a clock are heard: the first one from the
/// first slot on, and each further one as soon as those before had their time.
#[derive(Debug)]
pub(crate) struct Hold {
    /// Slots of each picture, at least one.
    each: f64,
    /// Slots that are left to the pictures so far; what the last one has too
    /// much, the next one has less.
    left: f64,
}

impl Hold {
    /// Of the pictures of `source`.
    pub fn new(source: &Source) -> Self {
        Self { each: source.slots_of_one(), left: 0.0 }
    }

    /// Whether the next slot is that of another picture.
    pub fn is_over(&self) -> bool {
        self.left < ROUNDING
    }

    /// A slot went by, of another picture where it was `fresh`.
    pub fn pass(&mut self, fresh: bool) {
        self.left += if fresh { self.each } else { 0.0 } - 1.0;
    }
}

#[cfg(test)]
mod tests {
    use ndarray::Array3;

    use super::*;
    use crate::error::Fault;
    use crate::recorder::MAGIC;
    use crate::sensor::{Route, Scene, Simulated};

    fn speed(factor: f64) -> Speed {
        Speed::try_from(factor).unwrap()
    }

    fn still() -> Source {
        Source::like(&Frame::new(Array3::zeros((0, 2, 2)), [].into(), 0.0), "a folder")
    }

    /// A source of which nothing is read.
    #[derive(Debug)]
    struct Of(Source);

    impl Iterator for Of {
        type Item = Result<Frame>;

        fn next(&mut self) -> Option<Self::Item> {
            None
        }
    }

    impl Sensor for Of {
        fn source(&self) -> &Source {
            &self.0
        }
    }

    #[test]
    fn a_recording_goes_faster_and_shows_the_same() {
        let camera = || Box::new(Simulated::new(1, None).unwrap());
        let own: Vec<Frame> = camera().take(5).map(Result::unwrap).collect();
        for factor in [0.1, 0.5, 3.0, 10.0] {
            let mut paced = Paced::new("simulated", camera(), speed(factor)).unwrap();
            let period_s = camera().source().period_s.unwrap() / factor;
            assert_eq!(paced.source().period_s, Some(period_s));
            assert!(paced.source().description.ends_with(&format!("{factor} times as fast")));
            for own in &own {
                let frame = paced.next().unwrap().unwrap();
                assert_eq!((frame.time_s, &frame.data), (own.time_s / factor, &own.data));
            }
        }
    }

    #[test]
    fn pictures_without_a_clock_are_held_and_none_is_passed_over() {
        for (factor, pictures, expected) in
            [(0.1, 3, 30), (0.5, 4, 8), (0.3, 3, 10), (0.7, 7, 10), (0.9, 9, 10), (0.6, 1, 2)]
        {
            let source = Source { frames: Some(pictures), ..still() };
            let paced = Paced::new("folder", Box::new(Of(source)), speed(factor)).unwrap();
            assert_eq!(paced.source().slots(), Some(expected), "{factor}");
            let mut hold = Hold::new(paced.source());
            let (mut slots, mut shown) = (0, 0);
            while !hold.is_over() || shown < pictures {
                let fresh = hold.is_over();
                shown += usize::from(fresh);
                hold.pass(fresh);
                slots += 1;
            }
            assert_eq!((shown, slots), (pictures, expected), "{factor}");
        }
    }

    #[test]
    fn what_has_no_speed_is_refused_by_name() {
        let scene = Scene::new([4, 4], 2, Route::Winding);
        let tiles = Source { scene: Some(scene), ..still() };
        for (source, factor, expected) in
            [(still(), 2.0, "2 is asked for, and 1"), (tiles, 0.5, "tiles")]
        {
            let error = Paced::new("a.tif", Box::new(Of(source)), speed(factor)).unwrap_err();
            assert_eq!(error.fault, Fault::Usage);
            assert!(error.to_string().contains(expected) && error.advice().is_some(), "{error}");
            assert!(error.to_string().contains("a.tif"), "{error}");
        }
        let folder = tempfile::tempdir().unwrap();
        let session = folder.path().join("session.rrd").to_string_lossy().into_owned();
        std::fs::write(&session, MAGIC).unwrap();
        for source in ["-", "0", "lepton3", "gige:10.0.0.1", &session] {
            let error = speed(0.5).check(source).unwrap_err().to_string();
            assert!(error.contains(if source == "-" { "standard input" } else { source }));
            Speed::default().check(source).unwrap();
        }
        speed(0.5).check("simulated:1").unwrap();
    }

    #[test]
    fn speeds_are_numbers_within_bounds() {
        assert_eq!("0.1".parse(), Ok(speed(0.1)));
        assert_eq!(serde_json::from_str::<Speed>("4").unwrap(), speed(4.0));
        for wrong in ["", "0", "0.05", "10.1", "-1", "nan", "fast"] {
            assert!(wrong.parse::<Speed>().unwrap_err().contains("from 0.1 to 10"), "{wrong:?}");
        }
        assert!(serde_json::from_str::<Speed>("0.01").is_err());
    }

    #[test]
    fn clocks_go_forward_and_do_not_jump() {
        for (before_s, now_s, factor, fine) in [
            (0.0, 0.0, 1.0, true),
            (1.0, 1.1, 1.0, true),
            (2.0, 1.0, 1.0, false),
            (0.0, 4e9, 1.0, false),
            (0.0, f64::NAN, 1.0, false),
            // An hour and a half that are heard in nine minutes; half an hour that
            // takes five.
            (0.0, 540.0, 10.0, false),
            (10.0, 18_010.0, 0.1, true),
        ] {
            let checked = check_clock(before_s, now_s, speed(factor));
            assert_eq!(checked.is_ok(), fine, "{before_s} {now_s} {factor}");
        }
    }
}
