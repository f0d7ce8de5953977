//! Everything that knows DataFusion: one plan per unit, the exchanges between stages, commits and the launch of units.

pub mod aside;
pub mod clock;
pub mod commit;
pub mod earlier;
pub mod exchange;
pub mod exchange_reader;
pub mod exchange_writer;
pub mod gather;
pub mod input;
pub mod launch;
pub mod memory;
pub mod no_room;
pub mod nodes;
pub mod plan;
pub mod progress;
pub mod reading;
pub mod reuse;
pub mod session;
pub mod stages;
pub mod step_exec;
pub mod store;
pub mod table_reader;
pub mod table_writer;
pub mod unit;
pub mod watch;
pub mod weights;
