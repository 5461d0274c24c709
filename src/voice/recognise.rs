//! Which profile of the shelf a source is for.

use std::path::Path;

use crate::dataset::GRID;
use crate::error::{Error, Result};
use crate::frame::{BRIGHTEST, Band, Unit};
use crate::profile::{Match, Profile};
use crate::recorder::is_session;
use crate::sensor::{self, Detail, Object, Options, Scene, Session, Source, Speed};

/// The profile of the shelf that recognises `source`; the simulated camera
/// has its own, and a session names it. A file that none recognises is heard
/// as it describes itself: one that lies on a map or has more than three bands as
/// `generic-scene`, any other as `generic-picture`.
///
/// # Errors
///
/// If the source cannot be opened, is raw pixels, more than one profile fits it, or
/// it is a capture by a camera on the shelf that lacks the file of a lens.
pub fn recognise(source: &str, options: &Options) -> Result<Profile> {
    if options.raw.is_some() {
        return Err(Error::usage("--raw", "pixels do not say which instrument they are of")
            .hint("name it: --sensor NAME (`wysiwyh sensors list`), or --model FILE"));
    }
    if sensor::is_simulated(source) {
        return Profile::find("simulated-lwir");
    }
    if sensor::camera::is_one(source) {
        return sensor::camera::recognise(source, None);
    }
    if is_session(Path::new(source)) {
        return Profile::find(&Session::open(source)?.header().profile);
    }
    let shelf = Profile::shelf()?;
    if let Some(profile) = shelf.iter().find(|profile| named(&profile.matching, source)) {
        return Ok(profile.clone());
    }
    // What is known of the object and how fast it is to be heard tell nothing of
    // the instrument, and a source that takes neither is refused when it is opened
    // to be heard.
    let options = Options {
        chip: Some(GRID),
        detail: Detail::default(),
        frames: None,
        object: Object::default(),
        speed: Speed::default(),
        ..options.clone()
    };
    let sensor = sensor::open(source, None, &options)?;
    let found = sensor.source();
    let lacking = shelf.iter().find_map(|profile| incomplete(source, found, profile));
    let mut fitting: Vec<_> =
        shelf.into_iter().filter(|p| fits(&p.matching, found) && agrees(p, found)).collect();
    // Who asks for more knows the instrument better.
    let most = fitting.iter().map(|profile| marks(&profile.matching)).max();
    fitting.retain(|profile| Some(marks(&profile.matching)) == most);
    match (fitting.pop(), fitting.pop()) {
        (Some(profile), None) => Ok(profile),
        (None, _) => match lacking {
            Some(error) => Err(error),
            None => Profile::find(unknown(found)),
        },
        (Some(_), Some(_)) => {
            let bands = found.bands.len();
            let what = format!("more than one sensor on the shelf is known by its {bands} bands");
            Err(Error::input(source, what)
                .hint("name it: --sensor NAME (`wysiwyh sensors list`), or --model FILE"))
        }
    }
}

/// More bands than these are no picture for eyes.
const COLOURS: usize = 3;

/// The profile for `source`, in tiles where it is a single picture, which no
/// instrument on the shelf wrote: a picture that lies on a map, or has more bands
/// than colours, is a scene, and all else is pictures.
fn unknown(Source { bands, scene, .. }: &Source) -> &'static str {
    let is_scene = |scene: &Scene| scene.georeference.is_some() || bands.len() > COLOURS;
    if scene.as_ref().is_some_and(is_scene) { "generic-scene" } else { "generic-picture" }
}

/// Whether the name of `source` alone says which instrument it is.
fn named(matching: &Match, source: &str) -> bool {
    let name = Path::new(source).file_name().unwrap_or_default().to_string_lossy();
    matching.file_name.iter().any(|text| name.contains(text.as_str()))
}

/// Whether number of bands, format and model say so; a profile that asks for
/// more than a source can show is not recognised by less.
fn fits(matching: &Match, source: &Source) -> bool {
    let driver = matching.driver.is_empty()
        || source.driver.as_ref().is_some_and(|driver| matching.driver.contains(driver));
    let model = matching.model.is_empty()
        || source
            .model
            .as_ref()
            .is_some_and(|model| matching.model.iter().any(|text| model.contains(text.as_str())));
    let bands = matching.bands.is_none_or(|bands| bands == source.bands.len());
    let hidden = [&matching.usb, &matching.file_name];
    let asks = marks(matching) > 0 && hidden.iter().all(|list| list.is_empty());
    asks && driver && model && bands
}

/// What `source`, called `name`, lacks, if it is by the camera of `profile` and has
/// several of its bands, but not all. A single lens is a picture of its own.
fn incomplete(name: &str, source: &Source, profile: &Profile) -> Option<Error> {
    let Match { model, bands, .. } = &profile.matching;
    let own = source.model.as_ref()?;
    let is_short = bands.is_some_and(|bands| (2..bands).contains(&source.bands.len()));
    let is_own = model.iter().any(|text| own.contains(text.as_str()));
    (is_short && is_own).then(|| sensor::lacking(name, &source.bands, profile)).flatten()
}

/// Whether nothing that `source` says of its bands speaks against those that
/// `profile` lists. Where it is known by their number alone, names and numbers
/// count, too: many instruments, and many a year of months, have as many bands.
fn agrees(profile: &Profile, source: &Source) -> bool {
    let Some(listed) = profile.listed_bands() else { return true };
    let Match { driver, model, .. } = &profile.matching;
    if !driver.is_empty() || !model.is_empty() {
        return shares_wavelengths(listed, source);
    }
    let of_unit = |band: &Band| {
        band.unit == Unit::Counts || listed.iter().any(|listed| listed.unit == band.unit)
    };
    source.bands.iter().all(of_unit)
        && shares_wavelengths(listed, source)
        && is_in_order(listed, source)
        && !names_others(listed, source)
        && is_bright_enough(listed, source)
}

/// Whether every wavelength that `source` states is that of one of the bands
/// `listed`.
fn shares_wavelengths(listed: &[Band], source: &Source) -> bool {
    let known = |um: f32| {
        let mut centres = listed.iter().filter_map(|band| band.wavelength_um);
        centres.any(|centre| (centre - um).abs() <= sensor::SAME_BAND_UM)
    };
    let one_knows = listed.iter().any(|band| band.wavelength_um.is_some());
    !one_knows || source.bands.iter().filter_map(|band| band.wavelength_um).all(known)
}

/// Whether the names of the bands of `source` say which of those `listed` each of them
/// is, or do not speak against their order.
fn is_in_order(listed: &[Band], source: &Source) -> bool {
    let names: Vec<&str> = source.bands.iter().map(|band| band.name.as_str()).collect();
    sensor::places(&names, listed).is_some() || !sensor::misplaced(&names, listed)
}

/// Words that tell nothing of a band but which one it is, and not that of any
/// listed one.
const NUMBERING: [&str; 18] = [
    "band",
    "bands",
    "b",
    "layer",
    "layers",
    "lyr",
    "channel",
    "channels",
    "ch",
    "page",
    "slice",
    "raster",
    "image",
    "array",
    "data",
    "value",
    "values",
    "reflectance",
];

/// Whether all bands of `source` have names that tell something, and none of
/// them is that of a band `listed`, or its colour: months, or indices.
fn names_others(listed: &[Band], source: &Source) -> bool {
    let ours = |word: &str| {
        listed.iter().any(|band| {
            let (colour, _) = sensor::split_number(band.common_name.as_deref().unwrap_or_default());
            let (letters, number) = sensor::split_number(&band.name);
            sensor::split_number(word) == (letters, number)
                || (!colour.is_empty() && word.to_lowercase().starts_with(&colour))
        })
    };
    let others = |(at, band): (usize, &Band)| {
        let name = &band.name;
        let words = || name.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
        let lettered =
            || words().map(|word| sensor::split_number(word).0).filter(|word| !word.is_empty());
        let counts = lettered().next().is_some()
            && lettered().all(|word| NUMBERING.contains(&word.as_str()));
        let tells = *name != (at + 1).to_string() && !counts;
        let own = listed
            .iter()
            .any(|known| sensor::split_number(&known.name) == sensor::split_number(name));
        tells && !own && band.common_name.is_none() && !words().any(ours)
    };
    !source.bands.is_empty() && source.bands.iter().enumerate().all(others)
}

/// The least reflectance that something in a picture has.
const DIMMEST: f64 = 0.05;

/// Whether the highest number of `source` can be a reflectance, where the bands
/// `listed` are reflectances that are stored as larger numbers: bytes, and
/// degrees Celsius, are too small to be divided.
fn is_bright_enough(listed: &[Band], source: &Source) -> bool {
    let (Some(highest), Some(band), Some(own)) =
        (source.highest, listed.first(), source.bands.first())
    else {
        return true;
    };
    let divided = band.unit == Unit::Reflectance && band.scale < 1.0;
    let stated = (own.scale, own.offset) != (1.0, 0.0);
    !divided || stated || highest <= f64::from(BRIGHTEST) || highest * band.scale >= DIMMEST
}

/// How many of the marks that [`fits`] looks at are asked for.
fn marks(matching: &Match) -> usize {
    let lists = [&matching.driver, &matching.model];
    lists.iter().filter(|list| !list.is_empty()).count() + usize::from(matching.bands.is_some())
}

#[cfg(test)]
mod tests {
    use ndarray::Array3;

    use super::*;
    use crate::frame::Frame;

    /// A source of bands at these wavelengths in micrometres.
    fn source(wavelengths_um: &[Option<f32>]) -> Source {
        let band = |(at, &wavelength_um): (usize, &Option<f32>)| Band {
            wavelength_um,
            ..Band::new((at + 1).to_string(), Unit::Counts)
        };
        let bands = wavelengths_um.iter().enumerate().map(band).collect();
        Source { bands, ..Source::like(&Frame::new(Array3::zeros((0, 1, 1)), [].into(), 0.0), "") }
    }

    #[test]
    fn a_profile_without_marks_recognises_nothing() {
        let frame = |bands: usize| source(&vec![None; bands]);
        let nothing = Match::default();
        assert!(!named(&nothing, "simulated") && !fits(&nothing, &frame(1)));
        let twelve = Match { bands: Some(12), ..Match::default() };
        assert!(fits(&twelve, &frame(12)) && !fits(&twelve, &frame(13)));
        let hardware = Match { usb: vec!["09cb:1996".into()], ..twelve };
        assert!(!fits(&hardware, &frame(12)));
        let format = Match { driver: vec!["FLIR".into()], ..Match::default() };
        let flir = Source { driver: Some("FLIR".into()), ..frame(1) };
        assert!(fits(&format, &flir) && !fits(&format, &frame(1)));
        let camera = Match { model: vec!["FLIR AX5".into(), "FLIR A35".into()], ..format };
        assert!(!fits(&camera, &flir));
        assert!(fits(&camera, &Source { model: Some("FLIR A35 9Hz".into()), ..flir.clone() }));
    }

    #[test]
    fn a_source_with_wavelengths_is_of_an_instrument_that_has_those() {
        let sentinel = Profile::find("sentinel2-l2a").unwrap();
        let own: Vec<_> =
            sentinel.listed_bands().unwrap().iter().map(|b| b.wavelength_um).collect();
        let shifted = |by: f32| own.iter().map(|um| um.map(|um| um + by)).collect::<Vec<_>>();
        assert!(agrees(&sentinel, &source(&shifted(0.01))));
        assert!(agrees(&sentinel, &source(&[None; 12])), "nothing is stated that it has not");
        let mut foreign = own.clone();
        foreign[3] = Some(10.9);
        assert!(!agrees(&sentinel, &source(&foreign)));
        let named = |name: &str| {
            let mut named = source(&[None; 12]);
            let rename =
                |band: &Band| Band { name: format!("{name} {}", band.name), ..band.clone() };
            named.bands = named.bands.iter().map(rename).collect();
            agrees(&sentinel, &named)
        };
        assert!(named("bands") && named("reflectance") && !named("NDVI"));
        let any = Profile::find("enmap").unwrap();
        assert!(agrees(&any, &source(&foreign)), "its bands are those of the file");
    }
}
