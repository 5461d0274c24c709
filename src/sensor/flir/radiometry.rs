//! From the counts of a FLIR camera to temperatures, and the air between.

use crate::frame::CELSIUS_ZERO_K;
use crate::sensor::Object;

/// What the camera and its user say about a picture.
///
/// The formulas are those of G. Tattersall's Thermimage (R/raw2temp.R), which
/// follow FLIR's own: an object of emissivity E below 1 mirrors its
/// surroundings, and the air and a window dim both and glow themselves.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Radiometry {
    /// R1, R2, B, F and O of Planck's law as FLIR fits it to each camera:
    /// `counts = R1 / (R2 * (exp(B / T) - F)) - O`, T in kelvin.
    pub planck: Planck,
    /// Emissivity of the object, above 0 and at most 1.
    pub emissivity: f64,
    /// Distance of the object in metres.
    pub distance_m: f64,
    /// Apparent temperature of what the object mirrors, in kelvin.
    pub reflected_k: f64,
    /// Temperature of the air in kelvin.
    pub air_k: f64,
    /// Temperature of a window in front of the camera, in kelvin.
    pub window_k: f64,
    /// Transmission of that window, above 0 and at most 1; 1 without any.
    pub window_transmission: f64,
    /// Relative humidity of the air, 0..1.
    pub humidity: f64,
    /// How the air dims.
    pub air: Air,
}

/// See [`Radiometry::planck`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Planck {
    /// R1.
    pub r1: f64,
    /// R2.
    pub r2: f64,
    /// B in kelvin.
    pub b: f64,
    /// F.
    pub f: f64,
    /// O in counts.
    pub o: f64,
}

/// Constants of the air's transmission: alpha and beta of two parts of the
/// spectrum, and the share X of the first.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Air {
    /// Alpha of both parts.
    pub alpha: [f64; 2],
    /// Beta of both parts.
    pub beta: [f64; 2],
    /// The share of the first part.
    pub x: f64,
}

impl Planck {
    /// The counts of a black body at `kelvin`.
    fn counts(&self, kelvin: f64) -> f64 {
        self.r1 / (self.r2 * ((self.b / kelvin).exp() - self.f)) - self.o
    }

    /// The temperature in kelvin of a black body of so many `counts`; NaN
    /// where there is none.
    fn kelvin(&self, counts: f64) -> f64 {
        self.b / (self.r1 / (self.r2 * (counts + self.o)) + self.f).ln()
    }
}

impl Radiometry {
    /// Puts what `object` knows in the place of what the file says.
    pub fn set(&mut self, object: Object) {
        self.emissivity = object.emissivity.unwrap_or(self.emissivity);
        self.distance_m = object.distance_m.unwrap_or(self.distance_m);
        self.reflected_k =
            object.reflected_c.map_or(self.reflected_k, |celsius| celsius + CELSIUS_ZERO_K);
    }

    /// The temperature in degrees Celsius for each of `counts`, in f64
    /// throughout; NaN where the law has none.
    pub fn celsius(&self, counts: impl Iterator<Item = u16>) -> impl Iterator<Item = f32> {
        let (tau, window) = (self.transmission(), self.window_transmission);
        let seen = 1.0 / (self.emissivity * tau * window * tau);
        // The window stands half way: the air before and behind it glows.
        let foreign = (1.0 - tau) * (window * tau + 1.0) * seen * self.planck.counts(self.air_k)
            + (1.0 - window) * tau * seen * self.planck.counts(self.window_k)
            + (1.0 - self.emissivity) / self.emissivity * self.planck.counts(self.reflected_k);
        let planck = self.planck;
        counts.map(move |count| {
            let kelvin = planck.kelvin(f64::from(count) * seen - foreign);
            if kelvin.is_finite() && kelvin > 0.0 {
                (kelvin - CELSIUS_ZERO_K) as f32
            } else {
                f32::NAN
            }
        })
    }

    /// What half the way through the air lets through, 0..1. The humidity
    /// becomes water in the air by a fit of FLIR's to the vapour pressure.
    fn transmission(&self) -> f64 {
        let celsius = self.air_k - CELSIUS_ZERO_K;
        let exponent =
            1.5587 + 6.939e-2 * celsius - 2.7816e-4 * celsius.powi(2) + 6.8455e-7 * celsius.powi(3);
        let water = (self.humidity * exponent.exp()).sqrt();
        let way = (self.distance_m / 2.0).sqrt();
        let part = |n: usize| (-way * (self.air.alpha[n] + self.air.beta[n] * water)).exp();
        self.air.x * part(0) + (1.0 - self.air.x) * part(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A camera without anything between it and a black body.
    fn camera(planck: Planck) -> Radiometry {
        Radiometry {
            planck,
            emissivity: 1.0,
            distance_m: 0.0,
            reflected_k: 293.15,
            air_k: 293.15,
            window_k: 293.15,
            window_transmission: 1.0,
            humidity: 0.5,
            air: Air { alpha: [0.006569, 0.01262], beta: [-0.002276, -0.00667], x: 1.9 },
        }
    }

    /// The constants of the FLIR SC660 of Thermimage's sample.
    fn sc660() -> Planck {
        Planck { r1: 21106.77, r2: 0.012545258, b: 1501.0, f: 1.0, o: -7340.0 }
    }

    fn celsius(camera: &Radiometry, counts: u16) -> f64 {
        f64::from(camera.celsius([counts].into_iter()).next().unwrap())
    }

    #[test]
    fn published_temperatures_come_out() {
        // README of Thermimage, on its SampleSEQ.seq.
        let camera = Radiometry { emissivity: 0.95, distance_m: 1.0, ..camera(sc660()) };
        for (counts, published) in [
            (17_808, 22.10131),
            (17_833, 22.24723),
            (17_870, 22.46279),
            (17_171, 18.30355),
            (18_272, 24.77367),
            (24_931, 57.07398),
        ] {
            let found = celsius(&camera, counts);
            assert!((found - published).abs() < 1e-4, "{counts}: {found}, not {published}");
        }
    }

    #[test]
    fn a_black_body_follows_its_law_back() {
        let camera = camera(sc660());
        for kelvin in [253.15, 293.15, 373.15] {
            let counts = camera.planck.counts(kelvin).round();
            let back = celsius(&camera, counts as u16) + CELSIUS_ZERO_K;
            // Half a count is less than this.
            assert!((back - kelvin).abs() < 0.05, "{back} from {kelvin}");
        }
    }

    /// Written out as in Thermimage, term by term.
    fn term_by_term(r: &Radiometry, counts: f64) -> f64 {
        let (e, w, t) = (r.emissivity, r.window_transmission, r.transmission());
        let raw = |kelvin: f64| r.planck.counts(kelvin);
        let (air, window, reflected) = (raw(r.air_k), raw(r.window_k), raw(r.reflected_k));
        let mirrored = (1.0 - e) / e * reflected;
        let before = (1.0 - t) / e / t * air;
        let through = (1.0 - w) / e / t / w * window;
        let behind = (1.0 - t) / e / t / w / t * air;
        let object = counts / e / t / w / t - before - behind - through - mirrored;
        r.planck.b / (r.planck.r1 / (r.planck.r2 * (object + r.planck.o)) + r.planck.f).ln()
            - CELSIUS_ZERO_K
    }

    #[test]
    fn air_window_and_surroundings_are_taken_off() {
        let camera = Radiometry {
            emissivity: 0.7,
            distance_m: 40.0,
            reflected_k: 270.0,
            air_k: 305.0,
            window_k: 299.0,
            window_transmission: 0.8,
            humidity: 0.9,
            ..camera(sc660())
        };
        for counts in [17_000, 18_090, 25_000] {
            let (found, expected) =
                (celsius(&camera, counts), term_by_term(&camera, f64::from(counts)));
            assert!((found - expected).abs() < 1e-4, "{found}, not {expected}");
        }
    }

    #[test]
    fn counts_below_the_law_have_no_temperature() {
        assert!(celsius(&camera(sc660()), 100).is_nan());
    }
}
