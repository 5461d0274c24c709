//! How a GigE Vision or USB3 Vision camera is set up: the table `[genicam]` of
//! a profile.

use serde::{Deserialize, Serialize};

/// What to ask of a camera before its first picture, in GenICam's terms.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct GenICam {
    /// Pixel formats by name, as `"Mono14"`, the best first; none: the deepest
    /// grey that the camera offers.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub formats: Vec<String>,
    /// Features as `"NAME=VALUE"`, set in this order where the camera has
    /// them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub features: Vec<String>,
}

impl GenICam {
    /// What is wrong with it, if anything is.
    pub(super) fn fault(&self) -> Option<String> {
        let wrong = |feature: &&String| {
            let (name, value) = feature.split_once('=').unwrap_or_default();
            name.is_empty() || value.is_empty() || feature.contains(char::is_whitespace)
        };
        let feature = self.features.iter().find(wrong)?;
        Some(format!("the camera's feature {feature:?} is not NAME=VALUE"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_feature_has_a_name_and_a_value() {
        let fault =
            |feature: &str| GenICam { features: vec![feature.into()], ..GenICam::default() };
        assert_eq!(fault("IRFormat=TemperatureLinear10mK").fault(), None);
        for wrong in ["", "AcquisitionStart", "=1", "Width=", "Width=1 Height=2", "Width = 1"] {
            assert!(fault(wrong).fault().is_some(), "{wrong:?}");
        }
    }
}
