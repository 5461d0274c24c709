//! Which bins carry which value.

use super::{Axis, BIN_HZ, Law, Mapping, PILOTS, hearing, hz};
use crate::error::{Error, Result};
use crate::synth::{CYCLE, SAMPLE_RATE};

/// The widest range of levels in dB: what 16-bit samples hold.
const MOST_DB: f64 = 96.0;

/// The largest gain for somebody's ears in dB: beyond, sound would distort
/// instead of getting louder.
pub const MOST_GAIN_DB: f64 = 12.0;

/// The bins of an axis, shared out: each belongs to one value or is a pilot.
#[derive(Debug)]
pub(super) struct Plan {
    /// The bins of each value, ascending.
    pub values: Vec<Vec<usize>>,
    /// The bin of each pilot, ascending.
    pub pilots: Vec<usize>,
}

/// Shares out the bins of the axis of `mapping`.
///
/// # Errors
///
/// As [`super::Layout::new`].
pub(super) fn plan(mapping: &Mapping) -> Result<Plan> {
    check(mapping)?;
    let bins = bins_between(mapping.low_hz, mapping.high_hz);
    let pilots = place_pilots(&bins, mapping.axis);
    let free: Vec<usize> = bins.iter().copied().filter(|bin| !pilots.contains(bin)).collect();
    check_values(mapping, bins.len(), free.len())?;
    let values = share_bins(&free, mapping.values, mapping.axis);
    Ok(Plan { values: values.into_iter().map(<[usize]>::to_vec).collect(), pilots })
}

/// Refuses an axis or a law that means nothing.
fn check(mapping: &Mapping) -> Result<()> {
    let &Mapping { low_hz, high_hz, law, .. } = mapping;
    let nyquist_hz = SAMPLE_RATE as f64 / 2.0;
    if !(low_hz >= 0.0 && low_hz < high_hz && high_hz <= nyquist_hz) {
        let what = format!("the axis {low_hz}..{high_hz} Hz is not within 0..{nyquist_hz} Hz");
        return Err(Error::usage("frequencies", what)
            .hint("give the lower frequency first, such as 60..5000"));
    }
    if let Law::Decibel { range_db } = law
        && !(range_db > 0.0 && range_db <= MOST_DB)
    {
        let what = format!("a range of {range_db} dB is not within 0..{MOST_DB} dB");
        return Err(Error::usage("range", what).hint("24 dB suits ears and receivers"));
    }
    let gains_db = &mapping.gains_db;
    let ascending = gains_db.windows(2).all(|pair| pair[0][0] < pair[1][0]);
    let bounded = |[hz, db]: &[f64; 2]| (0.0..=nyquist_hz).contains(hz) && db.abs() <= MOST_GAIN_DB;
    if !ascending || !gains_db.iter().all(bounded) {
        let what = format!("gains of {gains_db:?} (hertz, dB) are not ascending, or too large");
        return Err(Error::usage("hearing", what)
            .hint(format!("a gain lies within {MOST_GAIN_DB} dB of 0")));
    }
    Ok(())
}

/// The bins between two frequencies, both included, but never 0 Hz nor the
/// Nyquist frequency, which have no phase.
fn bins_between(low_hz: f64, high_hz: f64) -> Vec<usize> {
    let lowest = ((low_hz / BIN_HZ).ceil() as usize).max(1);
    let highest = ((high_hz / BIN_HZ).floor() as usize).min(CYCLE / 2 - 1);
    (lowest..=highest).collect()
}

/// Refuses a code that does not fit.
fn check_values(mapping: &Mapping, bins: usize, free: usize) -> Result<()> {
    let &Mapping { values, low_hz, high_hz, .. } = mapping;
    if values >= 1 && values <= free {
        return Ok(());
    }
    let what = format!(
        "a code of {values} values does not fit the axis {low_hz}..{high_hz} Hz, whose {bins} \
         bins of {BIN_HZ} Hz carry 1 to {free} values beside {PILOTS} pilots"
    );
    Err(Error::usage("values", what).hint("take fewer values or a wider axis"))
}

/// Spreads the pilots over `bins`: in the middle of each quarter of the axis.
/// Fewer where there are fewer bins.
fn place_pilots(bins: &[usize], axis: Axis) -> Vec<usize> {
    let (Some(&lowest), Some(&highest)) = (bins.first(), bins.last()) else { return Vec::new() };
    let (low, high) = (place(hz(lowest), axis), place(hz(highest), axis));
    let mut pilots = Vec::with_capacity(PILOTS);
    let mut next = 0;
    for pilot in 0..PILOTS.min(bins.len()) {
        let fraction = (pilot as f64 + 0.5) / PILOTS as f64;
        let aim = low + (high - low) * fraction;
        let nearest = bins.partition_point(|&bin| place(hz(bin), axis) < aim);
        let last = bins.len() - (PILOTS.min(bins.len()) - pilot);
        let index = nearest.clamp(next, last);
        pilots.push(bins[index]);
        next = index + 1;
    }
    pilots
}

/// Shares `bins` out to as many `values`, in order, at least one bin each.
///
/// From the bottom up each value takes its equal part of the axis that is
/// left. Where that is less than a bin, as in the bass, it takes one bin, and
/// those above share what remains.
fn share_bins(bins: &[usize], values: usize, axis: Axis) -> Vec<&[usize]> {
    let edge = |bin: usize| place(hz(bin) + BIN_HZ / 2.0, axis);
    let top = bins.last().map_or(0.0, |&bin| edge(bin));
    let mut below = bins.first().map_or(0.0, |&bin| edge(bin - 1));
    let mut rest = bins;
    let mut runs = Vec::with_capacity(values);
    for left in (1..=values).rev() {
        let aim = below + (top - below) / left as f64;
        let short = rest.partition_point(|&bin| edge(bin) < aim);
        // The edge nearest to the aim, with a bin for each that follows.
        let over = rest.get(short).map_or(f64::INFINITY, |&bin| edge(bin) - aim);
        let under = short.checked_sub(1).map_or(f64::INFINITY, |i| aim - edge(rest[i]));
        let count = if over < under { short + 1 } else { short };
        let (run, others) = rest.split_at(count.clamp(1, rest.len() - (left - 1)));
        below = run.last().map_or(below, |&bin| edge(bin));
        runs.push(run);
        rest = others;
    }
    runs
}

/// The place of a frequency on the axis.
fn place(hz: f64, axis: Axis) -> f64 {
    match axis {
        Axis::Erb => hearing::erb_rate(hz),
        Axis::Linear => hz,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;
    use crate::spectrum::Preset;

    fn mapping(values: usize, axis: Axis, low_hz: f64, high_hz: f64) -> Mapping {
        Mapping { values, axis, ..Mapping::preset(Preset::Data, [low_hz, high_hz]) }
    }

    #[test]
    fn every_bin_of_the_axis_is_used_exactly_once() {
        let mut random = Random::new(1);
        for _ in 0..300 {
            let (low_hz, width_hz) = (random.between(0.0, 9000.0), random.between(70.0, 15_000.0));
            let axis = if random.uniform() < 0.5 { Axis::Erb } else { Axis::Linear };
            let bins = bins_between(low_hz, low_hz + width_hz);
            let values = 1 + random.below(bins.len() - PILOTS);
            let plan = plan(&mapping(values, axis, low_hz, low_hz + width_hz)).unwrap();
            assert_eq!((plan.values.len(), plan.pilots.len()), (values, PILOTS));
            assert!(plan.values.iter().all(|run| !run.is_empty()));
            // In order of frequency, so that sorting the runs is not needed.
            let carried: Vec<usize> = plan.values.concat();
            assert!(carried.is_sorted());
            let mut used = [carried, plan.pilots].concat();
            used.sort_unstable();
            assert_eq!(used, bins);
        }
    }

    #[test]
    fn a_value_is_as_wide_to_the_ear_as_any_other_unless_it_is_one_bin() {
        let plan = plan(&mapping(128, Axis::Erb, 60.0, 5000.0)).unwrap();
        let width = |run: &Vec<usize>| {
            let edge = |bin: f64| hearing::erb_rate(bin * BIN_HZ);
            edge(run[run.len() - 1] as f64 + 0.5) - edge(run[0] as f64 - 0.5)
        };
        let wide: Vec<&Vec<usize>> = plan.values.iter().skip_while(|run| run.len() == 1).collect();
        let share = wide.iter().map(|run| width(run)).sum::<f64>() / wide.len() as f64;
        for run in wide {
            // Half a bin at each edge, and one where a pilot lies between.
            let bin = width(&vec![run[run.len() - 1]]);
            assert!((width(run) - share).abs() <= 2.1 * bin, "{run:?}: {} of {share}", width(run));
        }
        // The bass, one bin each, is wider to the ear than its equal share.
        let narrow = plan.values.iter().take_while(|run| run.len() == 1);
        assert!(narrow.clone().count() > 10 && narrow.clone().all(|run| width(run) > 0.6 * share));
    }

    #[test]
    fn a_linear_axis_has_values_of_equal_width() {
        let plan = plan(&mapping(98, Axis::Linear, 60.0, 5000.0)).unwrap();
        assert!(plan.values.iter().all(|run| (3..=5).contains(&run.len())));
    }

    #[test]
    fn pilots_spread_over_the_axis_whatever_the_number_of_values() {
        let pilots = plan(&mapping(1, Axis::Erb, 60.0, 5000.0)).unwrap().pilots;
        for values in [2, 64, 128, 392] {
            assert_eq!(plan(&mapping(values, Axis::Erb, 60.0, 5000.0)).unwrap().pilots, pilots);
        }
        let erbs: Vec<f64> = pilots.iter().map(|&bin| hearing::erb_rate(hz(bin))).collect();
        assert!(erbs.windows(2).all(|pair| (6.0..7.5).contains(&(pair[1] - pair[0]))), "{erbs:?}");
    }

    #[test]
    fn too_many_values_are_refused_with_both_numbers() {
        let error = plan(&mapping(512, Axis::Erb, 60.0, 5000.0)).unwrap_err().to_string();
        assert!(error.starts_with("values: ") && error.contains("512") && error.contains("392"));
        assert!(plan(&mapping(0, Axis::Erb, 60.0, 5000.0)).is_err());
        assert!(plan(&mapping(usize::MAX, Axis::Erb, 60.0, 5000.0)).is_err());
        assert!(plan(&mapping(392, Axis::Erb, 60.0, 5000.0)).is_ok());
        assert!(plan(&mapping(1, Axis::Erb, 1000.0, 1010.0)).is_err());
    }

    #[test]
    fn an_axis_or_a_range_that_means_nothing_is_refused() {
        for (low_hz, high_hz) in [(500.0, 60.0), (-1.0, 60.0), (60.0, 24_001.0), (f64::NAN, 60.0)] {
            assert!(plan(&mapping(1, Axis::Erb, low_hz, high_hz)).is_err());
        }
        for gains_db in
            [vec![[500.0, 13.0]], vec![[500.0, 1.0], [400.0, 1.0]], vec![[1.0, f64::NAN]]]
        {
            assert!(plan(&Mapping { gains_db, ..mapping(8, Axis::Erb, 60.0, 5000.0) }).is_err());
        }
        for range_db in [0.0, -3.0, f64::NAN, f64::INFINITY] {
            let law = Law::Decibel { range_db };
            let mapping = Mapping { law, ..mapping(8, Axis::Erb, 60.0, 5000.0) };
            assert!(plan(&mapping).is_err());
        }
    }

    #[test]
    fn neither_0_hz_nor_the_nyquist_frequency_carries_anything() {
        let plan = plan(&mapping(8, Axis::Linear, 0.0, 24_000.0)).unwrap();
        assert_eq!((plan.values[0][0], plan.values[7].last()), (1, Some(&(CYCLE / 2 - 1))));
    }
}
