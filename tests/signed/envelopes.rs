//! Signed envelopes: each signature counts for one content, one key and this format alone, and nothing altered, cut or put
//! together from parts of others is read.

use prognos::{
    ErrorKind, Result,
    envelope::{self, Fingerprint, Header, Provenance, PublicKey, SchemaRecord, SigningKey, TrustList},
};
use std::collections::BTreeMap;

/// Offset of the public key from the end, and of the signature.
const KEY: usize = 32 + 64 + 32;
const SIGNATURE: usize = 64 + 32;

fn key(n: u8) -> SigningKey {
    SigningKey::from_bytes(&[n; 32])
}

fn trusting(keys: &[PublicKey]) -> TrustList {
    let mut list = TrustList::new();
    for key in keys {
        list.add(*key, &key.to_string()).unwrap();
    }
    list
}

/// An envelope whose bytes depend on no version of the crate.
fn unsigned(payload: &[u8]) -> Vec<u8> {
    let schema = SchemaRecord {
        names: vec!["a".into()],
        units: vec!["g".into()],
        rate_hz: None,
        window_samples: None,
        hop_samples: None,
        fingerprint: Fingerprint::of(b"a"),
    };
    let mut header = Header::new("test", 1, schema, Provenance::default());
    header.crate_version = "0.1.0".into();
    header.provenance.metrics = BTreeMap::from([("auc".into(), 0.75)]);
    envelope::seal(&header, payload).unwrap()
}

/// These bytes before the checksum, and the checksum they should have.
fn sealed(body: &[u8]) -> Vec<u8> {
    let hex = envelope::sha256_hex(body);
    let sum = (0..32).map(|i| u8::from_str_radix(&hex[2 * i..2 * i + 2], 16).unwrap());
    body.iter().copied().chain(sum).collect()
}

fn with_version(mut bytes: Vec<u8>, version: u32) -> Vec<u8> {
    bytes[8..12].copy_from_slice(&version.to_le_bytes());
    bytes
}

#[track_caller]
fn refused<T>(result: Result<T>, kind: ErrorKind, says: &str) {
    let Err(e) = result else {
        panic!("taken, not refused with {kind:?}")
    };
    assert_eq!(e.kind(), kind, "{e}");
    assert!(e.to_string().contains(says), "`{says}` is not in: {e}");
}

/// Refused however it is read.
#[track_caller]
fn refused_everywhere(bytes: &[u8], trusted: &TrustList, kind: ErrorKind, says: &str) {
    refused(envelope::open(bytes), kind, says);
    refused(envelope::open_trusted(bytes, trusted), kind, says);
    refused(envelope::signer(bytes), kind, says);
    refused(envelope::sign(bytes, &key(9)), kind, says);
}

#[test]
fn signed_content_is_the_same_content() {
    let plain = unsigned(b"payload");
    let signed = envelope::sign(&plain, &key(1)).unwrap();
    assert_eq!(signed.len(), plain.len() + 32 + 64);
    assert_eq!(envelope::open(&signed).unwrap(), envelope::open(&plain).unwrap());
    let trusted = trusting(&[key(2).public_key(), key(1).public_key()]);
    assert_eq!(
        envelope::open_trusted(&signed, &trusted).unwrap(),
        envelope::open(&plain).unwrap()
    );
    assert_eq!(envelope::signer(&signed).unwrap(), Some(key(1).public_key()));
    assert_eq!(envelope::signer(&plain).unwrap(), None);
    // The same key signs the same bytes alike; another takes the place of the first and leaves no trace of it.
    assert_eq!(envelope::sign(&plain, &key(1)).unwrap(), signed);
    let other = envelope::sign(&signed, &key(2)).unwrap();
    assert_eq!(other, envelope::sign(&plain, &key(2)).unwrap());
    assert_eq!(envelope::sign(&other, &key(1)).unwrap(), signed);
}

#[test]
fn the_signature_is_that_of_another_implementation_over_the_documented_bytes() {
    let secret = "-----BEGIN PRIVATE KEY-----\n\
                  MC4CAQAwBQYDK2VwBCIEIGLjoCRXIbQG3i1+i4Qk2LcHOASaxLPpWseVr/D0Y2Kh\n\
                  -----END PRIVATE KEY-----\n";
    let key = SigningKey::from_pem(secret).unwrap();
    let plain = with_version(unsigned(b"payload"), 2);
    let message = [
        b"prognos envelope v2\0",
        &plain[..plain.len() - 32],
        &key.public_key().to_bytes(),
    ]
    .concat();
    // The message is the one that was signed; its signature by OpenSSL 3.0.19 is
    // `openssl pkeyutl -sign -inkey KEY -rawin -in MESSAGE | xxd -p`.
    assert_eq!(
        envelope::sha256_hex(&message),
        "5e1cb39757a700d9716bdf415336080b25a416c27cb044e2bca0d024ee89ca2c"
    );
    let by_openssl = "30ee4282182010db953e8b00ef38f894e0f8234de516772874fae3c135044d2c\
                      4100334ca394f151cb0c534acca73d23896c65c2a466652631a4254a2d7d0f05";
    let signed = envelope::sign(&unsigned(b"payload"), &key).unwrap();
    let at = signed.len() - SIGNATURE;
    let hex: String = signed[at..at + 64].iter().map(|b| format!("{b:02x}")).collect();
    assert_eq!(hex, by_openssl);
    assert_eq!(signed[..at], message[20..]);
}

#[test]
fn a_list_refuses_unsigned_files_and_other_signers_and_says_which() {
    let plain = unsigned(b"payload");
    let signed = envelope::sign(&plain, &key(1)).unwrap();
    let other = trusting(&[key(2).public_key()]);
    let kind = ErrorKind::Untrusted;
    refused(envelope::open_trusted(&plain, &other), kind, "unsigned");
    refused(envelope::open_trusted(&plain, &TrustList::new()), kind, "unsigned");
    let by = key(1).public_key().to_string();
    refused(envelope::open_trusted(&signed, &other), kind, &by);
    refused(envelope::open_trusted(&signed, &TrustList::new()), kind, "trust list");
    // Damage is damage, under a list as without one.
    let mut damaged = signed.clone();
    damaged[30] ^= 1;
    refused(
        envelope::open_trusted(&damaged, &other),
        ErrorKind::Persistence,
        "altered",
    );
}

#[test]
fn every_truncation_and_every_bit_of_a_signed_file_is_noticed() {
    let signed = envelope::sign(&unsigned(b"payload"), &key(1)).unwrap();
    let trusted = trusting(&[key(1).public_key()]);
    for n in 0..signed.len() {
        for cut in [&signed[..n], &signed[n + 1..]] {
            refused(envelope::open(cut), ErrorKind::Persistence, "");
            refused(envelope::open_trusted(cut, &trusted), ErrorKind::Persistence, "");
        }
    }
    for bit in 0..8 * signed.len() {
        let mut altered = signed.clone();
        altered[bit / 8] ^= 1 << (bit % 8);
        refused(envelope::open(&altered), ErrorKind::Persistence, "");
        refused(envelope::open_trusted(&altered, &trusted), ErrorKind::Persistence, "");
    }
    refused_everywhere(
        &[&signed[..], &[0]].concat(),
        &trusted,
        ErrorKind::Persistence,
        "altered",
    );
}

#[test]
fn what_is_altered_and_given_a_new_checksum_is_noticed_by_the_signature() {
    let signed = envelope::sign(&unsigned(b"payload"), &key(1)).unwrap();
    let trusted = trusting(&[key(1).public_key()]);
    let body = &signed[..signed.len() - 32];
    let lengths = 12..24;
    // Every byte of key and signature, every fifth of the content: each costs a check of the signature.
    let content = (24..signed.len() - KEY).step_by(5);
    for at in content.chain(signed.len() - KEY..body.len()) {
        let mut altered = body.to_vec();
        altered[at] ^= 1 << (at % 8);
        let altered = sealed(&altered);
        refused(
            envelope::open_trusted(&altered, &trusted),
            ErrorKind::Untrusted,
            "signature",
        );
        if at % 50 == 0 {
            refused_everywhere(&altered, &trusted, ErrorKind::Untrusted, "signature");
        }
    }
    for bit in 8 * lengths.start..8 * lengths.end {
        let mut altered = body.to_vec();
        altered[bit / 8] ^= 1 << (bit % 8);
        refused_everywhere(&sealed(&altered), &trusted, ErrorKind::Persistence, "lengths");
    }
    // One byte of the header counted to the payload: the lengths add up, the signature does not hold.
    let mut moved = body.to_vec();
    (moved[12], moved[16]) = (moved[12] - 1, moved[16] + 1);
    refused_everywhere(&sealed(&moved), &trusted, ErrorKind::Untrusted, "signature");
    // Every truncation, with a checksum of its own.
    for n in 24..body.len() {
        refused_everywhere(&sealed(&body[..n]), &trusted, ErrorKind::Persistence, "lengths");
    }
}

#[test]
fn a_signed_file_is_no_unsigned_one_nor_the_other_way_round() {
    let plain = unsigned(b"payload");
    let signed = envelope::sign(&plain, &key(1)).unwrap();
    let trusted = trusting(&[key(1).public_key()]);
    let kind = ErrorKind::Persistence;
    let body = |bytes: &[u8]| bytes[..bytes.len() - 32].to_vec();
    let without = &signed[..signed.len() - KEY];
    // Signed by its version, with no room for a signature, or for a part of one.
    refused_everywhere(&sealed(&with_version(body(&plain), 2)), &trusted, kind, "lengths");
    for n in 0..96 {
        refused_everywhere(&sealed(&[without, &vec![0; n]].concat()), &trusted, kind, "lengths");
    }
    refused_everywhere(
        &sealed(&[without, &[0; 96]].concat()),
        &trusted,
        ErrorKind::Untrusted,
        "signature",
    );
    refused_everywhere(
        &sealed(&with_version(vec![0; 24], 2)),
        &trusted,
        kind,
        "not a prognos file",
    );
    let mut empty = with_version(body(&plain)[..24].to_vec(), 2);
    empty[12..24].fill(0);
    refused_everywhere(&sealed(&empty), &trusted, kind, "lengths");
    // Unsigned by its version, with a signature behind it.
    refused_everywhere(&sealed(&with_version(body(&signed), 1)), &trusted, kind, "lengths");
    let mut counted = with_version(body(&signed), 1);
    counted[16] += 96; // the signature as a part of the payload
    let counted = sealed(&counted);
    assert_eq!(envelope::signer(&counted).unwrap(), None);
    refused(
        envelope::open_trusted(&counted, &trusted),
        ErrorKind::Untrusted,
        "unsigned",
    );
    // Without its signature and sealed anew: a whole file, but nobody's.
    let stripped = sealed(&with_version(without.to_vec(), 1));
    assert_eq!(stripped, plain);
    refused(
        envelope::open_trusted(&stripped, &trusted),
        ErrorKind::Untrusted,
        "unsigned",
    );
    // The highest lengths there are.
    for (at, n) in [(12, 4), (16, 8)] {
        for value in [u64::MAX, u64::MAX - 96, u64::MAX - 128, u64::MAX - 152, 1 << 40, 0] {
            let mut forged = body(&signed);
            forged[at..at + n].copy_from_slice(&value.to_le_bytes()[..n]);
            refused_everywhere(&sealed(&forged), &trusted, kind, "lengths");
        }
    }
}

#[test]
fn signatures_cannot_be_moved_nor_keys_exchanged() {
    let (a, b) = (key(1), key(2));
    let trusted = trusting(&[a.public_key(), b.public_key()]);
    let one = envelope::sign(&unsigned(b"payload"), &a).unwrap();
    let two = envelope::sign(&unsigned(b"Payload"), &a).unwrap();
    let same_by_b = envelope::sign(&unsigned(b"payload"), &b).unwrap();
    let n = one.len();
    let signature = |bytes: &[u8]| bytes[n - SIGNATURE..n - 32].to_vec();
    let key_of = |bytes: &[u8]| bytes[n - KEY..n - SIGNATURE].to_vec();
    let content = |bytes: &[u8]| bytes[..n - KEY].to_vec();
    let kind = ErrorKind::Untrusted;
    for parts in [
        [content(&two), key_of(&one), signature(&one)],
        [content(&one), key_of(&same_by_b), signature(&one)],
        [content(&one), key_of(&one), signature(&same_by_b)],
        [content(&one), key_of(&one), vec![0; 64]],
        [content(&one), vec![0; 32], signature(&one)],
        [content(&one), vec![0; 32], vec![0; 64]],
        [content(&one), vec![0xFF; 32], vec![0xFF; 64]],
    ] {
        refused_everywhere(&sealed(&parts.concat()), &trusted, kind, "signature");
    }
    // A point of order 1 as the key, for which the neutral point and a zero scalar would hold over anything.
    let neutral = [&[1u8][..], &[0; 31]].concat();
    let forged = [content(&one), neutral.clone(), neutral, vec![0; 32]].concat();
    refused_everywhere(&sealed(&forged), &trusted, kind, "small order");
    let whole = [content(&one), key_of(&one), signature(&one)].concat();
    assert_eq!(sealed(&whole), one);
}

#[test]
fn what_is_no_envelope_is_not_signed() {
    let plain = unsigned(b"payload");
    for bytes in [&b""[..], b"PROG", b"not a model", &plain[..plain.len() - 1]] {
        refused(envelope::sign(bytes, &key(1)), ErrorKind::Persistence, "");
    }
    // A header that is none, in an envelope whose checksum holds.
    let mut broken = plain[..plain.len() - 32].to_vec();
    broken[24] = 0xc1;
    refused(
        envelope::sign(&sealed(&broken), &key(1)),
        ErrorKind::Persistence,
        "header",
    );
}
