//! Laws over random input.

#[path = "../chains/mod.rs"]
mod chains;
#[path = "../counting_allocator/mod.rs"]
mod counting_allocator;
#[path = "../finite_numbers/mod.rs"]
mod finite_numbers;

mod chain;
mod densities;
mod detectors;
mod drift;
mod neighbours;
mod streams;
mod survival;
mod trees;
