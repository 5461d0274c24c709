//! One course of training: from the linear path, step by step.

use std::collections::HashMap;
use std::path::Path;
use std::time::Instant;

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use ndarray::{Array2, Array3};

use super::batch::Batch;
use super::channel::{Channel, Ways};
use super::checkpoint::{Checkpoint, Progress};
use super::optimiser::Optimiser;
use super::{Budget, Event, Observer, Settings, losses, say};
use crate::autoencoder::{Autoencoder, Network, Part, Shape, read};
use crate::error::{Error, Fault, Result};
use crate::evaluate::figures::mean;
use crate::profile::Profile;
use crate::random::Random;

/// Gains below this, in dB on the choosing groups, do not justify a network.
const SMALLEST_GAIN_DB: f64 = 0.01;

/// What a batch costs, `[1]`: the mean error of the decoded pictures in dB,
/// and where the encoder is trained, how far its code is from uniform and its
/// loudness from following band energy.
pub fn objective(autoencoder: &Autoencoder, batch: &Batch, settings: &Settings) -> Tensor<1> {
    if autoencoder.network.as_ref().is_none_or(|network| network.part() == Part::Decoder) {
        return error_db(autoencoder, batch, batch.components(autoencoder));
    }
    let components = autoencoder.components_of(batch.coefficients.clone());
    let code = autoencoder.code_tensor(components.clone());
    error_db(autoencoder, batch, components)
        + losses::uniformity(code.clone()) * settings.uniformity
        + losses::band_energy(code, batch.energy.clone()) * settings.band_energy
}

/// The mean error in dB of what is decoded of `components`, `[item, component]`,
/// those of `batch`: `[1]`.
fn error_db(autoencoder: &Autoencoder, batch: &Batch, components: Tensor<2>) -> Tensor<1> {
    let back = batch.decoded(autoencoder, batch.received(components));
    let (sent, lost) = (batch.coefficients.clone(), batch.lost.clone());
    losses::fidelity_db(losses::squared_error(sent, back, lost, batch.pixels))
}

/// The state of training.
pub(super) struct Course<'a> {
    settings: &'a Settings,
    pictures: &'a [Array3<f32>],
    weights: Vec<f32>,
    /// The linear path on a device without gradients, and the network on it.
    autoencoder: Autoencoder,
    tracked: Device,
    optimiser: Optimiser,
    random: Random,
    progress: Progress,
    best: Vec<(String, Array2<f32>)>,
    best_db: f64,
    ways: Ways,
    choose: Vec<Trial>,
    /// PSNR of the linear path in each trial.
    linear_db: Vec<f64>,
}

/// The choosing pictures at one level through one channel.
struct Trial {
    channel: Channel,
    groups: usize,
    batch: Batch,
}

impl<'a> Course<'a> {
    /// A network whose output is zero, on top of `start`.
    pub fn new(
        start: &Autoencoder,
        pictures: &'a [Array3<f32>],
        choose: &[Array3<f32>],
        weights: Vec<f32>,
        settings: &'a Settings,
        profile: &Profile,
        device: &Device,
    ) -> Result<Self> {
        let mut autoencoder = start.to_device(device);
        let tracked = device.clone().autodiff();
        let ways = Ways::new(&settings.channels, &autoencoder, profile)?;
        let choose = trials(&autoencoder, choose, settings, &ways)?;
        let linear_db = psnr_db(&autoencoder, &choose)?;
        let shape = Shape {
            coefficients: autoencoder.linear().selected.len(),
            components: autoencoder.linear().components(),
            width: settings.width,
        };
        let mut start = Random::named(settings.seed, "network");
        autoencoder.network = Some(Network::start(settings.part, shape, &mut start, &tracked)?);
        Ok(Self {
            settings,
            pictures,
            weights,
            autoencoder,
            tracked,
            optimiser: Optimiser::new(settings.weight_decay),
            random: Random::named(settings.seed, "batches"),
            progress: Progress::default(),
            best_db: mean(&linear_db),
            best: Vec::new(),
            ways,
            choose,
            linear_db,
        })
    }

    /// Steps so far.
    pub fn step(&self) -> u64 {
        self.progress.step
    }

    /// Trains to the end of the budget. The best network on the choosing
    /// groups and its step, if it is better there than the linear path.
    pub fn run(
        &mut self,
        checkpoint: Option<&Path>,
        observer: &mut Observer<'_>,
    ) -> Result<Option<(Network, u64)>> {
        self.tell("linear path", &self.linear_db, observer);
        let (began, before) = (Instant::now(), self.progress.elapsed_s);
        loop {
            self.progress.elapsed_s = before + began.elapsed().as_secs_f64();
            let spent = match self.settings.budget {
                Budget::Steps(steps) => self.progress.step as f64 / steps.max(1) as f64,
                Budget::Minutes(minutes) => self.progress.elapsed_s / (60.0 * minutes),
            };
            if spent >= 1.0 {
                break;
            }
            if observer(Event::Spent(spent)).is_break() {
                return self.break_off(checkpoint);
            }
            self.advance(spent, observer)?;
            if self.progress.step.is_multiple_of(self.settings.interval) {
                self.assess(observer)?;
                self.save(checkpoint)?;
            }
        }
        if !self.progress.step.is_multiple_of(self.settings.interval) {
            self.assess(observer)?;
        }
        self.save(checkpoint)?;
        self.outcome()
    }

    /// One step, when the share `spent` of the budget is.
    fn advance(&mut self, spent: f64, observer: &mut Observer<'_>) -> Result<()> {
        let Self { settings, autoencoder, pictures, weights, ways, random, .. } = self;
        let batch = Batch::draw(autoencoder, pictures, weights, settings, ways, random)?;
        let loss = objective(autoencoder, &batch, settings);
        let rate = settings.learning_rate * (1.0 + (std::f64::consts::PI * spent).cos()) / 2.0;
        let gradients = loss.backward();
        let path = "train/loss";
        if self.progress.step.is_multiple_of(10) {
            let value = read(loss.without_autodiff())?.first().copied().map_or(0.0, f64::from);
            if !value.is_finite() {
                let what = format!("the loss is {value} at step {}", self.progress.step);
                return Err(Error::new(Fault::Input, "training", what)
                    .hint("look for extreme values in the training data"));
            }
            let _ = observer(Event::Point { path, step: self.progress.step, value });
        }
        if let Some(network) = autoencoder.network.take() {
            autoencoder.network = Some(self.optimiser.step(rate, network, &gradients));
        }
        self.progress.step += 1;
        Ok(())
    }

    /// Scores the network on the choosing groups, and keeps it if it is the
    /// best so far.
    fn assess(&mut self, observer: &mut Observer<'_>) -> Result<()> {
        let mut plain = self.autoencoder.clone();
        plain.network = plain.network.map(|network| network.valid());
        let scores_db = psnr_db(&plain, &self.choose)?;
        for (trial, &value) in self.choose.iter().zip(&scores_db) {
            let path = trial.path();
            let _ = observer(Event::Point { path: &path, step: self.progress.step, value });
        }
        let step = format!("step {}", self.progress.step);
        self.tell(&step, &scores_db, observer);
        if mean(&scores_db) > self.best_db {
            self.best_db = mean(&scores_db);
            self.progress.best_step = self.progress.step;
            self.best = match &plain.network {
                Some(network) => network.parameters()?,
                None => Vec::new(),
            };
        }
        Ok(())
    }

    /// One line on the PSNR of the choosing groups at 1, 8 and K groups, through
    /// each of the channels.
    fn tell(&self, who: &str, scores_db: &[f64], observer: &mut Observer<'_>) {
        let shown = |groups: usize| groups == 1 || groups == 8 || groups == self.settings.values;
        let mut parts = Vec::new();
        let mut last = Channel::File;
        for (Trial { channel, groups, .. }, score) in self.choose.iter().zip(scores_db) {
            let through = if *channel == last { String::new() } else { format!("{channel}: ") };
            last = *channel;
            if shown(*groups) || !through.is_empty() {
                parts.push(format!("{through}{score:.2} at {groups}"));
            }
        }
        let all = mean(scores_db);
        let parts = parts.join(", ");
        let text = format!("{who}: {parts} groups, {all:.3} dB over all levels, choosing groups");
        // Whether to stop is asked once a step, when there is a checkpoint.
        let _ = say(observer, &text);
    }

    /// The best network, if it is worth having.
    fn outcome(&self) -> Result<Option<(Network, u64)>> {
        let gain = self.best_db - mean(&self.linear_db);
        if self.best.is_empty() || gain < SMALLEST_GAIN_DB {
            return Ok(None);
        }
        let network = self.network(&self.best, &Device::flex())?;
        Ok(Some((network, self.progress.best_step)))
    }

    fn network(&self, parameters: &[(String, Array2<f32>)], device: &Device) -> Result<Network> {
        let by_name: HashMap<&str, &Array2<f32>> =
            parameters.iter().map(|(name, array)| (name.as_str(), array)).collect();
        let parameter = |name: &str| {
            let array = by_name.get(name).map(|array| (*array).clone());
            array.ok_or_else(|| {
                Error::new(Fault::Unsupported, "network", format!("parameter {name} is missing"))
            })
        };
        let network = Network::from_parameters(self.settings.part, &parameter, device)?;
        let linear = self.autoencoder.linear();
        match network.fits(linear.selected.len(), linear.components()) {
            true => Ok(network),
            false => Err(Error::new(
                Fault::Unsupported,
                "network",
                "its layers do not fit the linear path",
            )),
        }
    }

    fn break_off(&self, checkpoint: Option<&Path>) -> Result<Option<(Network, u64)>> {
        self.save(checkpoint)?;
        let what = format!("stopped at step {}", self.progress.step);
        let error = Error::new(Fault::Interrupted, "training", what);
        Err(match checkpoint {
            Some(_) => error.hint("go on with --resume"),
            None => error,
        })
    }

    /// Writes the state to `path`.
    fn save(&self, path: Option<&Path>) -> Result<()> {
        let (Some(path), Some(network)) = (path, &self.autoencoder.network) else {
            return Ok(());
        };
        let checkpoint = Checkpoint {
            settings: self.settings.clone(),
            linear_db: self.linear_db.clone(),
            progress: Progress { random: self.random.state(), ..self.progress.clone() },
            current: network.valid().parameters()?,
            best: self.best.clone(),
            moments: self.optimiser.moments()?,
        };
        checkpoint.save(path)
    }

    /// Goes on from the state at `path`.
    pub fn resume(&mut self, path: &Path) -> Result<()> {
        let checkpoint = Checkpoint::load(path)?;
        let same_data = checkpoint.linear_db.len() == self.linear_db.len()
            && checkpoint.linear_db.iter().zip(&self.linear_db).all(|(a, b)| (a - b).abs() < 1e-3);
        if checkpoint.settings != *self.settings || !same_data {
            let what = "a checkpoint of other data or other settings";
            return Err(Error::usage(path.display(), what)
                .hint("give the same arguments, or leave out --resume"));
        }
        let shapes: HashMap<&str, _> =
            checkpoint.current.iter().map(|(name, array)| (name.as_str(), array.dim())).collect();
        let misfit = checkpoint.moments.iter().find(|(name, array)| {
            let parameter = name.split_once('.').and_then(|(_, name)| shapes.get(name));
            parameter != Some(&array.dim())
        });
        if let Some((name, array)) = misfit {
            let what = format!("moment {name} is {:?}, unlike its parameter", array.dim());
            return Err(Error::input(path, what).hint("train anew, without --resume"));
        }
        let damaged = |e: Error| Error::input(path, e).hint("train anew, without --resume");
        let network = self.network(&checkpoint.current, &self.tracked).map_err(damaged)?;
        self.autoencoder.network = Some(network);
        let (steps, device) = (checkpoint.progress.step, self.autoencoder.device());
        self.optimiser.resume(&checkpoint.moments, steps, device);
        self.random = Random::new(checkpoint.progress.random);
        self.progress = checkpoint.progress;
        self.best = checkpoint.best;
        if !self.best.is_empty() {
            let mut plain = self.autoencoder.clone();
            let best = self.network(&self.best, plain.device()).map_err(damaged)?;
            plain.network = Some(best);
            self.best_db = mean(&psnr_db(&plain, &self.choose)?);
        }
        Ok(())
    }
}

/// Numbers of groups of a code of `values` values: 1, 2, 4 .. K.
fn levels(values: usize) -> impl Iterator<Item = usize> {
    (0..=values.ilog2()).map(|level| 1usize << level)
}

/// The pictures `choose` at every level through each of the channels, whose
/// draws stay the same.
fn trials(
    autoencoder: &Autoencoder,
    choose: &[Array3<f32>],
    settings: &Settings,
    ways: &Ways,
) -> Result<Vec<Trial>> {
    let mut random = Random::named(settings.seed, "noise on the choosing groups");
    let energy = vec![0.0; choose.len()];
    let mut trials = Vec::new();
    for (index, &channel) in settings.channels.iter().enumerate() {
        for groups in levels(settings.values) {
            let batch = Batch::new(autoencoder, choose, &energy, &vec![groups; choose.len()])?;
            let batch = match ways.link(index, groups) {
                Some(link) => batch.through(link, &mut random),
                None => batch,
            };
            trials.push(Trial { channel, groups, batch });
        }
    }
    Ok(trials)
}

impl Trial {
    /// The name of its curve.
    fn path(&self) -> String {
        let groups = self.groups;
        match self.channel {
            Channel::File => format!("choose/psnr_{groups}_db"),
            channel => {
                let channel = channel.to_string().replace(['=', '.', '-'], "_");
                format!("choose/{channel}/psnr_{groups}_db")
            }
        }
    }
}

/// Mean PSNR in dB of each of the trials.
fn psnr_db(autoencoder: &Autoencoder, trials: &[Trial]) -> Result<Vec<f64>> {
    let psnr = |Trial { batch, .. }: &Trial| -> Result<f64> {
        let error_db = error_db(autoencoder, batch, batch.components(autoencoder));
        Ok(-f64::from(read(error_db)?.first().copied().unwrap_or(0.0)))
    };
    trials.iter().map(psnr).collect()
}
