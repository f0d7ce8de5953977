//! The reference of everything that a job file may say, made from the settings' own types.

mod doc_text;
mod layout;
mod lookup;
mod page;
mod places;
mod schema;
mod words;

pub use page::reference;
pub use schema::schema;
