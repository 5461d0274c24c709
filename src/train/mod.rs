//! Training: the analytic start, and a network on top of it, chosen and
//! scored on groups they have not seen.

mod batch;
pub mod channel;
mod checkpoint;
mod course;
pub mod device;
pub mod losses;
mod optimiser;
mod receiver;

use std::ops::ControlFlow;
use std::path::Path;

use burn::tensor::Device;
use ndarray::{Array2, Array3, s};
use serde::{Deserialize, Serialize};

use crate::autoencoder::linear::{Linear, Moments};
use crate::autoencoder::{Autoencoder, Part as Ends, haar, read};
use crate::dataset::{Dataset, Part, Prior};
use crate::error::{Error, Fault, Result};
use crate::evaluate;
use crate::evaluate::peers::Peer;
use crate::frame::{Band, Frame};
use crate::model::{Model, Record};
use crate::profile::Profile;

pub use batch::Batch;
pub use channel::Channel;
use course::Course;
pub use course::objective;

/// Shrinkages of the covariance that are tried, the strongest first.
const SHRINKAGES: [f32; 5] = [0.9, 0.7, 0.5, 0.3, 0.1];

/// A weaker shrinkage has to gain so much, in dB on the choosing groups: more
/// than rounding does. Where the components are as many as the coefficients, all
/// shrinkages keep the same of a picture, but what a weak one takes for the
/// leading components of a few pictures leads nowhere else.
const LEAST_GAIN_DB: f64 = 1e-3;

/// Shares in the moments that are tried for what another model knows.
const SHARES: [f32; 5] = [0.1, 0.3, 0.5, 0.7, 0.9];

/// How much wider logits are taken to spread than the training pictures' do.
/// Codes then keep clear of 0 and 1, where steps of a logit become small: more
/// of it survives noise, and pictures of high contrast differ in sound as much
/// as in looks. The code is the less uniform: its distance from uniform, on
/// flights that it has not seen, is 0.04, of which 0.02 are due to this.
const GENTLENESS: f64 = 1.2;

/// How to train.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    /// Number of code values, K, a power of two.
    pub values: usize,
    /// Seed of the network's start and of every draw; the record names it as that
    /// of the split, too, so [`Dataset::read`] is to be given the same.
    pub seed: u64,
    /// Which ends of the autoencoder get a network.
    pub part: Ends,
    /// Units of a hidden layer.
    pub width: usize,
    /// How long to train.
    pub budget: Budget,
    /// Pictures in a batch.
    pub batch: usize,
    /// Learning rate at the start; it falls to 0 along half a cosine.
    pub learning_rate: f64,
    /// Decoupled weight decay (AdamW).
    pub weight_decay: f32,
    /// What is between code and decoder, in training and in choosing: each batch
    /// takes one of these ways, and the network is kept for what it gains over
    /// all of them.
    pub channels: Vec<Channel>,
    /// Crops are at least this share of rows and columns; 1: no crops.
    pub smallest_crop: f64,
    /// Weight of [`losses::uniformity`] in dB.
    pub uniformity: f32,
    /// Weight of [`losses::band_energy`] in dB.
    pub band_energy: f32,
    /// Steps from one evaluation on the choosing groups to the next.
    pub interval: u64,
}

/// How long to train the network.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Budget {
    /// So many steps: the same seed gives the same model.
    Steps(u64),
    /// So many minutes, interruptions not counted.
    Minutes(f64),
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            values: 256,
            seed: 0,
            part: Ends::Decoder,
            width: 64,
            budget: Budget::Minutes(10.0),
            batch: 64,
            learning_rate: 2e-4,
            weight_decay: 1.0,
            channels: vec![Channel::File],
            smallest_crop: 0.8,
            uniformity: 30.0,
            band_energy: 3.0,
            interval: 250,
        }
    }
}

/// What whoever watches the training is told.
#[derive(Clone, Copy, Debug)]
pub enum Event<'a> {
    /// A sentence about what is done.
    Said(&'a str),
    /// The next point of the curve `path`.
    Point {
        /// Name of the curve, such as `choose/psnr_8_db`.
        path: &'a str,
        /// Steps of training so far.
        step: u64,
        /// The value.
        value: f64,
    },
    /// So much of the budget is spent, 0..1.
    Spent(f64),
}

/// Who watches the training; `Break` stops it, with a checkpoint once a network
/// is trained.
pub type Observer<'a> = dyn FnMut(Event<'_>) -> ControlFlow<()> + 'a;

/// What another model knows has to gain so much, in dB on the choosing groups:
/// a few pictures tell no less.
const SMALLEST_GAIN_DB: f64 = 0.1;

/// How the linear path is fitted.
#[derive(Clone, Copy, Debug)]
struct Fit {
    /// Shrinkage of the covariance.
    shrinkage: f32,
    /// As how many examples that counts which another model knows; see
    /// [`Dataset::start_from`].
    prior_examples: f32,
}

/// Computes the model of `dataset` for `profile`: the linear path fitted on
/// the training groups, its shrinkage, and how much another model's knowledge
/// counts, chosen on the choosing groups, then fitted again on both, and scored
/// on the report groups through the WAV.
///
/// # Errors
///
/// If there are too few pictures, or more values are asked for than they have;
/// [`Fault::Interrupted`] where the observer broke it off.
pub fn analytic(
    dataset: &Dataset,
    profile: &Profile,
    settings: &Settings,
    observer: &mut Observer<'_>,
) -> Result<Model> {
    let fit = choose_fit(dataset, settings, observer)?;
    let autoencoder = fitted(&[Part::Train, Part::Choose], fit, dataset, settings)?;
    scored(autoencoder, dataset, profile, record(dataset, settings, fit), observer)
}

/// Trains a network on top of the linear path of `dataset` for `profile`, on
/// `device`. It is kept only where it does better than the linear path alone
/// on the choosing groups, and then stands on the linear path of the training
/// groups; otherwise the result is that of [`analytic`].
///
/// `checkpoint` is a file that holds the state now and then, and when the
/// observer breaks off; with `resume` training goes on from it. Whoever stores
/// the model removes it afterwards. On the CPU and with [`Budget::Steps`], a run
/// that was broken off and resumed gives the same model as one that was not.
///
/// # Errors
///
/// Those of [`analytic`]; if the checkpoint cannot be written or read, or is
/// one of other data or settings; [`crate::Fault::Interrupted`] where the
/// observer broke it off.
pub fn train(
    dataset: &Dataset,
    profile: &Profile,
    settings: &Settings,
    device: &Device,
    checkpoint: Option<&Path>,
    resume: bool,
    observer: &mut Observer<'_>,
) -> Result<Model> {
    let (train, choose) = (dataset.mirrored(Part::Train), dataset.pictures(Part::Choose));
    let fit = choose_fit(dataset, settings, observer)?;
    let start = fitted(&[Part::Train], fit, dataset, settings)?;
    let weights = weights(dataset);
    let mut course = Course::new(&start, &train, &choose, weights, settings, profile, device)?;
    if let (true, Some(path)) = (resume, checkpoint) {
        course.resume(path)?;
        say(observer, &format!("Going on from step {}.", course.step()))?;
    }
    let outcome = course.run(checkpoint, observer)?;
    let Some((network, steps)) = outcome else {
        say(observer, "The network is no better on the choosing groups: the linear path is kept.")?;
        let autoencoder = fitted(&[Part::Train, Part::Choose], fit, dataset, settings)?;
        return scored(autoencoder, dataset, profile, record(dataset, settings, fit), observer);
    };
    let channels = settings.channels.iter().map(Channel::to_string).collect();
    let record = Record { network_steps: steps, channels, ..record(dataset, settings, fit) };
    let mut autoencoder = start;
    autoencoder.network = Some(network);
    scored(autoencoder, dataset, profile, record, observer)
}

/// Tells the observer a sentence, and asks whether to go on.
fn say(observer: &mut Observer<'_>, text: &str) -> Result<()> {
    match observer(Event::Said(text)) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(()) => Err(Error::new(Fault::Interrupted, "training", "stopped")),
    }
}

/// The record of a model that is not scored yet.
fn record(dataset: &Dataset, settings: &Settings, fit: Fit) -> Record {
    let Fit { shrinkage, prior_examples } = fit;
    let prior = dataset.prior().filter(|_| prior_examples > 0.0);
    let mut groups = dataset.groups(Part::Train);
    groups.extend(dataset.groups(Part::Choose));
    groups.extend(prior.into_iter().flat_map(|prior| prior.groups.clone()));
    groups.sort();
    groups.dedup();
    Record {
        prior: prior.map(|prior| prior.model.clone()),
        prior_examples,
        trained_groups: groups,
        report_groups: dataset.groups(Part::Report),
        pictures: dataset.frames(Part::Train).count() + dataset.frames(Part::Choose).count(),
        seed: settings.seed,
        shrinkage,
        ..Record::default()
    }
}

/// The model of `autoencoder`, scored on the report groups, beside other codes
/// that were fitted to the same pictures and their mirror images.
fn scored(
    autoencoder: Autoencoder,
    dataset: &Dataset,
    profile: &Profile,
    mut record: Record,
    observer: &mut Observer<'_>,
) -> Result<Model> {
    let values = autoencoder.values();
    let model = |record| {
        let (bands, range) = (dataset.bands.clone(), dataset.range.clone());
        Model::new(autoencoder.clone(), profile.clone(), bands, range, record)
    };
    let (groups, frames): (Vec<&str>, Vec<Frame>) =
        dataset.frames(Part::Report).map(|(group, frame)| (group, frame.clone())).unzip();
    let count = frames.len();
    say(observer, &format!("Scoring {count} frames of groups not seen, through the WAV."))?;
    record.scores = evaluate::scores(&model(record.clone())?, &frames, values)?;

    let mut fitted = dataset.mirrored(Part::Train);
    fitted.extend(dataset.mirrored(Part::Choose));
    let count = fitted.len();
    say(observer, &format!("Fitting other codes to {count} pictures for comparison."))?;
    for peer in [Peer::pca(&fitted, values)?, Peer::klt_dct(&fitted, values)] {
        let compared = evaluate::compare(&record.scores, &peer, &frames, &groups, &dataset.range);
        record.peers.insert(peer.name.to_owned(), compared);
    }
    model(record)
}

/// The weight of each band in the band energy.
fn weights(dataset: &Dataset) -> Vec<f32> {
    dataset.bands.iter().map(Band::weight).collect()
}

/// The linear path of the pictures of `parts`.
fn fitted(parts: &[Part], fit: Fit, dataset: &Dataset, settings: &Settings) -> Result<Autoencoder> {
    let examples: Vec<_> = parts.iter().flat_map(|&part| dataset.examples(part)).collect();
    let pictures: Vec<_> = parts.iter().flat_map(|&part| dataset.pictures(part)).collect();
    let moments = match dataset.prior().filter(|_| fit.prior_examples > 0.0) {
        Some(Prior { path, .. }) => {
            let share = fit.prior_examples / (examples.len() as f32 + fit.prior_examples);
            Moments::within(path, &examples).mixed(path, share)
        }
        None => Moments::gather(&examples, &weights(dataset))?,
    };
    uniform(moments.solve(settings.values, fit.shrinkage)?, &pictures)
}

/// The fit with the smallest error on the choosing groups.
fn choose_fit(dataset: &Dataset, settings: &Settings, observer: &mut Observer<'_>) -> Result<Fit> {
    let (examples, choose) = (dataset.examples(Part::Train), dataset.pictures(Part::Choose));
    let (fitting, choosing) = (examples.len(), choose.len());
    say(observer, &format!("Fitting to {fitting} pictures, choosing on {choosing}."))?;
    let mut tried = vec![(0.0, Moments::gather(&examples, &weights(dataset))?)];
    if let Some(Prior { path, .. }) = dataset.prior() {
        let own = Moments::within(path, &examples);
        tried.extend(SHARES.map(|share| (share, own.mixed(path, share))));
    }
    let mut best = (f64::NEG_INFINITY, Fit { shrinkage: 0.5, prior_examples: 0.0 });
    for (share, moments) in &tried {
        let prior_examples = fitting as f32 * share / (1.0 - share);
        let known = match dataset.prior() {
            Some(prior) => format!(", {} as {prior_examples:.0} examples", prior.name()),
            None => String::new(),
        };
        let handicap_db = if prior_examples > 0.0 { SMALLEST_GAIN_DB } else { 0.0 };
        for shrinkage in SHRINKAGES {
            let linear = moments.solve(settings.values, shrinkage)?;
            let psnr = held_out_psnr(&Autoencoder::new(linear, 1.0, &Device::flex()), &choose)?;
            say(
                observer,
                &format!("Shrinkage {shrinkage}{known}: {psnr:.2} dB on the choosing groups."),
            )?;
            if psnr - handicap_db > best.0 + LEAST_GAIN_DB {
                best = (psnr - handicap_db, Fit { shrinkage, prior_examples });
            }
        }
    }
    Ok(best.1)
}

/// Mean over pictures of the PSNR in dB, peak 1, of the unsquashed components.
fn held_out_psnr(autoencoder: &Autoencoder, pictures: &[Array3<f32>]) -> Result<f64> {
    let (sent, lost) = autoencoder.analyse(autoencoder.tensor(pictures)?);
    let back = autoencoder.coefficients_of(autoencoder.components_of(sent.clone()));
    let pixels = pictures.first().map_or(1, Array3::len);
    let error_db = losses::fidelity_db(losses::squared_error(sent, back, lost, pixels));
    Ok(-f64::from(read(error_db)?.first().copied().unwrap_or(0.0)))
}

/// The autoencoder of `linear`, whose components have zero mean and unit
/// variance over `pictures`, and whose logits are spread such that the pooled
/// code is nearly uniform: see [`GENTLENESS`].
fn uniform(mut linear: Linear, pictures: &[Array3<f32>]) -> Result<Autoencoder> {
    let device = Device::flex();
    let components = |linear: &Linear| -> Result<Array2<f32>> {
        let autoencoder = Autoencoder::new(linear.clone(), 1.0, &device);
        let flat = read(autoencoder.components(autoencoder.tensor(pictures)?))?;
        Array2::from_shape_vec((pictures.len(), linear.components()), flat)
            .map_err(|e| Error::new(Fault::Unsupported, "training", e))
    };
    linear.standardise(&components(&linear)?);
    let values = linear.values;
    let rows = haar::weighted(values);
    let logits = components(&linear)?.slice(s![.., ..values]).dot(&rows);
    let mut sizes: Vec<f32> = logits.iter().map(|v| v.abs()).collect();
    sizes.sort_by(f32::total_cmp);
    // The upper quartile of a symmetric distribution is the median of its
    // absolute values.
    let quartile = sizes.get(sizes.len() / 2).copied().unwrap_or(1.0).max(1e-3);
    let spread = GENTLENESS * f64::from(quartile) / haar::T4_QUARTILE;
    Ok(Autoencoder::new(linear, spread as f32, &device))
}
