#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]
#![deny(missing_docs)]

// In the order data flow: a module imports only those above it.
pub mod error;
pub mod quantity;
pub mod envelope;
pub mod signal;
pub mod spectrum;
pub mod features;
pub mod model;
pub mod preprocess;
pub mod detect;
pub mod diagnose;
pub mod rul;
pub mod decision;
pub mod evaluate;
pub mod drift;
pub mod pipeline;
pub mod fleet;
#[cfg(feature = "polars")]
pub mod table;
#[cfg(feature = "datasets")]
pub mod dataset;
pub mod simulate;

pub use error::{Error, ErrorKind, Result};
