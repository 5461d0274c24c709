//! What a loudspeaker, a room or a microphone does to levels.

use super::{BIN_HZ, Layout, Spectrum, centre_hz, from_db, hearing, to_db};

/// The gain of a channel at every bin: linear on the ear's axis between the
/// pilots, which are sent at known levels, and constant beyond them.
#[derive(Clone, Debug)]
pub struct Response {
    /// Power gain by bin.
    gains: Vec<f64>,
}

impl Layout {
    /// The response that `spectra` went through, by the mean power of each
    /// pilot; `None` where a pilot is silent.
    pub fn response(&self, spectra: &[Spectrum]) -> Option<Response> {
        let count = spectra.len() as f64;
        let points: Vec<(f64, f64)> = self
            .pilots
            .iter()
            .zip(self.pilot_levels_db())
            .map(|(cell, sent_db)| {
                let heard: f64 = spectra.iter().map(|s| s.power(&cell.bins)).sum::<f64>() / count;
                let gain_db = (heard > 0.0).then(|| to_db(heard) - sent_db)?;
                Some((hearing::erb_rate(centre_hz(&cell.bins)), gain_db))
            })
            .collect::<Option<_>>()?;
        let gain = |bin: usize| from_db(between(&points, hearing::erb_rate(bin as f64 * BIN_HZ)));
        Some(Response { gains: (0..Spectrum::BINS).map(gain).collect() })
    }
}

impl Response {
    /// Takes the response out of a spectrum and of the power of the `noise` in
    /// each of its bins.
    pub fn take_out(&self, spectrum: &mut Spectrum, noise: &mut [f64]) {
        for (amplitude, gain) in spectrum.amplitudes.iter_mut().zip(&self.gains) {
            *amplitude /= gain.sqrt() as f32;
        }
        for (noise, gain) in noise.iter_mut().zip(&self.gains) {
            *noise /= gain;
        }
    }
}

/// The value at `x` of the line through `points`, which ascend.
fn between(points: &[(f64, f64)], x: f64) -> f64 {
    let after = points.partition_point(|point| point.0 <= x);
    match (after.checked_sub(1).and_then(|before| points.get(before)), points.get(after)) {
        (Some(a), Some(b)) => a.1 + (b.1 - a.1) * (x - a.0) / (b.0 - a.0),
        (Some(point), None) | (None, Some(point)) => point.1,
        (None, None) => 0.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spectrum::{Mapping, Preset};

    #[test]
    fn a_tilt_is_taken_out() {
        let layout = Layout::new(&Mapping::preset(Preset::Data, [60.0, 5000.0])).unwrap();
        let code: Vec<f32> = (0..128).map(|k| ((k * 37) % 100) as f32 / 100.0).collect();
        let mut heard = layout.spectrum(&code);
        let sent = heard.clone();
        // 1.5 dB less for every ERB, and 20 dB less in all.
        for (bin, amplitude) in heard.amplitudes.iter_mut().enumerate() {
            let erbs = hearing::erb_rate(bin as f64 * BIN_HZ);
            *amplitude *= from_db(-20.0 - 1.5 * erbs).sqrt() as f32;
        }
        let response = layout.response(&[heard.clone(), heard.clone()]).unwrap();
        let mut noise = vec![1e-6; Spectrum::BINS];
        response.take_out(&mut heard, &mut noise);
        let pilots: Vec<usize> = layout.pilots().collect();
        for bin in pilots[0]..=pilots[3] {
            let ratio = heard.amplitudes[bin] / sent.amplitudes[bin];
            assert!((ratio - 1.0).abs() < 1e-3, "bin {bin}: {ratio}");
        }
        assert!(noise[100] > 1e-5);
        assert!(layout.response(&[Spectrum::silence()]).is_none());
    }

    #[test]
    fn lines_end_at_their_last_points() {
        let points = [(1.0, 10.0), (3.0, 20.0)];
        let at = |x: f64| between(&points, x);
        assert_eq!([at(0.0), at(1.0), at(2.5), at(3.0), at(9.0)], [10.0, 10.0, 17.5, 20.0, 20.0]);
        assert_eq!(between(&[], 1.0), 0.0);
    }
}
