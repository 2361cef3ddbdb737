//! Recordings in their original formats.
#![cfg(feature = "datasets")]

#[path = "../counting_allocator/mod.rs"]
mod counting_allocator;
#[path = "../waveform_files/mod.rs"]
mod waveform_files;

mod cmapss;
mod cwru;
mod femto;
mod fleet_csv;
mod matlab;
mod nab;
mod shipped_dataset;
mod skab;
mod wav;
mod waveform_csv;
