//! What every unit is at, so that a run can say so: a unit is never silent for long, and a slow record is named while it is
//! worked on.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use arrow::array::{Array, RecordBatch};
use pageloom_schemas::{Key, columns};
use tokio::sync::oneshot;

use crate::engine::clock::resident_bytes;
use crate::engine::memory::{Bounds, megabytes};
use crate::step::shorten;
use crate::tell;

/// The units that are worked on now.
#[derive(Debug, Default)]
pub struct Watch {
    units: Mutex<BTreeMap<u64, Arc<AtWork>>>,
    numbers: AtomicU64,
}

/// One unit, from its beginning to its commit.
#[derive(Debug)]
pub struct AtWork {
    unit: String,
    began: Instant,
    told: Mutex<Instant>,
    last: Mutex<String>,
    hands: Mutex<BTreeMap<u64, Arc<Hand>>>,
    numbers: AtomicU64,
}

/// Rows that one step is working on, on one thread.
#[derive(Debug)]
pub struct Hand {
    unit: String,
    step: String,
    rows: RecordBatch,
    turn: Mutex<Turn>,
}

/// The row that it is the turn of.
#[derive(Debug, Clone, Copy)]
struct Turn {
    /// None where a step takes all at once.
    row: Option<usize>,
    began: Instant,
    /// Whether it was said that it is slow.
    named: bool,
}

impl Turn {
    /// A row's turn begins now.
    fn of(row: Option<usize>) -> Self {
        Self { row, began: Instant::now(), named: false }
    }

    fn seconds(&self, now: Instant) -> u64 {
        now.saturating_duration_since(self.began).as_secs()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Watch {
    /// A unit begins, and is watched until what is returned is dropped.
    pub fn begin(self: &Arc<Self>, unit: String) -> UnitAtWork {
        let (number, now) = (self.numbers.fetch_add(1, Ordering::Relaxed), Instant::now());
        let at_work = Arc::new(AtWork {
            unit,
            began: now,
            told: Mutex::new(now),
            last: Mutex::default(),
            hands: Mutex::default(),
            numbers: AtomicU64::new(0),
        });
        lock(&self.units).insert(number, at_work.clone());
        UnitAtWork { watch: self.clone(), number, at_work }
    }

    /// What is to be said now: each unit that was silent for `silence`, and each record that was just found to be in hand
    /// for `slow` and was not named before.
    pub fn lines(&self, now: Instant, silence: Duration, slow: Duration) -> Vec<String> {
        let units: Vec<Arc<AtWork>> = lock(&self.units).values().cloned().collect();
        units.iter().flat_map(|unit| unit.lines(now, silence, slow)).collect()
    }

    fn exceeded(&self, bounds: Bounds, held: u64, now: Instant) -> String {
        let [held, limit, rest] = [held, bounds.limit, bounds.limit - bounds.mark].map(megabytes);
        let at_work = self.at_work(now);
        format!("{held} MB of {limit} MB are held, and {rest} MB are needed to end in time; at work:\n  {at_work}")
    }

    /// All units with what they are at, in few words.
    fn at_work(&self, now: Instant) -> String {
        let units = lock(&self.units);
        let told: Vec<String> = units.values().map(|unit| format!("{}: {}", unit.unit, unit.what(now))).collect();
        told.join("\n  ")
    }
}

/// A unit that is watched.
#[derive(Debug)]
pub struct UnitAtWork {
    watch: Arc<Watch>,
    number: u64,
    at_work: Arc<AtWork>,
}

impl UnitAtWork {
    /// The unit itself.
    pub fn at_work(&self) -> &Arc<AtWork> {
        &self.at_work
    }
}

impl Drop for UnitAtWork {
    fn drop(&mut self) {
        lock(&self.watch.units).remove(&self.number);
    }
}

impl AtWork {
    /// Notes the last thing that was done, where that is done record by record: `read`, and which one.
    pub fn did(&self, what: &str, record: &str) {
        let mut last = lock(&self.last);
        last.clear();
        last.push_str(what);
        last.push(' ');
        last.push_str(&record[..record.floor_char_boundary(SHOWN)]);
    }

    /// A step takes rows in hand, until what is returned is dropped.
    pub fn take(self: &Arc<Self>, step: &str, rows: &RecordBatch) -> InHand {
        let number = self.numbers.fetch_add(1, Ordering::Relaxed);
        let hand = Arc::new(Hand {
            unit: self.unit.clone(),
            step: step.to_owned(),
            rows: rows.clone(),
            turn: Mutex::new(Turn::of(None)),
        });
        lock(&self.hands).insert(number, hand.clone());
        InHand { at_work: self.clone(), number, hand }
    }

    fn lines(&self, now: Instant, silence: Duration, slow: Duration) -> Vec<String> {
        let hands: Vec<Arc<Hand>> = lock(&self.hands).values().cloned().collect();
        let mut lines: Vec<String> = hands.iter().filter_map(|hand| hand.slow(now, slow)).collect();
        let mut told = lock(&self.told);
        if now.saturating_duration_since(*told) >= silence {
            let seconds = now.saturating_duration_since(self.began).as_secs();
            lines.push(format!("{}: at work for {seconds} s; {}", self.unit, self.what(now)));
        }
        if !lines.is_empty() {
            *told = now;
        }
        lines
    }

    /// The rows that have been in hand for longest, or what was done last.
    fn what(&self, now: Instant) -> String {
        let hands = lock(&self.hands);
        let longest = hands.values().min_by_key(|hand| hand.began());
        let last = lock(&self.last);
        match longest {
            Some(hand) => hand.what(now),
            None if last.is_empty() => "it reads what the units before handed on".to_owned(),
            None => format!("the last it did was: {last}"),
        }
    }
}

/// Characters of a name that are shown.
const SHOWN: usize = 300;

impl Hand {
    /// Goes on to a row.
    pub fn at(&self, row: usize) {
        self.next(Some(row)).iter().for_each(|done| tell!("{done}"));
    }

    /// Ends the turn of one row and begins the next; what is to be said of the one that ended, if it was named.
    fn next(&self, row: Option<usize>) -> Option<String> {
        let next = Turn::of(row);
        let ended = std::mem::replace(&mut *lock(&self.turn), next);
        ended.named.then(|| {
            let seconds = ended.seconds(next.began);
            format!("{}: `{}` is done with {}, after {seconds} s", self.unit, self.step, self.record(ended.row))
        })
    }

    /// What is to be said of a row that is in hand for so long, once.
    fn slow(&self, now: Instant, slow: Duration) -> Option<String> {
        let mut turn = lock(&self.turn);
        if turn.named || now.saturating_duration_since(turn.began) < slow {
            return None;
        }
        turn.named = true;
        Some(format!("slow: {}: {}", self.unit, self.of_turn(*turn, now)))
    }

    fn began(&self) -> Instant {
        lock(&self.turn).began
    }

    fn what(&self, now: Instant) -> String {
        self.of_turn(*lock(&self.turn), now)
    }

    fn of_turn(&self, turn: Turn, now: Instant) -> String {
        format!("`{}` has {} in hand for {} s", self.step, self.record(turn.row), turn.seconds(now))
    }

    /// A row by its address and key; the first one where all are taken at once.
    fn record(&self, row: Option<usize>) -> String {
        let which = match row {
            None if self.rows.num_rows() > 1 => format!("{} records from ", self.rows.num_rows()),
            _ => String::new(),
        };
        let row = row.unwrap_or_default();
        let (url, key) = (columns::url(), columns::key());
        let url = url.of(&self.rows).ok().filter(|url| row < url.len()).map(|url| shorten(url.value(row), SHOWN));
        let key = key.of(&self.rows).ok().filter(|key| row < key.len());
        let key = key.and_then(|key| Key::of(key, row).ok()).map(|key| format!("(key {key})"));
        let named = url.into_iter().chain(key).collect::<Vec<_>>().join(" ");
        format!("{which}{named}")
    }
}

/// Rows in hand.
#[derive(Debug)]
pub struct InHand {
    at_work: Arc<AtWork>,
    number: u64,
    hand: Arc<Hand>,
}

impl InHand {
    /// The rows themselves, for the step that goes through them.
    pub fn hand(&self) -> &Arc<Hand> {
        &self.hand
    }
}

impl Drop for InHand {
    fn drop(&mut self) {
        lock(&self.at_work.hands).remove(&self.number);
        self.hand.next(None).iter().for_each(|done| tell!("{done}"));
    }
}

/// How often a run is looked at; more often where it is near the end of its memory.
const TICK: Duration = Duration::from_millis(100);
const SHORTEST_TICK: Duration = Duration::from_millis(1);

/// A thread that looks at a run, of its own because all others may be busy. It ends when this is dropped.
#[derive(Debug)]
pub struct Watcher {
    _running: Sender<()>,
}

impl Watcher {
    /// Says what units are at where they are silent for `silence`, and names a record that is in hand for a third of that.
    /// What is returned beside it ends when the process has passed the mark of its memory, with what to say of it.
    pub fn start(watch: Arc<Watch>, silence: Duration, bounds: Option<Bounds>) -> (Self, oneshot::Receiver<String>) {
        let (running, ended) = channel::<()>();
        let (exceeded, exceeds) = oneshot::channel();
        std::thread::spawn(move || {
            let mut exceeded = Some(exceeded);
            let mut tick = SHORTEST_TICK;
            while ended.recv_timeout(tick) == Err(RecvTimeoutError::Timeout) {
                let now = Instant::now();
                tick = TICK;
                if let Some((bounds, held)) = bounds.zip(resident_bytes()) {
                    let safe_for = bounds.safe_for(held);
                    tick = safe_for.unwrap_or(TICK).clamp(SHORTEST_TICK, TICK);
                    if safe_for.is_none()
                        && let Some(exceeded) = exceeded.take()
                    {
                        let _ = exceeded.send(watch.exceeded(bounds, held, now));
                    }
                }
                watch.lines(now, silence, silence / 3).iter().for_each(|line| tell!("{line}"));
            }
        });
        (Self { _running: running }, exceeds)
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{ArrayRef, StringArray};
    use arrow::datatypes::Schema;

    use super::*;

    fn rows(urls: &[&str]) -> RecordBatch {
        let keys = Key::column(urls.iter().map(|_| Key([7; 16]))).unwrap();
        let columns: Vec<ArrayRef> = vec![keys, Arc::new(StringArray::from(urls.to_vec()))];
        let schema = Schema::new(vec![columns::key().field(), columns::url().field()]);
        RecordBatch::try_new(Arc::new(schema), columns).unwrap()
    }

    const SILENCE: Duration = Duration::from_secs(30);
    const SLOW: Duration = Duration::from_secs(10);

    fn lines(watch: &Watch, seconds: u64) -> Vec<String> {
        watch.lines(Instant::now() + Duration::from_secs(seconds), SILENCE, SLOW)
    }

    #[test]
    fn a_slow_record_is_named_once_while_it_is_in_hand() {
        let watch = Arc::new(Watch::default());
        let unit = watch.begin("documents unit 3".into());
        let hand = unit.at_work().take("minimal_html", &rows(&["http://a/", "http://b/"]));
        hand.hand().at(1);
        assert!(lines(&watch, 9).is_empty());
        let named = lines(&watch, 11);
        assert_eq!(named.len(), 1, "{named:?}");
        assert!(named[0].starts_with("slow: documents unit 3: `minimal_html` has http://b/ (key 0707"), "{named:?}");
        assert!(lines(&watch, 12).is_empty());
    }

    #[test]
    fn each_slow_record_of_a_part_is_named_and_reported_by_its_own_name() {
        let watch = Arc::new(Watch::default());
        let unit = watch.begin("images unit 0".into());
        let taken = unit.at_work().take("prepare_image", &rows(&["http://a/", "http://b/", "http://c/"]));
        let hand = taken.hand();
        for (row, url) in [(0, "http://a/"), (2, "http://c/")] {
            hand.at(row);
            assert!(lines(&watch, 11)[0].contains(url), "{url}");
            let done = hand.next(Some(row + 1)).unwrap();
            assert!(done.starts_with(&format!("images unit 0: `prepare_image` is done with {url} (key")), "{done}");
            assert_eq!(hand.next(None), None);
        }
    }

    #[test]
    fn by_default_no_unit_is_silent_for_half_a_minute() {
        let silence = Duration::from_secs(crate::job::Units::default().heartbeat_seconds.into());
        let (watch, begun) = (Arc::new(Watch::default()), Instant::now());
        let unit = watch.begin("images unit 0".into());
        let ticks = 120_000 / TICK.as_millis() as u32;
        let said: Vec<Duration> = (0..=ticks)
            .map(|tick| TICK * tick)
            .filter(|passed| !watch.lines(begun + *passed, silence, silence / 3).is_empty())
            .collect();
        let heard = [&[Duration::ZERO][..], &said, &[TICK * ticks]].concat();
        assert!(heard.windows(2).all(|pair| pair[1] - pair[0] < Duration::from_secs(30)), "{heard:?}");
        drop(unit);
    }

    #[test]
    fn a_silent_unit_says_what_it_is_at_until_it_is_done() {
        let watch = Arc::new(Watch::default());
        let unit = watch.begin("images unit 0".into());
        assert!(lines(&watch, 31)[0].starts_with("images unit 0: at work for 31 s; it reads what"));
        unit.at_work().did("packed", "document 7");
        assert!(lines(&watch, 40).is_empty());
        assert!(lines(&watch, 62)[0].ends_with("the last it did was: packed document 7"));
        let hand = unit.at_work().take("encode_image", &rows(&["http://a/", "http://b/"]));
        let told = lines(&watch, 93);
        assert!(told[0].starts_with("slow: ") && told[0].contains("`encode_image` has 2 records from http://a/"));
        assert!(told[1].contains("at work for 93 s; `encode_image` has 2 records from http://a/"), "{told:?}");
        drop((hand, unit));
        assert!(lines(&watch, 900).is_empty());
    }
}
