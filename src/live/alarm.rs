//! An alarm on a temperature: in a sentence, and as tones over the sound.
//!
//! The tones are added on the way to the speaker alone, before the guard,
//! which protects the ear from them as from everything else. A file of the
//! sound has none.

use std::borrow::Cow;
use std::f64::consts::{PI, TAU};
use std::str::FromStr;

use super::glance::{Glance, quantity};
use crate::degree::Degree;
use crate::error::{Error, Result};
use crate::frame::{Band, CELSIUS_ZERO_K, Unit};
use crate::sensor::Source;
use crate::stereo::shares;
use crate::synth::{SAMPLE_RATE, SLOT_S};

/// The alarm ends when the picture was back by this, in kelvins, ...
const BACK_K: f32 = 1.0;

/// ... for so many slots with a new picture: a second.
const CALM_SLOTS: u64 = 10;

/// Without a new picture for so many slots the alarm is blind: two seconds, and
/// three pictures of a slow source.
const BLIND_SLOTS: u64 = 20;
const BLIND_PICTURES: f64 = 3.0;

/// Frequencies in hertz of the pulses of an alarm, one slot each, over and
/// over: a rising major triad, and a rest.
const ALARM_HZ: [f64; 5] = [880.0, 1100.0, 1320.0, 0.0, 0.0];

/// Of one that is blind: two low pulses every two seconds.
const BLIND_HZ: [f64; 20] =
    [330.0, 247.5, 0., 0., 0., 0., 0., 0., 0., 0., 0., 0., 0., 0., 0., 0., 0., 0., 0., 0.];

/// Samples of a pulse, 80 ms, and of either end over which it swells and fades.
const PULSE: usize = 3840;
const EDGE: usize = 480;

/// Amplitude of a pulse: -17 LUFS, 6 dB above the uniform code.
const AMPLITUDE: f64 = 0.2;

/// A temperature that is not to be passed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limit {
    /// Whether it is passed upwards.
    pub above: bool,
    /// The temperature in degrees Celsius.
    pub celsius: f64,
}

impl FromStr for Limit {
    type Err = String;

    /// Reads `>60C`, `<0C`, `>140F` or `<273K`. The error is a sentence.
    fn from_str(text: &str) -> std::result::Result<Self, String> {
        let wrong = || format!("{text:?} is not like \">60C\", \"<0C\", \">140F\" or \"<273K\"");
        let rest = text.trim();
        let (above, rest) = match (rest.strip_prefix('>'), rest.strip_prefix('<')) {
            (Some(rest), _) => (true, rest),
            (None, Some(rest)) => (false, rest),
            (None, None) => return Err(wrong()),
        };
        let Ok((value, Some(degree))) = Degree::read(rest) else { return Err(wrong()) };
        let celsius = degree.celsius(value);
        match (-CELSIUS_ZERO_K..=5000.0).contains(&celsius) {
            true => Ok(Self { above, celsius }),
            false => Err(format!("{text:?} is no temperature from 0 K to 5000 degC")),
        }
    }
}

/// Watches for a [`Limit`].
#[derive(Debug)]
pub(super) struct Alarm {
    above: bool,
    /// The limit in the unit of the pictures.
    limit: f32,
    unit: Unit,
    /// Slots without a new picture after which it is blind.
    patience: u64,
    /// Slots since the last new picture.
    unseen: u64,
    /// While it sounds: for how many slots, and for how many of them pictures
    /// have shown that it is over.
    sounding: Option<u64>,
    calm: u64,
    /// For so many slots at most a picture speaks: one, or the source's period.
    lasting: u64,
    /// Frequency in hertz of the pulse in this slot; 0 without one.
    pulse_hz: f64,
}

impl Alarm {
    /// An alarm at `limit` for pictures of `source`.
    ///
    /// # Errors
    ///
    /// If the source measures no temperatures.
    pub fn new(limit: Limit, source: &Source) -> Result<Self> {
        let Limit { above, celsius } = limit;
        let Some(unit) = source.bands.iter().map(|band| band.unit).find(|u| u.is_temperature())
        else {
            let unit = source.bands.first().map_or(Unit::Counts, |band: &Band| band.unit);
            let what = format!("{celsius} degC is asked for, and the pictures are in {unit}");
            return Err(Error::usage("--alarm", what)
                .hint("only radiometric cameras and files measure temperatures; leave it out"));
        };
        let zero = if unit == Unit::Kelvin { CELSIUS_ZERO_K } else { 0.0 };
        let period = source.slots_of_one();
        Ok(Self {
            above,
            limit: (celsius + zero) as f32,
            unit,
            patience: BLIND_SLOTS.max((BLIND_PICTURES * period) as u64),
            unseen: 0,
            sounding: None,
            calm: 0,
            lasting: (period.ceil() as u64).max(1),
            pulse_hz: 0.0,
        })
    }

    /// One sentence on what it watches for.
    pub fn introduction(&self) -> String {
        format!(
            "An alarm is set {}, for the mean of any 3 x 3 pixels. It is no safety alarm.",
            self.bound()
        )
    }

    /// `above 60.0 degC`.
    fn bound(&self) -> String {
        let way = if self.above { "above" } else { "below" };
        format!("{way} {}", quantity(self.limit, self.unit))
    }

    /// Looks at the new picture of a slot, if there is one; a sentence where
    /// something begins or ends.
    pub fn see(&mut self, seen: Option<&Glance>) -> Option<String> {
        let mut said = Vec::new();
        if let Some(slots) = &mut self.sounding {
            *slots += 1;
        }
        if let Some(extreme) = seen.and_then(|glance| self.extreme(glance)) {
            if self.is_blind() {
                said.push("The alarm sees again.".to_owned());
            }
            let spoke = (self.unseen + 1).min(self.lasting);
            self.unseen = 0;
            said.extend(self.judge(extreme, spoke));
        } else {
            self.unseen += 1;
            if self.unseen == self.patience {
                // Nobody saw what was between the pictures before and after.
                self.calm = 0;
                let blind_s = self.unseen as f64 * SLOT_S;
                said.push(format!(
                    "No picture for {blind_s:.1} s: the alarm is blind, and nothing {} would be \
                     noticed.",
                    self.bound()
                ));
            }
        }
        let at = |pulses: &[f64], slots: u64| pulses[slots as usize % pulses.len()];
        self.pulse_hz = match self.sounding {
            Some(slots) => at(&ALARM_HZ, slots),
            None if self.is_blind() => at(&BLIND_HZ, self.unseen - self.patience),
            None => 0.0,
        };
        (!said.is_empty()).then(|| said.join(" "))
    }

    /// Looks at a picture that is heard within a slot; a sentence if the alarm
    /// begins with it, which sounds from the next slot on. None of these ends it.
    pub fn notice(&mut self, seen: &Glance) -> Option<String> {
        let extreme = self.extreme(seen)?;
        match self.beyond(extreme.0) > -BACK_K {
            true => self.judge(extreme, 0),
            false => None,
        }
    }

    /// The place that is nearest to the limit, or furthest beyond it.
    fn extreme(&self, seen: &Glance) -> Option<(f32, &'static str)> {
        let [highest, lowest] = seen.extremes.filter(|_| seen.unit == self.unit)?;
        Some(if self.above { highest } else { lowest })
    }

    /// By how much `value` is beyond the limit.
    fn beyond(&self, value: f32) -> f32 {
        if self.above { value - self.limit } else { self.limit - value }
    }

    /// Begins or ends the alarm by the hottest or coldest place of a new picture;
    /// the one before was heard for `spoke` slots.
    fn judge(&mut self, (value, place): (f32, &'static str), spoke: u64) -> Option<String> {
        let beyond = self.beyond(value);
        let told = format!("{}, {place}", quantity(value, self.unit));
        let Some(slots) = self.sounding else {
            return (beyond > 0.0).then(|| {
                (self.sounding, self.calm) = (Some(0), 0);
                format!("Alarm: {told}, {}.", self.bound())
            });
        };
        self.calm = match (beyond <= -BACK_K, self.calm) {
            (false, _) => 0,
            (true, 0) => 1,
            (true, calm) => calm + spoke,
        };
        (self.calm >= CALM_SLOTS).then(|| {
            self.sounding = None;
            format!("The alarm is over after {:.1} s: {told}.", slots as f64 * SLOT_S)
        })
    }

    /// Whether it has long seen nothing.
    pub fn is_blind(&self) -> bool {
        self.unseen >= self.patience
    }

    /// `samples`, left and right on their way to the speaker from `start` samples
    /// after the beginning of a slot on, with the pulse that is due in that, if one
    /// is, in the middle.
    pub fn over<'a>(&self, samples: &'a [[f32; 2]], start: usize) -> Cow<'a, [[f32; 2]]> {
        if self.pulse_hz == 0.0 {
            return Cow::Borrowed(samples);
        }
        let (mut samples, middle) = (samples.to_vec(), shares(0.0));
        for (at, sample) in (start..PULSE).zip(&mut samples) {
            let edge = at.min(PULSE - at).min(EDGE) as f64 / EDGE as f64;
            let swell = 0.5 - 0.5 * (PI * edge).cos();
            let tone = (TAU * self.pulse_hz * at as f64 / SAMPLE_RATE as f64).sin();
            let pulse = (AMPLITUDE * swell * tone) as f32;
            *sample = [0, 1].map(|side| sample[side] + pulse * middle[side]);
        }
        Cow::Owned(samples)
    }
}

#[cfg(test)]
mod tests {
    use ndarray::Array3;

    use super::*;
    use crate::frame::Frame;
    use crate::synth::SLOT;

    fn source(unit: Unit) -> Source {
        let frame = Frame::new(Array3::zeros((1, 9, 9)), [Band::new("LWIR", unit)].into(), 0.0);
        Source { period_s: Some(1.0 / 9.0), ..Source::like(&frame, "a camera") }
    }

    fn seen(unit: Unit, highest: f32, lowest: f32) -> Glance {
        let extremes = Some([(highest, "upper left"), (lowest, "lower right")]);
        Glance { unit, extremes, centre: None }
    }

    #[test]
    fn limits_are_read_in_three_units() {
        let celsius = |text: &str| text.parse::<Limit>().unwrap();
        assert_eq!(celsius(">60C"), Limit { above: true, celsius: 60.0 });
        assert_eq!(celsius("< -0.5 degC"), Limit { above: false, celsius: -0.5 });
        assert!((celsius(">140F").celsius - 60.0).abs() < 1e-9);
        assert!((celsius("> 140 °F").celsius - 60.0).abs() < 1e-9);
        assert!((celsius("<273.15K").celsius).abs() < 1e-9);
        for wrong in ["", ">", "60C", ">60", ">C", ">hotC", "<-1K", ">1e9C", ">nanC", ">60CC"] {
            assert!(wrong.parse::<Limit>().is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn an_alarm_begins_at_once_and_ends_after_a_second_a_kelvin_below() {
        let limit = Limit { above: true, celsius: 60.0 };
        let mut alarm = Alarm::new(limit, &source(Unit::Kelvin)).unwrap();
        let mut see = |kelvin: f32| alarm.see(Some(&seen(Unit::Kelvin, kelvin, 280.0)));
        assert_eq!(see(333.0), None);
        assert_eq!(see(334.2).unwrap(), "Alarm: 334.2 K, upper left, above 333.1 K.");
        // Back within the kelvin, and below it for less than a second.
        for kelvin in [[332.5; 30], [331.0; 30]].concat()[..39].iter().chain(&[333.0]) {
            assert_eq!(see(*kelvin), None);
        }
        for _ in 0..9 {
            assert_eq!(see(331.0), None);
        }
        let over = see(331.0).unwrap();
        assert_eq!(over, "The alarm is over after 5.0 s: 331.0 K, upper left.");
        assert_eq!(see(331.0), None);
    }

    #[test]
    fn pictures_that_are_repeated_end_no_alarm() {
        let limit = Limit { above: true, celsius: 60.0 };
        let picture = |celsius: f32| seen(Unit::Celsius, celsius, 10.0);
        let mut alarm = Alarm::new(limit, &source(Unit::Celsius)).unwrap();
        assert!(alarm.see(Some(&picture(70.0))).is_some());
        assert_eq!(alarm.see(Some(&picture(20.0))), None);
        // It is calm in that picture alone, however long it is heard: a second,
        // and until the alarm is blind.
        for slot in 0..19 {
            assert_eq!(alarm.see(None), None, "slot {slot}");
        }
        assert!(alarm.see(None).unwrap().contains("the alarm is blind"));
        // What was calm before that does not count; each new picture counts once,
        // or as long as pictures of 9 Hz are heard.
        let said: Vec<String> = (0..10).filter_map(|_| alarm.see(Some(&picture(20.0)))).collect();
        assert_eq!(
            said,
            ["The alarm sees again.", "The alarm is over after 3.1 s: 20.0 degC, upper left."]
        );
        // A camera of one picture a second needs two.
        let slow = Source { period_s: Some(1.0), ..source(Unit::Celsius) };
        let mut alarm = Alarm::new(limit, &slow).unwrap();
        assert!(alarm.see(Some(&picture(70.0))).is_some());
        for celsius in [20.0, 20.0] {
            assert!(alarm.sounding.is_some());
            assert!((0..9).all(|_| alarm.see(None).is_none()));
            alarm.see(Some(&picture(celsius)));
        }
        assert_eq!(alarm.sounding, None);
    }

    #[test]
    fn cold_alarms_look_at_the_coldest_place() {
        let limit = Limit { above: false, celsius: 0.0 };
        let mut alarm = Alarm::new(limit, &source(Unit::Celsius)).unwrap();
        assert_eq!(alarm.see(Some(&seen(Unit::Celsius, 90.0, 0.5))), None);
        let said = alarm.see(Some(&seen(Unit::Celsius, 90.0, -0.5))).unwrap();
        assert_eq!(said, "Alarm: -0.5 degC, lower right, below 0.0 degC.");
    }

    #[test]
    fn a_stalled_camera_is_announced_and_heard() {
        let limit = Limit { above: true, celsius: 60.0 };
        let mut alarm = Alarm::new(limit, &source(Unit::Celsius)).unwrap();
        assert_eq!(alarm.see(Some(&seen(Unit::Celsius, 20.0, 10.0))), None);
        let silence = [[0.0; 2]; SLOT];
        for _ in 0..19 {
            assert_eq!(alarm.see(None), None);
            assert!(alarm.over(&silence, 0).iter().all(|&sample| sample == [0.0; 2]));
        }
        let said = alarm.see(None).unwrap();
        assert!(said.contains("for 2.0 s") && said.contains("above 60.0 degC"), "{said}");
        // Both ears together.
        let peak = |alarm: &Alarm| {
            alarm
                .over(&silence, 0)
                .iter()
                .fold(0f32, |most, [left, right]| most.max(left.hypot(*right)))
        };
        assert!((peak(&alarm) - 0.2).abs() < 1e-3);
        // A slot in parts has the pulse of a whole one.
        let part = |at: usize| alarm.over(&silence[..SLOT / 3], at).into_owned();
        let parts = [0, SLOT / 3, 2 * SLOT / 3].map(part).concat();
        assert!(parts == *alarm.over(&silence, 0));
        // A picture without a reading shows nothing, and says nothing anew.
        let nothing = Glance { unit: Unit::Celsius, extremes: None, centre: None };
        assert_eq!(alarm.see(Some(&nothing)), None);
        let said = alarm.see(Some(&seen(Unit::Celsius, 70.0, 10.0))).unwrap();
        assert_eq!(said, "The alarm sees again. Alarm: 70.0 degC, upper left, above 60.0 degC.");
        assert!(peak(&alarm) > 0.19);
        // An alarm that has begun goes on while it is blind.
        let heard = (0..50).filter(|_| {
            alarm.see(None);
            peak(&alarm) > 0.19
        });
        assert_eq!(heard.count(), 30);
    }

    #[test]
    fn a_picture_within_a_slot_begins_an_alarm_and_ends_none() {
        let limit = Limit { above: true, celsius: 60.0 };
        let picture = |celsius: f32| seen(Unit::Celsius, celsius, 10.0);
        let mut alarm = Alarm::new(limit, &source(Unit::Celsius)).unwrap();
        assert_eq!(alarm.see(Some(&picture(20.0))), None);
        assert_eq!(alarm.notice(&picture(59.5)), None);
        let said = alarm.notice(&picture(61.0)).unwrap();
        assert_eq!(said, "Alarm: 61.0 degC, upper left, above 60.0 degC.");
        // No pulse begins in the middle of a slot.
        let silence = [[0.0; 2]; SLOT / 3];
        assert!(*alarm.over(&silence, SLOT / 3) == silence);
        assert_eq!(alarm.notice(&picture(61.0)), None);
        for _ in 0..9 {
            assert_eq!(alarm.see(Some(&picture(20.0))), None);
            assert_eq!(alarm.notice(&picture(20.0)), None);
            assert!(alarm.sounding.is_some());
        }
        // Hot again between two slots in which it was not.
        assert_eq!(alarm.notice(&picture(61.0)), None);
        for _ in 0..9 {
            assert_eq!(alarm.see(Some(&picture(20.0))), None);
        }
        assert!(alarm.see(Some(&picture(20.0))).unwrap().starts_with("The alarm is over"));
    }

    #[test]
    fn counts_have_no_temperature() {
        let limit = Limit { above: true, celsius: 60.0 };
        let error = Alarm::new(limit, &source(Unit::Counts)).unwrap_err();
        assert!(error.to_string().contains("60 degC") && error.to_string().contains("counts"));
        assert!(error.advice().is_some());
    }
}
