//! One suite over every model: whatever keeps the contract passes here. To add a model, add a test of a few lines.

#[path = "conformance/suite.rs"]
mod suite;
#[path = "conformance/toy.rs"]
mod toy;

use linfa::{DatasetBase, traits::Fit};
use prognos::detect::{MahalanobisDetector, PcaDetector};
use suite::Contributions::Additive;

#[test]
fn pca_detector() {
    let (train, rows) = suite::telemetry();
    let data = DatasetBase::new(train, ());
    suite::detector(
        || PcaDetector::params().explained_variance(0.8).fit(&data).unwrap(),
        &rows,
        Additive,
    );
}

#[test]
fn pca_detector_with_all_components() {
    let (train, rows) = suite::telemetry();
    let data = DatasetBase::new(train, ());
    suite::detector(
        || PcaDetector::params().explained_variance(1.0).fit(&data).unwrap(),
        &rows,
        Additive,
    );
}

#[test]
fn mahalanobis_detector() {
    let (train, rows) = suite::telemetry();
    let data = DatasetBase::new(train, ());
    suite::detector(|| MahalanobisDetector::params().fit(&data).unwrap(), &rows, Additive);
}
