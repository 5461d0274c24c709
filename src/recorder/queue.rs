//! The bounded queue between the sound and one target.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use ndarray::Array3;

use super::{Origin, Pace};

/// So many slots may wait with their pictures: about three seconds.
pub(super) const PICTURES: usize = 32;

/// So many entries may wait at all: an hour at ten slots a second, 27 MB of 64
/// values or 82 MB of 256 for each target.
pub(super) const ENTRIES: usize = 36_000;

/// The large part of a slot.
#[derive(Debug)]
pub(super) struct Pictures {
    pub input: Array3<f32>,
    pub reconstruction: Option<(Array3<f32>, Origin)>,
}

/// A slot; cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Slot {
    pub slot: u64,
    pub time_s: f64,
    pub code: Arc<[f32]>,
    pub levels_db: Arc<[f32]>,
    pub loudness_lufs: f64,
    pub band_energy: f64,
    pub psnr_db: Option<f64>,
    pub latency_s: Option<f64>,
    pub sample: Option<u64>,
    pub left_out: Option<u64>,
    pub extremes: [Option<f64>; 3],
    /// None where they were dropped.
    pub pictures: Option<Arc<Pictures>>,
    /// How many pictures had been dropped when this slot was queued.
    pub dropped: u64,
}

/// What is queued.
#[derive(Clone, Debug)]
pub(super) enum Entry {
    Slot(Slot),
    Scalar { path: String, step: u64, value: f64 },
    Mark { slot: u64, time_s: f64, text: String },
}

impl Entry {
    fn has_pictures(&self) -> bool {
        matches!(self, Entry::Slot(slot) if slot.pictures.is_some())
    }
}

/// First in, first out, with two limits: one for entries with pictures, one
/// for all.
#[derive(Debug)]
pub(super) struct Queue {
    pace: Pace,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    entries: VecDeque<Entry>,
    /// Entries among them that have pictures.
    pictures: usize,
    /// Pictures dropped so far.
    dropped: u64,
    /// Entries taken so far.
    taken: u64,
    /// No more entries will come.
    closed: bool,
    /// Entries are not wanted any more, and why.
    failure: Option<String>,
    /// The consumer is gone.
    ended: bool,
    /// Files in which the session goes on, as long as nobody was told.
    begun: Vec<PathBuf>,
}

impl Queue {
    pub fn new(pace: Pace) -> Self {
        Self { pace, state: Mutex::default(), changed: Condvar::new() }
    }

    /// No code that holds the lock can panic halfway through a change.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&self, state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        self.changed.wait(state).unwrap_or_else(PoisonError::into_inner)
    }

    /// Queues `entry`: see [`Pace`] for what happens while the queue is full.
    /// After a failure nothing is queued.
    pub fn push(&self, mut entry: Entry) {
        let mut state = self.lock();
        while self.pace == Pace::Batch && state.is_full() && state.failure.is_none() {
            state = self.wait(state);
        }
        if state.failure.is_some() || state.closed {
            return;
        }
        if state.entries.len() >= ENTRIES {
            let what = format!("fell {ENTRIES} slots behind and was given up");
            state.fail(what);
            return self.changed.notify_all();
        }
        if let Entry::Slot(slot) = &mut entry {
            if slot.pictures.is_some() && state.pictures >= PICTURES {
                slot.pictures = None;
                state.dropped += 1;
            }
            slot.dropped = state.dropped;
        }
        state.pictures += usize::from(entry.has_pictures());
        state.entries.push_back(entry);
        self.changed.notify_all();
    }

    /// The next entry, as soon as there is one; none after the last.
    pub fn pop(&self) -> Option<Entry> {
        let mut state = self.lock();
        loop {
            if let Some(entry) = state.entries.pop_front() {
                state.pictures -= usize::from(entry.has_pictures());
                state.taken += 1;
                self.changed.notify_all();
                return Some(entry);
            }
            if state.closed || state.failure.is_some() {
                return None;
            }
            state = self.wait(state);
        }
    }

    /// No more entries will be pushed.
    pub fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_all();
    }

    /// Entries are not wanted any more; the first reason counts.
    pub fn fail(&self, what: String) {
        self.lock().fail(what);
        self.changed.notify_all();
    }

    /// The consumer is gone.
    pub fn end(&self) {
        self.lock().ended = true;
        self.changed.notify_all();
    }

    /// The session goes on in the file at `path`.
    pub fn begin(&self, path: PathBuf) {
        self.lock().begun.push(path);
    }

    /// What [`Self::begin`] told since this was asked last.
    pub fn begun(&self) -> Vec<PathBuf> {
        std::mem::take(&mut self.lock().begun)
    }

    /// Why entries are not wanted any more.
    pub fn failure(&self) -> Option<String> {
        self.lock().failure.clone()
    }

    pub fn dropped(&self) -> u64 {
        self.lock().dropped
    }

    /// Waits until the consumer is gone; false if it stays and takes nothing
    /// for as long as `patience`.
    pub fn wait_for_end(&self, patience: Duration) -> bool {
        let mut state = self.lock();
        let (mut taken, mut since) = (state.taken, Instant::now());
        while !state.ended {
            if state.taken != taken {
                (taken, since) = (state.taken, Instant::now());
            }
            let Some(left) = patience.checked_sub(since.elapsed()) else { return false };
            let waited = self.changed.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        true
    }
}

impl State {
    fn is_full(&self) -> bool {
        self.pictures >= PICTURES || self.entries.len() >= ENTRIES
    }

    fn fail(&mut self, what: String) {
        self.failure.get_or_insert(what);
        self.entries.clear();
        self.pictures = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slot(number: u64) -> Entry {
        Entry::Slot(Slot {
            slot: number,
            time_s: number as f64 / 10.0,
            code: [0.5].into(),
            levels_db: [-40.0].into(),
            loudness_lufs: -23.0,
            band_energy: 0.5,
            psnr_db: None,
            latency_s: None,
            sample: None,
            left_out: None,
            extremes: [None; 3],
            pictures: Some(Arc::new(Pictures {
                input: Array3::zeros((1, 1, 1)),
                reconstruction: None,
            })),
            dropped: 0,
        })
    }

    fn drain(queue: &Queue) -> Vec<Slot> {
        queue.close();
        std::iter::from_fn(|| queue.pop())
            .filter_map(|entry| match entry {
                Entry::Slot(slot) => Some(slot),
                _ => None,
            })
            .collect()
    }

    #[test]
    fn live_drops_pictures_and_nothing_else() {
        let queue = Queue::new(Pace::Live);
        (0..100).for_each(|number| queue.push(slot(number)));
        assert_eq!(queue.dropped(), 100 - PICTURES as u64);
        let slots = drain(&queue);
        assert!(slots.iter().map(|slot| slot.slot).eq(0..100));
        assert!(slots.iter().all(|slot| slot.pictures.is_some() == (slot.slot < PICTURES as u64)));
        assert_eq!(slots[99].dropped, queue.dropped());
    }

    #[test]
    fn pictures_are_taken_again_once_there_is_room() {
        let queue = Queue::new(Pace::Live);
        (0..40).for_each(|number| queue.push(slot(number)));
        (0..5).for_each(|_| drop(queue.pop()));
        queue.push(slot(40));
        let slots = drain(&queue);
        assert_eq!(queue.dropped(), 8);
        assert!(slots.last().unwrap().pictures.is_some());
    }

    #[test]
    fn a_target_an_hour_behind_is_given_up_and_holds_nothing() {
        let queue = Queue::new(Pace::Live);
        (0..=ENTRIES as u64).for_each(|number| queue.push(slot(number)));
        assert!(queue.failure().unwrap().contains("36000"));
        queue.push(slot(1));
        assert!(queue.pop().is_none());
        assert!(queue.lock().entries.is_empty());
    }

    #[test]
    fn batch_waits_and_drops_nothing() {
        let queue = Queue::new(Pace::Batch);
        let slots = std::thread::scope(|scope| {
            let consumer = scope
                .spawn(|| std::iter::from_fn(|| queue.pop()).filter(Entry::has_pictures).count());
            for number in 0..1000 {
                queue.push(slot(number));
                assert!(queue.lock().entries.len() <= PICTURES);
            }
            queue.close();
            consumer.join().unwrap()
        });
        assert_eq!((slots, queue.dropped()), (1000, 0));
    }

    #[test]
    fn batch_does_not_wait_for_a_consumer_that_failed() {
        let queue = Queue::new(Pace::Batch);
        std::thread::scope(|scope| {
            scope.spawn(|| (0..100).for_each(|number| queue.push(slot(number))));
            drop(queue.pop());
            queue.fail("disk full".into());
        });
        assert_eq!(queue.failure().as_deref(), Some("disk full"));
    }

    #[test]
    fn patience_ends_only_where_nothing_is_taken() {
        let queue = Queue::new(Pace::Live);
        assert!(!queue.wait_for_end(Duration::from_millis(1)));
        queue.end();
        assert!(queue.wait_for_end(Duration::ZERO));
    }
}
