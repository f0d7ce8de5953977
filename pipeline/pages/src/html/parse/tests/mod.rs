//! Tests of the parser as a whole.

mod differential;
mod html5lib;
