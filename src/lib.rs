//! Condition monitoring and prognosis: from sensor windows to maintenance decisions, the same code offline and online.
#![forbid(unsafe_code)]
#![deny(missing_docs)]

#[cfg(feature = "datasets")]
pub mod dataset;
pub mod envelope;
pub mod error;
pub mod evaluate;
pub mod features;
pub mod model;
pub mod quantity;
pub mod signal;
pub mod simulate;

pub use error::{Error, ErrorKind, Result};
