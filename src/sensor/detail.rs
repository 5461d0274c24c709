//! How coarse a scene is heard, and so how long.

use serde::{Deserialize, Serialize};

use super::{Scene, duration};
use crate::error::{Error, Result};
use crate::synth::SLOT_S;

/// The longest sound that a scene becomes where nobody says how coarse or how
/// long, in seconds.
pub const LONGEST_S: f64 = 600.0;

/// How coarse a scene is heard. Pixels are averaged by whole numbers of them,
/// as many in a row as in a column.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Detail {
    /// Pixel by pixel, however long it takes.
    #[default]
    Native,
    /// Pixel by pixel where that lasts no longer than [`LONGEST_S`], else as
    /// fine as it then can be.
    Fitting,
    /// With pixels as near as possible to so many metres.
    Pixel(f64),
    /// As fine as lasts no longer than so many seconds; one chip at least.
    Duration(f64),
}

impl Detail {
    /// How many pixels of `scene` make one that is heard, each way; a pixel
    /// has `pixel_m` metres, if that is known. `source` is its name.
    ///
    /// # Errors
    ///
    /// If a size in metres is asked for where the pixels have none.
    pub(super) fn factor(self, source: &str, scene: &Scene, pixel_m: Option<f64>) -> Result<usize> {
        Ok(match (self, pixel_m) {
            (Self::Native, _) => 1,
            (Self::Fitting, _) => within(LONGEST_S, scene),
            (Self::Duration(seconds), _) => within(seconds, scene),
            (Self::Pixel(metres), Some(pixel_m)) => {
                let most = scene.rows.max(scene.columns).max(1);
                ((metres / pixel_m).round() as usize).clamp(1, most)
            }
            (Self::Pixel(_), None) => {
                let what = format!("{source} does not say how many metres its pixels have");
                return Err(Error::usage("--gsd", what)
                    .hint("choose by the length of its sound instead: --duration SECONDS"));
            }
        })
    }

    /// What people should know of a scene of `whole` that is heard as `heard`,
    /// with `factor` by `factor` pixels as one, by a model that learned from
    /// pixels of `trained_m` metres.
    pub(super) fn remark(
        self,
        whole: &Scene,
        heard: &Scene,
        factor: usize,
        pixel_m: Option<f64>,
        trained_m: Option<[f64; 2]>,
    ) -> Option<String> {
        let here_m = pixel_m.map(|metres| metres * factor as f64);
        let mut said = Vec::new();
        match (self, here_m) {
            (Self::Pixel(asked), Some(metres)) if (metres / asked - 1.0).abs() > 0.01 => {
                let own = pixel_m.unwrap_or(metres);
                said.push(format!(
                    "heard with pixels of {} metres, a multiple of its own {}, \
                     where {asked} were asked for",
                    plain(metres),
                    plain(own)
                ));
            }
            (Self::Fitting | Self::Duration(_), metres) if factor > 1 => {
                let pixels = match metres {
                    Some(metres) => format!("pixels of {} metres", plain(metres)),
                    None => format!("{factor} x {factor} pixels as one"),
                };
                said.push(format!("heard with {pixels}, {} of sound", duration(seconds(heard))));
                if self == Self::Fitting {
                    let all = match pixel_m {
                        Some(metres) => format!("--gsd {}", plain(metres)),
                        None => format!("--duration {:.0}", seconds(whole).ceil()),
                    };
                    said.push(format!(
                        "pixel by pixel it is {} of sound: {all} asks for that, --duration \
                         SECONDS for any other length",
                        duration(seconds(whole))
                    ));
                }
            }
            _ => {}
        }
        if let (Some(metres), Some([_, coarsest])) = (here_m, trained_m)
            && factor > 1
            && metres > 1.01 * coarsest
        {
            said.push(format!(
                "its model learned from pixels of up to {coarsest} metres, and may show less of \
                 coarser ones"
            ));
        }
        (!said.is_empty()).then(|| format!("{}.", said.join("; ")))
    }
}

/// The smallest factor by which `scene` lasts no longer than `limit_s`, or is
/// one chip.
fn within(limit_s: f64, scene: &Scene) -> usize {
    // Half a slot of tolerance: seconds are decimal, slots are not.
    let lasts = |factor: usize| seconds(&scene.coarser(factor)) <= limit_s + SLOT_S / 2.0;
    let (mut low, mut high) = (1, scene.rows.max(scene.columns).max(1));
    while low < high {
        let middle = low + (high - low) / 2;
        (low, high) = if lasts(middle) { (low, middle) } else { (middle + 1, high) };
    }
    // What still is one chip may be finer than one pixel.
    let chip = scene.rows.max(scene.columns).div_ceil(scene.chip.max(1)).max(1);
    low.min(chip)
}

fn seconds(scene: &Scene) -> f64 {
    let (down, across) = scene.chips();
    down as f64 * across as f64 * SLOT_S
}

/// A number of metres, to the centimetre.
fn plain(metres: f64) -> f64 {
    (metres * 100.0).round() / 100.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scene(rows: usize, columns: usize) -> Scene {
        Scene::new([rows, columns], 64, Default::default())
    }

    fn factor(detail: Detail, scene: &Scene) -> usize {
        detail.factor("a.tif", scene, Some(10.0)).unwrap()
    }

    #[test]
    fn a_tile_of_sentinel_2_is_as_long_as_was_asked() {
        let tile = scene(10980, 10980);
        assert_eq!(duration(seconds(&tile)), "49 minutes");
        assert_eq!(factor(Detail::Native, &tile), 1);
        assert_eq!(factor(Detail::Pixel(60.0), &tile), 6);
        assert_eq!(duration(seconds(&tile.coarser(6))), "84.1 seconds");
        // 58 x 58 chips last 336 seconds, 86 x 86 last 740.
        assert_eq!(factor(Detail::Fitting, &tile), 3);
        assert_eq!(factor(Detail::Duration(84.1), &tile), 6);
        assert_eq!(factor(Detail::Duration(1e9), &tile), 1);
        // One chip is the least.
        assert_eq!(factor(Detail::Duration(0.0), &tile), 172);
        assert_eq!(tile.coarser(172).chips(), (1, 1));
        assert_eq!(factor(Detail::Fitting, &scene(264, 264)), 1);
        assert_eq!(factor(Detail::Fitting, &scene(0, 0)), 1);
        for limit_s in [1.0, 10.0, 77.7, 500.0] {
            let found = factor(Detail::Duration(limit_s), &tile);
            assert!(seconds(&tile.coarser(found)) <= limit_s + 1e-9);
            assert!(seconds(&tile.coarser(found - 1)) > limit_s);
        }
    }

    #[test]
    fn what_is_heard_is_said() {
        let tile = scene(10980, 10980);
        let say = |detail: Detail, factor, pixel_m| {
            detail.remark(&tile, &tile.coarser(factor), factor, pixel_m, Some([10.0, 10.0]))
        };
        assert_eq!(say(Detail::Native, 1, Some(10.0)), None);
        assert_eq!(say(Detail::Fitting, 1, Some(30.0)), None);
        let text = say(Detail::Fitting, 3, Some(10.0)).unwrap();
        let expected = "heard with pixels of 30 metres, 6 minutes of sound; pixel by pixel it \
                        is 49 minutes of sound: --gsd 10 asks for that, --duration SECONDS \
                        for any other length; its model learned from pixels of up to 10 metres, \
                        and may show less of coarser ones.";
        assert_eq!(text, expected);
        let text = say(Detail::Fitting, 3, None).unwrap();
        assert!(text.contains("3 x 3 pixels as one") && text.contains("--duration 2959"), "{text}");
        let text = say(Detail::Pixel(25.0), 3, Some(10.0)).unwrap();
        assert!(text.contains("30 metres, a multiple of its own 10,"), "{text}");
        assert!(Detail::Pixel(60.0).factor("a.tif", &tile, None).is_err());
    }
}
