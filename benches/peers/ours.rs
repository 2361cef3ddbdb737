//! This crate's side of the comparison with Python libraries; `run.sh` drives it.
//!
//! ```text
//! ./benches/peers/run.sh
//! ```
//!
//! It obeys as [`serve`] says. A further task is a line of [`tasks::TASKS`], [`detectors::TASKS`],
//! [`survival::TASKS`] or [`trees::TASKS`].

mod detectors;
mod serve;
mod survival;
mod tasks;
mod trees;

fn main() -> std::io::Result<()> {
    serve::main(&[tasks::TASKS, detectors::TASKS, survival::TASKS, trees::TASKS].concat())
}
