//! Models of one reading that degrades to a threshold.
//!
//! | model | for | remembers |
//! |---|---|---|
//! | [`LinearDegradation`] | an even rise or fall under noise | nine sums |
//! | [`ExponentialDegradation`] | growth by a share of itself | nine sums |
//! | [`WienerProcess`] | a reading that wanders, without noise of its own | seven sums |
//! | [`GammaProcess`] | damage that only grows | seven sums |
//!
//! All learn the fleet from recorded lives and the machine from its own readings, of which they keep sums, not the
//! history. None claims anything before the machine's own trend is significant.

mod course;
mod exponential;
mod first_passage;
mod gamma_process;
mod increments;
mod linear;
mod random_line;
mod tails;
mod trend;
mod wiener;

pub use course::Direction;
pub use exponential::{
    ExponentialCourse, ExponentialCourseRecord, ExponentialDegradation, ExponentialDegradationParams,
    ExponentialDegradationSettings,
};
pub use gamma_process::{GammaCourse, GammaProcess, GammaProcessParams, GammaProcessSettings};
pub use increments::IncrementMemory;
pub use linear::{
    LinearCourse, LinearCourseRecord, LinearDegradation, LinearDegradationParams, LinearDegradationSettings,
};
pub use random_line::LineBelief;
pub use trend::TrendMemory;

pub(crate) use tails::gamma_above;
pub use wiener::{WienerCourse, WienerProcess, WienerProcessParams, WienerSettings};
