//! Training: the analytic start, chosen and scored on groups it has not seen.

use burn::tensor::Device;
use ndarray::{Array2, Array3};

use crate::autoencoder::linear::{Linear, Moments};
use crate::autoencoder::{Autoencoder, haar, read};
use crate::dataset::{Dataset, Part};
use crate::error::Result;
use crate::evaluate;
use crate::evaluate::peers::Peer;
use crate::frame::{Band, Frame};
use crate::model::{Model, Record};
use crate::profile::Profile;

/// Shrinkages of the covariance that are tried.
const SHRINKAGES: [f32; 5] = [0.1, 0.3, 0.5, 0.7, 0.9];

/// How to train.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Number of code values, K, a power of two.
    pub values: usize,
    /// Seed of the split.
    pub seed: u64,
}

/// Computes the model of `dataset` for `profile`: the linear path fitted on
/// the training groups, its shrinkage chosen on the choosing groups, then
/// fitted again on both, and scored on the report groups through the WAV.
/// `say` is told each step in a sentence.
///
/// # Errors
///
/// If there are too few pictures, or more values are asked for than they have.
pub fn analytic(
    dataset: &Dataset,
    profile: &Profile,
    settings: &Settings,
    say: &mut dyn FnMut(&str),
) -> Result<Model> {
    let weights: Vec<f32> = dataset.bands.iter().map(Band::weight).collect();
    let choose = dataset.pictures(Part::Choose);
    let mut examples = dataset.examples(Part::Train);
    say(&format!("Fitting to {} pictures, choosing on {}.", examples.len(), choose.len()));
    let shrinkage = choose_shrinkage(&examples, &choose, &weights, settings.values, say)?;

    examples.extend(dataset.examples(Part::Choose));
    let linear = Moments::gather(&examples, &weights)?.solve(settings.values, shrinkage)?;
    let mut plain = dataset.pictures(Part::Train);
    plain.extend(choose);
    let autoencoder = uniform(linear, &plain)?;
    let mut groups = dataset.groups(Part::Train);
    groups.extend(dataset.groups(Part::Choose));
    groups.sort();
    let record = Record {
        trained_groups: groups,
        report_groups: dataset.groups(Part::Report),
        pictures: examples.len(),
        seed: settings.seed,
        shrinkage,
        ..Record::default()
    };
    report(autoencoder, record, dataset, profile, say)
}

/// The model of `autoencoder`, scored on the report groups, beside other codes
/// that were fitted to the same pictures and their mirror images.
fn report(
    autoencoder: Autoencoder,
    mut record: Record,
    dataset: &Dataset,
    profile: &Profile,
    say: &mut dyn FnMut(&str),
) -> Result<Model> {
    let values = autoencoder.values();
    let model = |record| {
        let (bands, range) = (dataset.bands.clone(), dataset.range.clone());
        Model::new(autoencoder.clone(), profile.clone(), bands, range, record)
    };
    let (groups, frames): (Vec<&str>, Vec<Frame>) =
        dataset.frames(Part::Report).map(|(group, frame)| (group, frame.clone())).unzip();
    say(&format!("Scoring {} frames of groups not seen, through the WAV.", frames.len()));
    record.scores = evaluate::scores(&model(record.clone())?, &frames)?;

    let mut fitted = dataset.mirrored(Part::Train);
    fitted.extend(dataset.mirrored(Part::Choose));
    say(&format!("Fitting other codes to {} pictures for comparison.", fitted.len()));
    for peer in [Peer::pca(&fitted, values)?, Peer::klt_dct(&fitted, values)] {
        let compared = evaluate::compare(&record.scores, &peer, &frames, &groups, &dataset.range);
        record.peers.insert(peer.name.to_owned(), compared);
    }
    model(record)
}

/// The shrinkage with the smallest error on `choose`.
fn choose_shrinkage(
    train: &[Array3<f32>],
    choose: &[Array3<f32>],
    weights: &[f32],
    values: usize,
    say: &mut dyn FnMut(&str),
) -> Result<f32> {
    let moments = Moments::gather(train, weights)?;
    let mut best = (f64::NEG_INFINITY, 0.5);
    for shrinkage in SHRINKAGES {
        let linear = moments.solve(values, shrinkage)?;
        let psnr = held_out_psnr(&Autoencoder::new(linear, 1.0, &Device::flex()), choose)?;
        say(&format!("Shrinkage {shrinkage}: {psnr:.2} dB on the choosing groups."));
        if psnr > best.0 {
            best = (psnr, shrinkage);
        }
    }
    Ok(best.1)
}

/// Mean over pictures of the PSNR in dB, peak 1, of the unsquashed components.
fn held_out_psnr(autoencoder: &Autoencoder, pictures: &[Array3<f32>]) -> Result<f64> {
    let input = autoencoder.tensor(pictures)?;
    let output = autoencoder.pictures(autoencoder.components(input));
    let flat = read(output)?;
    let size = flat.len() / pictures.len().max(1);
    let total: f64 = pictures
        .iter()
        .zip(flat.chunks(size.max(1)))
        .map(|(picture, back)| {
            let square: f64 = picture.iter().zip(back).map(|(a, b)| f64::from(a - b).powi(2)).sum();
            -10.0 * (square / size as f64).log10()
        })
        .sum();
    Ok(total / pictures.len().max(1) as f64)
}

/// The autoencoder of `linear`, whose components have zero mean and unit
/// variance over `pictures`, and whose logits are spread such that the pooled
/// code is uniform.
fn uniform(mut linear: Linear, pictures: &[Array3<f32>]) -> Result<Autoencoder> {
    let device = Device::flex();
    let components = |linear: &Linear| -> Result<Array2<f32>> {
        let autoencoder = Autoencoder::new(linear.clone(), 1.0, &device);
        let flat = read(autoencoder.components(autoencoder.tensor(pictures)?))?;
        Array2::from_shape_vec((pictures.len(), linear.values()), flat)
            .map_err(|e| crate::Error::usage("training", e))
    };
    linear.standardise(&components(&linear)?);
    let values = linear.values();
    let rows = haar::matrix(values) * haar::weights(values).insert_axis(ndarray::Axis(1));
    let logits = components(&linear)?.dot(&rows);
    let mut sizes: Vec<f32> = logits.iter().map(|v| v.abs()).collect();
    sizes.sort_by(f32::total_cmp);
    // The upper quartile of a symmetric distribution is the median of its
    // absolute values.
    let quartile = sizes.get(sizes.len() / 2).copied().unwrap_or(1.0).max(1e-3);
    Ok(Autoencoder::new(linear, (f64::from(quartile) / haar::T4_QUARTILE) as f32, &device))
}
