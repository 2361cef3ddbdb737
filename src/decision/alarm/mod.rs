//! When scores become an alarm: a policy, the state of one machine, and the events of each step.

mod event;
mod input;
mod policy;
mod severity;
mod state;

pub use event::{AlarmEvent, AlarmEventKind, AlarmEvents};
pub use input::{AlarmInput, Direction, LimitRule};
pub use policy::AlarmPolicy;
pub use severity::{Severity, SeverityZones};
pub use state::{AlarmStanding, AlarmState};

use super::{Cause, MAX_CAUSES};
