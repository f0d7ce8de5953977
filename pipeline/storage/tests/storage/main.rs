//! The laws of stores over a folder and buckets, and what a bucket's faults come to.

#[cfg(test)]
#[allow(dead_code)]
mod azurite;
#[cfg(test)]
mod clouds;
#[cfg(test)]
mod commits;
#[cfg(test)]
mod credentials;
#[cfg(test)]
mod laws;
#[cfg(test)]
mod reading;
// The program's tests use it as well, and some of it alone.
#[cfg(test)]
#[allow(dead_code)]
mod server;
#[cfg(test)]
mod writing;
