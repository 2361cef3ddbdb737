//! How far a window reaches back.

use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};

/// The most rows a window may hold.
const MAX_ROWS: usize = 1 << 24;

#[doc(hidden)]
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Extent {
    Rows(usize),
    Span { span: f64, max_rows: usize },
}

impl Extent {
    pub(super) fn rows(n: usize) -> Result<Self> {
        let extent = Self::Rows(n);
        extent.check()?;
        Ok(extent)
    }

    pub(super) fn span(span: f64, max_rows: usize) -> Result<Self> {
        let extent = Self::Span { span, max_rows };
        extent.check()?;
        Ok(extent)
    }

    pub(super) fn check(&self) -> Result<()> {
        if let Self::Span { span, .. } = self
            && !(span.is_finite() && *span > 0.0)
        {
            return Err(Error::parameter("span", "finite and above 0", span));
        }
        let (name, n) = match self {
            Self::Rows(n) => ("rows", n),
            Self::Span { max_rows, .. } => ("max_rows", max_rows),
        };
        if !(1..=MAX_ROWS).contains(n) {
            return Err(Error::parameter(name, format!("1..={MAX_ROWS}"), n));
        }
        Ok(())
    }

    pub(super) fn max_rows(&self) -> usize {
        match self {
            Self::Rows(n) => *n,
            Self::Span { max_rows, .. } => *max_rows,
        }
    }

    /// The span of time; none where rows are counted.
    pub(super) fn reach(&self) -> Option<f64> {
        match self {
            Self::Rows(_) => None,
            Self::Span { span, .. } => Some(*span),
        }
    }
}
