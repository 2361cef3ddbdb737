//! Signed files of whole chains: loaded under a list of trusted keys, or refused for a reason that tells damage from a
//! signer who is not trusted.

use crate::chains;
use prognos::{
    Error, ErrorKind, Result,
    decision::AlarmPolicy,
    detect::PcaDetector,
    envelope::{self, Header, SigningKey, TrustList},
    features::telemetry,
    model::{OnlineModel, PersistentModel},
    pipeline::Pipeline,
};
use rand::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro256Plus;
use std::sync::LazyLock;

static CHAIN: LazyLock<Pipeline> = LazyLock::new(|| chains::whole().fit(&chains::engines(6, 1)).unwrap());

fn key(n: u8) -> SigningKey {
    SigningKey::from_bytes(&[n; 32])
}

fn trusting(n: u8) -> TrustList {
    format!("{} plant {n}", key(n).public_key()).parse().unwrap()
}

#[track_caller]
fn refused<T>(result: Result<T>, kind: ErrorKind) -> Error {
    let Err(e) = result else {
        panic!("taken, not refused with {kind:?}")
    };
    assert_eq!(e.kind(), kind, "{e}");
    e
}

#[test]
fn a_signed_chain_is_the_chain() {
    let folder = tempfile::tempdir().unwrap();
    let (plain, signed) = (folder.path().join("plain"), folder.path().join("signed"));
    CHAIN.save(&plain).unwrap();
    CHAIN.save_signed(&signed, &key(1)).unwrap();
    let read = Pipeline::load_trusted(&signed, &trusting(1)).unwrap();
    assert_eq!(read.fingerprint(), CHAIN.fingerprint());
    assert_eq!(read.provenance(), CHAIN.provenance());
    assert_eq!(Pipeline::load(&signed).unwrap().fingerprint(), CHAIN.fingerprint());
    // The file is that of `save`, signed; what is read of it is written as before.
    let bytes = std::fs::read(&signed).unwrap();
    let unsigned = std::fs::read(&plain).unwrap();
    assert_eq!(envelope::sign(&unsigned, &key(1)).unwrap(), bytes);
    assert_eq!(read.to_bytes(read.provenance()).unwrap(), unsigned);
    assert_eq!(envelope::signer(&bytes).unwrap(), Some(key(1).public_key()));
    let (generic, provenance) = <Pipeline as PersistentModel>::load_trusted(&signed, &trusting(1)).unwrap();
    assert_eq!(
        (generic.fingerprint(), &provenance),
        (CHAIN.fingerprint(), CHAIN.provenance())
    );
    let again = folder.path().join("again");
    PersistentModel::save_signed(&*CHAIN, &again, CHAIN.provenance(), &key(1)).unwrap();
    assert_eq!(std::fs::read(&again).unwrap(), bytes);
}

#[test]
fn who_is_not_trusted_is_told_from_what_is_damaged() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("chain.prognos");
    CHAIN.save(&path).unwrap();
    let e = refused(Pipeline::load_trusted(&path, &trusting(1)), ErrorKind::Untrusted).to_string();
    assert!(e.contains("chain.prognos") && e.contains("unsigned"), "{e}");
    CHAIN.save_signed(&path, &key(2)).unwrap();
    for list in [trusting(1), TrustList::new()] {
        let e = refused(Pipeline::load_trusted(&path, &list), ErrorKind::Untrusted).to_string();
        assert!(
            e.contains("chain.prognos") && e.contains(&key(2).public_key().to_string()),
            "{e}"
        );
    }
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[40] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    let e = refused(Pipeline::load_trusted(&path, &trusting(2)), ErrorKind::Persistence).to_string();
    assert!(e.contains("chain.prognos") && e.contains("altered"), "{e}");
    refused(
        Pipeline::load_trusted(folder.path().join("no"), &trusting(2)),
        ErrorKind::Io,
    );
    refused(CHAIN.save_signed(folder.path().join("no/m"), &key(1)), ErrorKind::Io);
    // What a trusted key signed is still held to its kind and its invariants.
    let (mut header, payload) = envelope::open(&CHAIN.to_bytes(CHAIN.provenance()).unwrap())
        .map(|(header, payload)| (header, payload.to_vec()))
        .unwrap();
    let sign =
        |header: &Header, payload: &[u8]| envelope::sign(&envelope::seal(header, payload).unwrap(), &key(1)).unwrap();
    let cut = sign(&header, &payload[..payload.len() - 1]);
    refused(Pipeline::from_trusted_bytes(&cut, &trusting(1)), ErrorKind::Persistence);
    header.kind = "detect.pca".into();
    let other = sign(&header, &payload);
    refused(
        Pipeline::from_trusted_bytes(&other, &trusting(1)),
        ErrorKind::Persistence,
    );
}

#[test]
fn flipped_bits_are_refused_signed_or_not() {
    let unsigned = CHAIN.to_bytes(CHAIN.provenance()).unwrap();
    let signed = envelope::sign(&unsigned, &key(1)).unwrap();
    let list = trusting(1);
    let mut rng = Xoshiro256Plus::seed_from_u64(5);
    for file in [unsigned, signed] {
        let mut bytes = file.clone();
        for _ in 0..2000 {
            let bit = rng.gen_range(0..8 * bytes.len());
            bytes[bit / 8] ^= 1 << (bit % 8);
            refused(Pipeline::from_bytes(&bytes), ErrorKind::Persistence);
            refused(Pipeline::from_trusted_bytes(&bytes, &list), ErrorKind::Persistence);
            bytes[bit / 8] ^= 1 << (bit % 8);
        }
        assert_eq!(bytes, file);
    }
}

#[test]
fn every_truncation_is_refused_signed_or_not() {
    let small = Pipeline::params()
        .features(telemetry().ewma([5.0]))
        .detector(PcaDetector::params())
        .alarm(AlarmPolicy::m_of_n(3, 5))
        .fit(&chains::engines(4, 2))
        .unwrap();
    let unsigned = small.to_bytes(small.provenance()).unwrap();
    let signed = envelope::sign(&unsigned, &key(1)).unwrap();
    let list = trusting(1);
    assert!(Pipeline::from_trusted_bytes(&signed, &list).is_ok());
    for file in [unsigned, signed] {
        for n in 0..file.len() {
            refused(Pipeline::from_bytes(&file[..n]), ErrorKind::Persistence);
            refused(Pipeline::from_trusted_bytes(&file[..n], &list), ErrorKind::Persistence);
        }
    }
}
