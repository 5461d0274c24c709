//! The state of training in a file, from which it goes on.

use std::collections::HashMap;
use std::io::Write;
use std::path::Path;

use ndarray::Array2;
use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use serde::{Deserialize, Serialize};

use super::Settings;
use crate::error::{Error, Fault, Result};
use crate::intake;
use crate::model::array;
use crate::staging::StagedFile;

/// A checkpoint of the largest networks, of 4096 units, is half as long.
const MAX_BYTES: u64 = 2 << 30;

/// A step takes a millisecond at least: these are fifty days.
const MOST_STEPS: u64 = u32::MAX as u64;

/// How far training is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Progress {
    /// Steps so far.
    pub step: u64,
    /// Seconds so far, interruptions not counted.
    pub elapsed_s: f64,
    /// State of the generator of batches.
    pub random: u64,
    /// The step with the best score so far.
    pub best_step: u64,
}

/// What training needs to go on.
#[derive(Debug, PartialEq)]
pub(super) struct Checkpoint {
    pub settings: Settings,
    /// Scores of the linear path, which tell other data.
    pub linear_db: Vec<f64>,
    pub progress: Progress,
    /// Parameters by name, now and at the best step.
    pub current: Vec<(String, Array2<f32>)>,
    pub best: Vec<(String, Array2<f32>)>,
    /// Moments of the optimiser.
    pub moments: Vec<(String, Array2<f32>)>,
}

#[derive(Serialize, Deserialize)]
struct About {
    settings: Settings,
    linear_db: Vec<f64>,
    progress: Progress,
}

impl Checkpoint {
    /// Writes it: under a temporary name first, then renamed.
    pub fn save(&self, path: &Path) -> Result<()> {
        let unable = |e: &dyn std::fmt::Display| Error::new(Fault::Output, path.display(), e);
        let about = About {
            settings: self.settings.clone(),
            linear_db: self.linear_db.clone(),
            progress: self.progress.clone(),
        };
        let about = serde_json::to_string(&about).map_err(|e| unable(&e))?;
        let named = |prefix: &'static str, parameters: &'_ [(String, Array2<f32>)]| {
            let flat = |array: &Array2<f32>| array.iter().flat_map(|v| v.to_le_bytes()).collect();
            let entry = |(name, array): &(String, Array2<f32>)| {
                let shape = vec![array.nrows(), array.ncols()];
                (format!("{prefix}{name}"), Dtype::F32, shape, flat(array))
            };
            parameters.iter().map(entry).collect::<Vec<(String, Dtype, Vec<usize>, Vec<u8>)>>()
        };
        let mut stored = named("current.", &self.current);
        stored.extend(named("best.", &self.best));
        stored.extend(named("moment.", &self.moments));
        let views = stored
            .iter()
            .map(|(name, dtype, shape, bytes)| {
                TensorView::new(*dtype, shape.clone(), bytes).map(|view| (name.as_str(), view))
            })
            .collect::<std::result::Result<Vec<_>, _>>()
            .map_err(|e| unable(&e))?;
        let metadata = HashMap::from([("wysiwyh-checkpoint".to_owned(), about)]);
        let bytes = safetensors::serialize(views, Some(metadata)).map_err(|e| unable(&e))?;
        let mut file = StagedFile::create(path)?;
        file.file().write_all(&bytes).map_err(|e| unable(&e))?;
        file.finish()
    }

    /// Reads the file at `path`.
    pub fn load(path: &Path) -> Result<Self> {
        let origin = path.display().to_string();
        let bytes = intake::read(path, MAX_BYTES)?;
        let damaged = |what: String| Error::input(path, what).hint("train anew, without --resume");
        let tensors = SafeTensors::deserialize(&bytes)
            .map_err(|e| damaged(format!("no checkpoint (safetensors): {e}")))?;
        let (_, metadata) = SafeTensors::read_metadata(&bytes)
            .map_err(|e| damaged(format!("no checkpoint (safetensors): {e}")))?;
        let about = metadata.metadata().as_ref().and_then(|m| m.get("wysiwyh-checkpoint"));
        let about = about.ok_or_else(|| damaged("a safetensors file, but no checkpoint".into()))?;
        let About { settings, linear_db, progress } =
            serde_json::from_str(about).map_err(|e| damaged(e.to_string()))?;
        let Progress { step, best_step, elapsed_s, .. } = progress;
        if step > MOST_STEPS || best_step > step || elapsed_s < 0.0 {
            return Err(damaged(format!(
                "it stands at step {step} of {MOST_STEPS} at most, was best at {best_step}, and \
                 took {elapsed_s} s"
            )));
        }
        let parameters = |prefix: &str| -> Result<Vec<(String, Array2<f32>)>> {
            let mut names: Vec<&str> =
                tensors.names().into_iter().filter(|name| name.starts_with(prefix)).collect();
            names.sort_unstable();
            let read = |name: &str| {
                array(&tensors, name, &origin).map(|array| (name[prefix.len()..].to_owned(), array))
            };
            names.into_iter().map(read).collect()
        };
        let (current, best) = (parameters("current.")?, parameters("best.")?);
        let moments = parameters("moment.")?;
        Ok(Self { settings, linear_db, progress, current, best, moments })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::Budget;

    #[test]
    fn progress_that_nobody_made_is_damage() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model.checkpoint");
        let stored = |step, best_step, elapsed_s| {
            let parameter = ("weight".to_owned(), Array2::from_elem((2, 3), 0.5));
            let checkpoint = Checkpoint {
                settings: Settings { budget: Budget::Minutes(0.1), ..Settings::default() },
                linear_db: vec![20.0],
                progress: Progress { step, elapsed_s, random: 7, best_step },
                current: vec![parameter.clone()],
                best: vec![],
                moments: vec![parameter],
            };
            checkpoint.save(&path).unwrap();
            (checkpoint, Checkpoint::load(&path))
        };
        let (sent, back) = stored(200, 150, 3.5);
        assert_eq!(back.unwrap(), sent);
        for (step, best_step, elapsed_s) in
            [(u64::MAX, 0, 1.0), (MOST_STEPS + 1, 0, 1.0), (5, 6, 1.0), (5, 5, -1e300)]
        {
            let error = stored(step, best_step, elapsed_s).1.unwrap_err().to_string();
            assert!(error.contains(&format!("it stands at step {step} of 4294967295")), "{error}");
        }
    }
}
