//! End-to-end tests: the binary as a user runs it, on pages and images that the tests write or that the demo holds.

#[cfg(test)]
mod end_to_end {
    #[allow(dead_code)]
    #[path = "../../pipeline/storage/tests/storage/azurite.rs"]
    pub mod azurite;
    pub mod bad_input;
    pub mod bad_jobs;
    pub mod blocks;
    pub mod bounds;
    pub mod changes;
    pub mod clouds;
    pub mod commands;
    pub mod demo_site;
    pub mod faults;
    pub mod filters;
    pub mod images;
    pub mod job_schema;
    pub mod models;
    pub mod next_sentence;
    pub mod objectives;
    pub mod one_page;
    pub mod passages;
    pub mod phases;
    pub mod retrieval;
    #[allow(dead_code)]
    #[path = "../../pipeline/storage/tests/storage/server.rs"]
    pub mod s3_server;
    pub mod same_bytes;
    pub mod secrets;
    pub mod sequence_images;
    pub mod settings;
    pub mod site;
    pub mod sources;
    pub mod storage;
}
