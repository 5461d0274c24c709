//! The file of a model: its bytes, and back.

use std::collections::HashMap;
use std::path::Path;

use burn::tensor::Device;
use half::f16;
use ndarray::{Array1, Array2};
use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use serde::{Deserialize, Serialize};

use super::{Model, Record};
use crate::autoencoder::linear::Linear;
use crate::autoencoder::{Autoencoder, Network, Part};
use crate::digest::Digest;
use crate::error::{Error, Fault, Result};
use crate::frame::Band;
use crate::profile::Profile;

/// Version of the file's layout.
const FORMAT: u32 = 3;

/// The oldest that is read, of values with a single digit.
const OLDEST_FORMAT: u32 = 2;

/// A picture has no more readings, all bands together: 256 MiB of them.
const MOST_READINGS: usize = 1 << 26;

/// What to do with a damaged file.
const ANEW: &str = "train or fetch it again";

/// What the metadata says, as JSON under the key `wysiwyh`.
#[derive(Serialize, Deserialize)]
struct About {
    format: u32,
    profile: Profile,
    bands: Vec<Band>,
    range: Vec<[f64; 2]>,
    grid: [usize; 2],
    spread: f32,
    record: Record,
}

impl About {
    /// Refuses what no model says of itself, before anything is computed from it;
    /// `origin` names the file.
    fn check(&self, origin: &str) -> Result<()> {
        let wrong = |what: String| Err(Error::input(origin, what).hint(ANEW));
        self.profile.check(Path::new(origin))?;
        let (bands, ranges) = (self.bands.len(), self.range.len());
        if bands == 0 || ranges != bands {
            return wrong(format!("{bands} bands and {ranges} ranges"));
        }
        if let Some([low, high]) = self.range.iter().find(|[low, high]| low >= high) {
            return wrong(format!("a range that starts at {low} and ends at {high}"));
        }
        let [rows, columns] = self.grid;
        let readings = rows.checked_mul(columns).and_then(|pixels| pixels.checked_mul(bands));
        if !readings.is_some_and(|readings| (1..=MOST_READINGS).contains(&readings)) {
            return wrong(format!(
                "pictures of {bands} bands of {rows} x {columns} pixels, it takes 1 to \
                 {MOST_READINGS} readings"
            ));
        }
        Ok(())
    }
}

impl Model {
    /// Reads a model file's `bytes`; `origin` names it in errors.
    ///
    /// # Errors
    ///
    /// As for [`Model::load`].
    pub fn from_bytes(bytes: &[u8], origin: &str) -> Result<Self> {
        let damaged = |what: String| Error::input(origin, what).hint(ANEW);
        let tensors = SafeTensors::deserialize(bytes)
            .map_err(|e| damaged(format!("no model file (safetensors): {e}")))?;
        let (_, metadata) = SafeTensors::read_metadata(bytes)
            .map_err(|e| damaged(format!("no model file (safetensors): {e}")))?;
        let about = metadata
            .metadata()
            .as_ref()
            .and_then(|m| m.get("wysiwyh"))
            .ok_or_else(|| damaged("a safetensors file, but no wysiwyh model".into()))?;
        let about: About = serde_json::from_str(about).map_err(|e| damaged(e.to_string()))?;
        if !(OLDEST_FORMAT..=FORMAT).contains(&about.format) {
            let what =
                format!("format {}, this version reads {OLDEST_FORMAT} to {FORMAT}", about.format);
            let hint = match about.format > FORMAT {
                true => "update wysiwyh",
                false => "train it again with this version",
            };
            return Err(Error::new(Fault::Unsupported, origin, what).hint(hint));
        }
        about.check(origin)?;
        let parameter = |name: &str| array(&tensors, name, origin);
        let linear = linear_from(&about, &parameter, &tensors, origin)?;
        let device = Device::flex();
        let mut autoencoder = Autoencoder::new(linear, about.spread, &device);
        let has = |end: &str| tensors.names().iter().any(|name| name.starts_with(end));
        if has("decoder.") {
            let part = if has("encoder.") { Part::Both } else { Part::Decoder };
            let network = Network::from_parameters(part, &parameter, &device)?;
            let linear = autoencoder.linear();
            if !network.fits(linear.selected.len(), linear.components()) {
                return Err(damaged("the network does not fit the linear path".into()));
            }
            autoencoder.network = Some(network);
        }
        let hash = Digest::of(bytes).to_string();
        Ok(Self {
            name: about.profile.name.clone(),
            autoencoder,
            profile: about.profile,
            bands: about.bands,
            range: about.range,
            view: None,
            record: about.record,
            file: bytes.to_vec(),
            hash,
        })
    }

    /// The model file as bytes.
    pub(super) fn to_bytes(&self) -> Result<Vec<u8>> {
        let linear = self.autoencoder.linear();
        let about = About {
            format: if linear.components() > linear.values { FORMAT } else { OLDEST_FORMAT },
            profile: self.profile.clone(),
            bands: self.bands.clone(),
            range: self.range.clone(),
            grid: linear.grid,
            spread: self.autoencoder.spread,
            record: self.record.clone(),
        };
        let about = serde_json::to_string(&about)
            .map_err(|e| Error::new(Fault::Unsupported, "model", e))?;
        let row = |values: &Array1<f32>| values.clone().insert_axis(ndarray::Axis(0));
        let mut parameters = vec![
            ("linear.band_mean".to_owned(), row(&linear.band_mean)),
            ("linear.spectral".to_owned(), linear.spectral.clone()),
            ("linear.centre".to_owned(), row(&linear.centre)),
            ("linear.variance".to_owned(), row(&linear.variance)),
            ("linear.energy".to_owned(), row(&linear.energy)),
            ("linear.synthesis".to_owned(), linear.synthesis.clone()),
            ("linear.deviation".to_owned(), row(&linear.deviation)),
        ];
        if let Some(network) = &self.autoencoder.network {
            parameters.extend(network.parameters()?);
        }
        let mut stored: Vec<(String, Dtype, Vec<usize>, Vec<u8>)> = parameters
            .into_iter()
            .map(|(name, array)| {
                let small = array.len() < 4096;
                let bytes = if small {
                    array.iter().flat_map(|v| v.to_le_bytes()).collect()
                } else {
                    array.iter().flat_map(|&v| f16::from_f32(v).to_le_bytes()).collect()
                };
                let dtype = if small { Dtype::F32 } else { Dtype::F16 };
                (name, dtype, vec![array.nrows(), array.ncols()], bytes)
            })
            .collect();
        let selected = linear.selected.iter().flat_map(|v| v.to_le_bytes()).collect();
        stored.push(("linear.selected".into(), Dtype::U32, vec![linear.selected.len()], selected));
        let views = stored
            .iter()
            .map(|(name, dtype, shape, bytes)| {
                TensorView::new(*dtype, shape.clone(), bytes).map(|view| (name.as_str(), view))
            })
            .collect::<std::result::Result<Vec<_>, _>>()
            .map_err(|e| Error::new(Fault::Unsupported, "model", e))?;
        let metadata = HashMap::from([("wysiwyh".to_owned(), about)]);
        safetensors::serialize(views, Some(metadata))
            .map_err(|e| Error::new(Fault::Unsupported, "model", e))
    }
}

/// The tensor `name` as an array; one-dimensional tensors become one row.
pub(crate) fn array(tensors: &SafeTensors<'_>, name: &str, origin: &str) -> Result<Array2<f32>> {
    let damaged = |what: String| Error::input(origin, format!("tensor {name}: {what}"));
    let tensor = tensors.tensor(name).map_err(|e| damaged(e.to_string()))?;
    let &[rows, columns] = tensor.shape() else {
        return Err(damaged(format!("{} dimensions instead of 2", tensor.shape().len())));
    };
    let bytes = tensor.data();
    let flat: Vec<f32> = match tensor.dtype() {
        Dtype::F32 => {
            bytes.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect()
        }
        Dtype::F16 => {
            bytes.chunks_exact(2).map(|b| f16::from_le_bytes([b[0], b[1]]).to_f32()).collect()
        }
        other => return Err(damaged(format!("of type {other:?} instead of F16 or F32"))),
    };
    if flat.is_empty() {
        return Err(damaged("is empty".into()));
    }
    if flat.iter().any(|v| !v.is_finite()) {
        return Err(damaged("has values that are not finite".into()));
    }
    Array2::from_shape_vec((rows, columns), flat).map_err(|e| damaged(e.to_string()))
}

/// The linear path of a model file, its shapes checked against each other.
fn linear_from(
    about: &About,
    parameter: &dyn Fn(&str) -> Result<Array2<f32>>,
    tensors: &SafeTensors<'_>,
    origin: &str,
) -> Result<Linear> {
    let row = |name: &str| parameter(name).map(|array| Array1::from_iter(array.iter().copied()));
    let selected = tensors
        .tensor("linear.selected")
        .map_err(|e| Error::input(origin, format!("tensor linear.selected: {e}")))?;
    let deviation = row("linear.deviation")?;
    let digits = if about.format == OLDEST_FORMAT { 1 } else { 2 };
    let linear = Linear {
        grid: about.grid,
        values: deviation.len() / digits,
        band_mean: row("linear.band_mean")?,
        spectral: parameter("linear.spectral")?,
        selected: selected
            .data()
            .chunks_exact(4)
            .map(|b| u32::from_le_bytes([b[0], b[1], b[2], b[3]]))
            .collect(),
        centre: row("linear.centre")?,
        variance: row("linear.variance")?,
        energy: row("linear.energy")?,
        synthesis: parameter("linear.synthesis")?,
        deviation,
    };
    let ([rows, columns], bands) = (about.grid, about.bands.len());
    let coefficients = linear.selected.len();
    let fits = linear.band_mean.len() == bands
        && linear.spectral.nrows() == bands
        && linear.spectral.ncols() <= bands
        && linear.centre.len() == coefficients
        && linear.variance.len() == coefficients
        && linear.energy.len() == coefficients
        && linear.synthesis.dim() == (coefficients, linear.deviation.len())
        && linear.deviation.len() == linear.values * digits
        && linear.values.is_power_of_two()
        && linear.values <= coefficients
        && linear.deviation.iter().all(|&d| d > 0.0)
        && about.spread > 0.0
        // As many components as bands at most, so that this has been checked.
        && linear.selected.iter().all(|&index| {
            (index as usize) < linear.spectral.ncols() * rows * columns
        });
    if !fits {
        let what = "the shapes of its tensors contradict each other";
        return Err(Error::input(origin, what).hint(ANEW));
    }
    Ok(linear)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    /// What comes of the model that ships for the simulated camera once `change`
    /// has been at what it says of itself, and only so many of its `coefficients`
    /// are left.
    fn altered(coefficients: usize, change: impl Fn(&mut Value)) -> Result<Model> {
        let bytes = Profile::shipped_model("simulated-lwir").unwrap();
        let tensors = SafeTensors::deserialize(bytes).unwrap();
        let (_, metadata) = SafeTensors::read_metadata(bytes).unwrap();
        let about = &metadata.metadata().as_ref().unwrap()["wysiwyh"];
        let mut about: Value = serde_json::from_str(about).unwrap();
        change(&mut about);
        let of_coefficients = ["selected", "centre", "variance", "energy", "synthesis"];
        let views = tensors.tensors().into_iter().map(|(name, view)| {
            let (mut shape, mut data) = (view.shape().to_vec(), view.data());
            if of_coefficients.iter().any(|end| name == format!("linear.{end}")) {
                let axis = usize::from(shape.len() == 2 && shape[0] == 1);
                data = &data[..data.len() / shape[axis] * coefficients.min(shape[axis])];
                shape[axis] = coefficients.min(shape[axis]);
            }
            (name, TensorView::new(view.dtype(), shape, data).unwrap())
        });
        let metadata = HashMap::from([("wysiwyh".to_owned(), about.to_string())]);
        let bytes = safetensors::serialize(views, Some(metadata)).unwrap();
        Model::from_bytes(&bytes, "crafted.safetensors")
    }

    #[test]
    fn what_no_model_says_of_itself_is_refused() {
        altered(usize::MAX, |_| {}).unwrap();
        let huge = 1u64 << 40;
        let cases: [(&str, Value, &str); 12] = [
            ("/grid", json!([huge, huge]), "1 bands of 1099511627776 x 1099511627776 pixels"),
            ("/grid", json!([u64::MAX, 2]), "x 2 pixels, it takes 1 to 67108864 readings"),
            ("/grid", json!([8192, 8193]), "1 bands of 8192 x 8193 pixels"),
            ("/grid", json!([0, 0]), "1 bands of 0 x 0 pixels"),
            ("/grid", json!([0, 64]), "1 bands of 0 x 64 pixels"),
            ("/grid", json!([3, 3]), "contradict each other"),
            ("/bands", json!([]), "0 bands and 1 ranges"),
            ("/range", json!([]), "1 bands and 0 ranges"),
            ("/range", json!([[5.0, 5.0]]), "starts at 5 and ends at 5"),
            ("/range", json!([[2.0, 1.0]]), "starts at 2 and ends at 1"),
            ("/spread", json!(0.0), "contradict each other"),
            ("/profile/frequencies_hz", json!([0.0, 5000.0]), "outside 20..20000"),
        ];
        for (place, value, what) in cases {
            let change = |about: &mut Value| *about.pointer_mut(place).unwrap() = value.clone();
            let error = altered(usize::MAX, change).unwrap_err().to_string();
            assert!(error.starts_with("crafted.safetensors: "), "{error}");
            assert!(error.contains(what), "{place}: {value}: {error}");
        }
        let mask = json!({"band": "QA", "coded": "bits", "clouds": [32]});
        let error = altered(usize::MAX, |about| about["profile"]["mask"] = mask.clone());
        assert!(error.unwrap_err().to_string().contains("bit 32"));
        for (coefficients, what) in [(0, "is empty"), (1, "contradict each other")] {
            let error = altered(coefficients, |_| {}).unwrap_err().to_string();
            assert!(error.contains(what), "{coefficients}: {error}");
        }
    }
}
