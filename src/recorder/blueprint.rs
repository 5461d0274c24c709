//! The layout of a session in the viewer.

use rerun::blueprint::components::PanelState;
use rerun::blueprint::{
    BarChartView, Blueprint, BlueprintPanel, ContainerLike, Horizontal, SelectionPanel,
    Spatial2DView, Tabs, TensorView, TextDocumentView, TextLogView, TimePanel, TimeSeriesView,
    Vertical,
};

use super::queue::Slot;
use super::{Origin, Session};
use crate::picture::legend;

/// The numbers of a slot: entity and name, in the order of [`Slot`].
pub(super) const SCORES: [(&str, &str); 7] = [
    ("scores/loudness_lufs", "loudness, LUFS"),
    ("scores/band_energy", "band energy, 0..1"),
    ("scores/psnr_db", "PSNR, dB"),
    ("scores/latency_s", "latency, s"),
    ("scores/sample", "first sample that the picture changes"),
    ("scores/left_out", "pictures of the source left out"),
    ("scores/drops", "pictures dropped"),
];

/// The numbers of the scene itself, likewise.
pub(super) const SCENE: [(&str, &str); 3] =
    [("scene/highest", "highest"), ("scene/lowest", "lowest"), ("scene/centre", "centre")];

/// Where the pictures of `origin` are logged.
pub(super) fn entity(origin: Origin) -> &'static str {
    match origin {
        Origin::FromCode => "reconstruction/from_code",
        Origin::FromSound => "reconstruction/from_sound",
    }
}

/// What people call these pictures.
fn title(origin: Origin) -> &'static str {
    match origin {
        Origin::FromCode => "Reconstruction from code",
        Origin::FromSound => "Reconstruction from sound",
    }
}

/// What there is to show.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Layout {
    slots: bool,
    from_code: bool,
    from_sound: bool,
    psnr: bool,
    latency: bool,
    left_out: bool,
    scene: bool,
    curves: bool,
    marks: bool,
}

impl Layout {
    /// What `slot` shows.
    pub fn of(slot: &Slot) -> Self {
        let pictures = slot.pictures.as_deref();
        let origin = pictures.and_then(|p| p.reconstruction.as_ref()).map(|back| back.1);
        Self {
            slots: true,
            from_code: origin == Some(Origin::FromCode),
            from_sound: origin == Some(Origin::FromSound),
            psnr: slot.psnr_db.is_some(),
            latency: slot.latency_s.is_some(),
            left_out: slot.left_out.is_some(),
            scene: slot.extremes.iter().any(Option::is_some),
            curves: false,
            marks: false,
        }
    }

    /// Curves over training steps.
    pub fn curves() -> Self {
        Self { curves: true, ..Self::default() }
    }

    /// Marks on the timelines of slots.
    pub fn marks() -> Self {
        Self { slots: true, marks: true, ..Self::default() }
    }

    /// Both.
    pub fn with(self, other: Self) -> Self {
        Self {
            slots: self.slots || other.slots,
            from_code: self.from_code || other.from_code,
            from_sound: self.from_sound || other.from_sound,
            psnr: self.psnr || other.psnr,
            latency: self.latency || other.latency,
            left_out: self.left_out || other.left_out,
            scene: self.scene || other.scene,
            curves: self.curves || other.curves,
            marks: self.marks || other.marks,
        }
    }

    /// The layout of the original's demonstration: input top left,
    /// reconstruction top right, spectrum below; then everything else in
    /// tabs. Without slots: the curves.
    pub fn blueprint(self, about: &Session) -> Blueprint {
        let root: ContainerLike = match self.slots {
            true => Vertical::new([
                self.pictures(about),
                self.spectrum(about),
                Tabs::new(self.tabs()).into(),
            ])
            .with_row_shares([5.0, 2.0, 3.0])
            .into(),
            false => {
                Vertical::new([self.training(), about_view()]).with_row_shares([3.0, 1.0]).into()
            }
        };
        let timeline = if self.slots { "time" } else { "step" };
        Blueprint::new(root)
            .with_auto_views(false)
            .with_blueprint_panel(BlueprintPanel::from_state(PanelState::Collapsed))
            .with_selection_panel(SelectionPanel::from_state(PanelState::Collapsed))
            .with_time_panel(
                TimePanel::new().with_state(PanelState::Collapsed).with_timeline(timeline),
            )
    }

    fn origins(self) -> impl Iterator<Item = Origin> {
        let code = self.from_code.then_some(Origin::FromCode);
        code.into_iter().chain(self.from_sound.then_some(Origin::FromSound))
    }

    fn pictures(self, about: &Session) -> ContainerLike {
        let legend = legend(&about.range, &about.bands);
        let input = Spatial2DView::new(format!("Input: {legend}")).with_origin("input");
        let back = self
            .origins()
            .map(|origin| Spatial2DView::new(title(origin)).with_origin(entity(origin)).into());
        Horizontal::new([ContainerLike::from(input)].into_iter().chain(back)).into()
    }

    fn spectrum(self, about: &Session) -> ContainerLike {
        let name = format!("Spectrum: dB above {:.0} dB, over Hz", about.levels_db[0]);
        BarChartView::new(name).with_origin("spectrum").into()
    }

    fn tabs(self) -> Vec<ContainerLike> {
        let mut tabs: Vec<ContainerLike> = vec![
            BarChartView::new("Code: values from 0 to 1").with_origin("code").into(),
            Spatial2DView::new("Spectrogram: last 10 s, high on top, loud is bright")
                .with_origin("spectrogram")
                .into(),
            self.scores(),
            self.values(),
        ];
        if self.curves {
            tabs.push(self.training());
        }
        if self.marks {
            tabs.push(TextLogView::new("Marks").with_origin("marks").into());
        }
        tabs.push(about_view());
        tabs
    }

    /// One plot per score, as their units differ, and one of the scene.
    fn scores(self) -> ContainerLike {
        let present = [true, true, self.psnr, self.latency, false, self.left_out, true];
        let plots = SCORES.into_iter().zip(present).filter(|(_, present)| *present);
        let plots = plots.map(|((path, name), _)| {
            ContainerLike::from(TimeSeriesView::new(name).with_origin(path))
        });
        let scene = TimeSeriesView::new("Scene: highest, lowest, centre").with_origin("scene");
        let scene = self.scene.then(|| ContainerLike::from(scene));
        Horizontal::new(scene.into_iter().chain(plots)).with_name("Scores").into()
    }

    fn values(self) -> ContainerLike {
        let view = |title: &str, entity: &str| {
            let view = TensorView::new(format!("{title}: numbers"));
            ContainerLike::from(view.with_origin(format!("{entity}/values")))
        };
        let back = self.origins().map(|origin| view(title(origin), entity(origin)));
        let input = view("Input", "input");
        Horizontal::new([input].into_iter().chain(back)).with_name("Numbers").into()
    }

    fn training(self) -> ContainerLike {
        let apart = ["input", "reconstruction", "scores"].map(|entity| format!("- /{entity}/**"));
        let contents = ["+ /**".to_owned()].into_iter().chain(apart);
        TimeSeriesView::new("Curves").with_contents(contents).into()
    }
}

fn about_view() -> ContainerLike {
    TextDocumentView::new("About").with_origin("about").into()
}
