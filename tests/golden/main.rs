//! Numbers of other libraries, each beside the script that made them.

mod catch22;
mod complexity;
mod degradation;
mod detect;
mod detection_metrics;
mod detectors_density;
mod detectors_neighbours;
mod detectors_trees;
mod drift;
mod filters;
mod life_prior;
mod orders;
mod regression;
mod rolling;
mod rul_metrics;
mod selection;
mod similarity;
mod spectrum;
mod state_filters;
mod survival;
mod tail;
mod telemetry;
mod vibration;
mod waveform;
mod wavelets;
