//! Fills batches with what several threads wait for.

use std::collections::{HashMap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// Images of any number of threads, answered in batches by whichever of these threads finds the executor idle.
///
/// So a batch is full when enough images wait, however few each thread has, and no thread waits while the executor is idle.
#[derive(Debug)]
pub(super) struct Queue<A> {
    state: Mutex<State<A>>,
    /// A batch has been answered.
    answered: Condvar,
}

#[derive(Debug)]
struct State<A> {
    waiting: VecDeque<(u64, Vec<u8>)>,
    answers: HashMap<u64, Result<A, String>>,
    next: u64,
    busy: bool,
}

impl<A> Default for Queue<A> {
    fn default() -> Self {
        let state = State { waiting: VecDeque::new(), answers: HashMap::new(), next: 0, busy: false };
        Self { state: Mutex::new(state), answered: Condvar::new() }
    }
}

impl<A> Queue<A> {
    /// The answers to these images, or why the batch of one of them has none. `answer` gets at most `batch` images.
    pub fn ask(
        &self,
        images: &[&[u8]],
        batch: usize,
        answer: impl Fn(&[&[u8]]) -> Result<Vec<A>, String>,
    ) -> Result<Vec<A>, String> {
        let mut state = self.lock();
        let tickets = state.next..state.next + images.len() as u64;
        state.next = tickets.end;
        state.waiting.extend(tickets.clone().zip(images.iter().map(|image| image.to_vec())));
        // Batches are taken in order, so the last image's answer is the last.
        while !images.is_empty() && !state.answers.contains_key(&(tickets.end - 1)) {
            if state.busy {
                state = self.answered.wait(state).unwrap_or_else(PoisonError::into_inner);
                continue;
            }
            state.busy = true;
            let count = batch.min(state.waiting.len());
            let taken: Vec<(u64, Vec<u8>)> = state.waiting.drain(..count).collect();
            drop(state);
            let answers = answers(&taken, &answer);
            state = self.lock();
            state.answers.extend(taken.into_iter().map(|(ticket, _)| ticket).zip(answers));
            state.busy = false;
            self.answered.notify_all();
        }
        let missing = || Err("an image was left without an answer".to_owned());
        // All are taken out, whether or not the first is an error.
        let own: Vec<Result<A, String>> =
            tickets.map(|ticket| state.answers.remove(&ticket).unwrap_or_else(missing)).collect();
        own.into_iter().collect()
    }

    fn lock(&self) -> MutexGuard<'_, State<A>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One answer for each image; a panic is the answer to all of them, or their threads would wait forever.
fn answers<A>(
    taken: &[(u64, Vec<u8>)],
    answer: &impl Fn(&[&[u8]]) -> Result<Vec<A>, String>,
) -> Vec<Result<A, String>> {
    let images: Vec<&[u8]> = taken.iter().map(|(_, image)| image.as_slice()).collect();
    let found = catch_unwind(AssertUnwindSafe(|| answer(&images)));
    match found.unwrap_or_else(|_| Err("it panicked".to_owned())) {
        Ok(answers) if answers.len() == taken.len() => answers.into_iter().map(Ok).collect(),
        Ok(answers) => {
            let said = format!("it gave {} answers to {} images", answers.len(), taken.len());
            taken.iter().map(|_| Err(said.clone())).collect()
        }
        Err(error) => taken.iter().map(|_| Err(error.clone())).collect(),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    fn first_bytes(images: &[&[u8]]) -> Result<Vec<u8>, String> {
        Ok(images.iter().map(|image| image[0]).collect())
    }

    #[test]
    fn many_images_of_one_thread_are_cut_into_batches() {
        let queue = Queue::default();
        let images: Vec<[u8; 1]> = (0..7).map(|i| [i]).collect();
        let images: Vec<&[u8]> = images.iter().map(|image| &image[..]).collect();
        let largest = AtomicUsize::new(0);
        let found = queue.ask(&images, 3, |some| {
            largest.fetch_max(some.len(), Ordering::Relaxed);
            first_bytes(some)
        });
        assert_eq!((found, largest.into_inner()), (Ok((0..7).collect()), 3));
        assert_eq!(queue.ask(&[], 3, first_bytes), Ok(Vec::new()));
    }

    #[test]
    fn single_images_of_many_threads_fill_batches() {
        const THREADS: usize = 9;
        let (queue, all_wait, batches) = (Queue::default(), Barrier::new(2), Mutex::new(Vec::new()));
        let answer = |some: &[&[u8]]| {
            let first = batches.lock().expect("a list").is_empty();
            batches.lock().expect("a list").push(some.len());
            if first {
                all_wait.wait();
            }
            first_bytes(some)
        };
        std::thread::scope(|scope| {
            let (queue, answer) = (&queue, &answer);
            for i in 0..THREADS as u8 {
                scope.spawn(move || assert_eq!(queue.ask(&[&[i]], 4, answer), Ok(vec![i])));
            }
            while queue.lock().next < THREADS as u64 {
                std::thread::yield_now();
            }
            all_wait.wait();
        });
        // The first thread found it idle and took what was there; the others shared what followed.
        let batches = batches.into_inner().expect("a list");
        assert_eq!(batches.iter().sum::<usize>(), THREADS);
        assert!(batches.len() <= 1 + THREADS.div_ceil(4), "{batches:?}");
        assert!(queue.lock().answers.is_empty());
    }

    #[test]
    fn a_failure_or_a_panic_reaches_whoever_waits_for_it_and_nobody_else() {
        let queue = Queue::default();
        let failing = |_: &[&[u8]]| -> Result<Vec<u8>, String> { Err("no memory".to_owned()) };
        assert_eq!(queue.ask(&[&[1], &[2]], 1, failing), Err("no memory".to_owned()));
        let panicking = |_: &[&[u8]]| -> Result<Vec<u8>, String> { panic!("on purpose") };
        assert_eq!(queue.ask(&[&[1]], 1, panicking), Err("it panicked".to_owned()));
        assert_eq!(queue.ask(&[&[3]], 1, first_bytes), Ok(vec![3]));
        assert!(queue.lock().answers.is_empty());
    }
}
