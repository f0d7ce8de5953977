//! What the program says: answers on standard output, all else on standard error. A reader that went away (`| head`) is no
//! failure, and a run goes on whoever listens.

use std::fmt::Arguments;
use std::io::{ErrorKind, Write};

use crate::error::RunError;

/// Writes an answer and flushes it. Where nobody reads any more, the program ends well: there is nothing left to say.
pub fn answer(answer: Arguments<'_>) -> Result<(), RunError> {
    let mut out = std::io::stdout().lock();
    match out.write_fmt(answer).and_then(|()| out.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => std::process::exit(0),
        written => written.map_err(RunError::Answer),
    }
}

/// Writes to standard error if that can be written to.
pub fn tell(told: Arguments<'_>) {
    let _ = std::io::stderr().lock().write_fmt(told);
}

/// As `println!`, of an answer.
#[macro_export]
macro_rules! answer {
    ($($part:tt)*) => { $crate::say::answer(format_args!("{}\n", format_args!($($part)*))) };
}

/// As `eprintln!`, of what is told beside answers.
#[macro_export]
macro_rules! tell {
    ($($part:tt)*) => { $crate::say::tell(format_args!("{}\n", format_args!($($part)*))) };
}
