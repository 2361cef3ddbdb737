//! Signed files: what is signed is what is read, and by whom.

#[cfg(feature = "datasets")]
#[path = "../chains/mod.rs"]
mod chains;
mod envelopes;
#[cfg(feature = "datasets")]
mod models;
