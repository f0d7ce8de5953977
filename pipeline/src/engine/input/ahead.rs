//! Small objects asked for before their turn: one after another, each would cost a round trip to its bucket.

use std::collections::VecDeque;
use std::iter::Peekable;

use bytes::Bytes;
use tokio::runtime::Handle;
use tokio::task::JoinHandle;

use super::failed;
use crate::sources::{Files, InputError, Piece};

/// So many requests are under way at once,
const REQUESTS: usize = 32;
/// and so many bytes are asked for, unless a single file has more.
const BYTES: u64 = 16 << 20;

/// A request under way.
pub type Asked = JoinHandle<Result<Bytes, InputError>>;

/// Files of a list, read in its order.
pub struct Ahead<'a, F> {
    runtime: Handle,
    /// Sends the request for a file.
    ask: F,
    later: Peekable<Files<'a>>,
    asked: VecDeque<(&'a Piece, Result<Asked, InputError>)>,
}

impl<'a, F: FnMut(&Piece) -> Result<Asked, InputError>> Ahead<'a, F> {
    /// Nothing is asked for yet.
    pub fn new(runtime: Handle, files: Files<'a>, ask: F) -> Self {
        Self { runtime, ask, later: files.peekable(), asked: VecDeque::new() }
    }

    /// The file's bytes; those before it on the list are not wanted any more.
    pub fn read(&mut self, file: &Piece) -> Result<Vec<u8>, InputError> {
        loop {
            self.fill();
            let Some((next, request)) = self.asked.pop_front() else {
                let cause = "it is not on the list of what is read ahead".to_owned();
                return Err(InputError { path: file.path.clone(), cause });
            };
            if next == file {
                let answer = self.runtime.block_on(request?);
                return Ok(answer.map_err(|error| failed(&file.path, &error))??.into());
            }
        }
    }

    fn fill(&mut self) {
        let mut bytes: u64 = self.asked.iter().map(|(file, _)| file.length).sum();
        while let Some(&next) = self.later.peek() {
            bytes += next.length;
            let full = self.asked.len() >= REQUESTS || bytes > BYTES;
            if full && !self.asked.is_empty() {
                break;
            }
            self.asked.push_back((next, (self.ask)(next)));
            self.later.next();
        }
    }
}

impl<F> Drop for Ahead<'_, F> {
    fn drop(&mut self) {
        for request in self.asked.iter().filter_map(|(_, request)| request.as_ref().ok()) {
            request.abort();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    #[test]
    fn files_come_in_their_order_and_so_many_are_asked_for_before_their_turn() {
        let files: Vec<Piece> = (0..100).map(|number| piece(number, 3)).collect();
        let (runtime, asked) = (tokio::runtime::Runtime::new().unwrap(), RefCell::new(0));
        let mut ahead = Ahead::new(runtime.handle().clone(), Box::new(files.iter()), |file| {
            *asked.borrow_mut() += 1;
            let answer = Bytes::from(file.path.clone());
            Ok(runtime.spawn(async move { Ok(answer) }))
        });
        for (number, file) in files.iter().enumerate() {
            assert_eq!(ahead.read(file).unwrap(), file.path.as_bytes());
            assert_eq!(*asked.borrow(), (number + REQUESTS).min(100));
        }
    }

    #[test]
    fn large_files_are_asked_for_one_by_one_and_a_failure_is_its_own_files() {
        let files = [piece(0, BYTES * 2), piece(1, BYTES), piece(2, 1)];
        let (runtime, asked) = (tokio::runtime::Runtime::new().unwrap(), RefCell::new(0));
        let mut ahead = Ahead::new(runtime.handle().clone(), Box::new(files.iter()), |file| {
            *asked.borrow_mut() += 1;
            let fails = file.path == "1";
            let path = file.path.clone();
            Ok(runtime.spawn(async move {
                if fails { Err(InputError { path, cause: "gone".to_owned() }) } else { Ok(Bytes::new()) }
            }))
        });
        let found: Vec<_> = files.iter().map(|file| (ahead.read(file).is_ok(), *asked.borrow())).collect();
        assert_eq!(found, [(true, 1), (false, 2), (true, 3)]);
    }

    fn piece(number: usize, length: u64) -> Piece {
        Piece { path: number.to_string(), offset: 0, length }
    }
}
