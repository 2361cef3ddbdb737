//! Condition monitoring and prognosis: from sensor windows to maintenance decisions, the same code offline and online.
#![forbid(unsafe_code)]
#![deny(missing_docs)]

pub mod envelope;
pub mod error;
pub mod features;
pub mod model;
pub mod quantity;
pub mod signal;
pub mod spectrum;

pub use error::{Error, ErrorKind, Result};
