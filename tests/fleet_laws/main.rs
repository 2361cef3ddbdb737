//! The fleet held to its laws: random rows against a map of machines, snapshots whole, cut, altered and forged, and a process
//! that is killed while it writes them.

#[path = "../chains/mod.rs"]
mod chains;
mod crash;
mod held_bytes;
mod laws;
mod machines;
mod models;
mod room;
mod snapshots;
