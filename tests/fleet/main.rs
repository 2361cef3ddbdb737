//! The fleet as a service uses it, and held to its laws: random rows against a map of machines, snapshots whole, cut, altered
//! and forged, and a process that is killed while it writes them.

#[path = "../chains/mod.rs"]
mod chains;
#[path = "../counting_allocator/mod.rs"]
mod counting_allocator;
mod crash;
mod laws;
mod machines;
mod models;
mod room;
mod service;
mod snapshots;
