//! What is held to allocate nothing once it is warm.

#[path = "../chains/mod.rs"]
mod chains;
#[path = "../counting_allocator/mod.rs"]
mod counting_allocator;

mod catch22;
mod chain;
mod density;
mod drift;
mod filters;
mod orders;
mod rolling;
mod spectrum;
mod streams;
mod vibration;
