//! Keys that sign files, and those their signatures are checked by: Ed25519.

use super::pem;
use crate::error::{Error, ErrorKind, Result};
use ed25519_dalek::{Signature, Signer, VerifyingKey};
use std::{fmt, str::FromStr};

/// What is signed begins with this, so that no signature made for anything else counts here, nor the other way round.
pub(super) const CONTEXT: &[u8] = b"prognos envelope v2\0";
/// Bytes of a public key.
pub(super) const PUBLIC_KEY: usize = 32;
/// Bytes of a signature.
pub(super) const SIGNATURE: usize = 64;

/// The secret key that signs files (Ed25519, RFC 8032). Neither printed nor written anywhere by this crate, and
/// overwritten in memory when dropped.
///
/// ```
/// use prognos::envelope::SigningKey;
///
/// // openssl genpkey -algorithm ed25519 -out signing.pem
/// let key = SigningKey::from_pem("
/// -----BEGIN PRIVATE KEY-----
/// MC4CAQAwBQYDK2VwBCIEIGLjoCRXIbQG3i1+i4Qk2LcHOASaxLPpWseVr/D0Y2Kh
/// -----END PRIVATE KEY-----
/// ")?;
/// assert!(key.public_key().to_string().starts_with("a7ddd752d5836e70"));
/// # Ok::<(), prognos::Error>(())
/// ```
#[derive(Clone)]
pub struct SigningKey(ed25519_dalek::SigningKey);

impl SigningKey {
    /// The key of 32 secret bytes: the seed of RFC 8032, which must come from a good source of randomness.
    pub fn from_bytes(secret: &[u8; 32]) -> Self {
        Self(ed25519_dalek::SigningKey::from_bytes(secret))
    }

    /// The key in PEM text: PKCS#8, unencrypted, as `openssl genpkey -algorithm ed25519` writes it.
    ///
    /// # Errors
    /// `InvalidInput` for any other text; the message repeats nothing of it.
    pub fn from_pem(text: &str) -> Result<Self> {
        let secret = pem::SECRET.key(text).map_err(|e| e.context("signing key"))?;
        Ok(Self::from_bytes(&secret))
    }

    /// The key its signatures are checked by.
    pub fn public_key(&self) -> PublicKey {
        PublicKey(self.0.verifying_key().to_bytes())
    }

    /// The signature over `message`.
    pub(super) fn sign(&self, message: &[u8]) -> [u8; SIGNATURE] {
        self.0.sign(message).to_bytes()
    }
}

/// Shows the public key alone.
impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKey")
            .field("public_key", &self.public_key())
            .finish_non_exhaustive()
    }
}

/// The key a signature is checked by (Ed25519): 32 bytes, printed as 64 hexadecimal digits.
///
/// ```
/// use prognos::envelope::PublicKey;
///
/// // openssl pkey -in signing.pem -pubout
/// let key = PublicKey::from_pem("
/// -----BEGIN PUBLIC KEY-----
/// MCowBQYDK2VwAyEAp93XUtWDbnCZYRWS2opKZGxZ9AbboMGhgZqxsnzrHCU=
/// -----END PUBLIC KEY-----
/// ")?;
/// assert_eq!(key.to_string().parse::<PublicKey>()?, key);
/// # Ok::<(), prognos::Error>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PublicKey([u8; PUBLIC_KEY]);

impl PublicKey {
    /// The key of these bytes, as RFC 8032 encodes it.
    ///
    /// # Errors
    /// `InvalidInput` for bytes that are no point of the curve, write one in another form than the shortest, or are one
    /// of the few of small order, under which a signature proves nothing.
    pub fn from_bytes(bytes: &[u8; 32]) -> Result<Self> {
        Self::checked(bytes).map(|_| Self(*bytes))
    }

    fn checked(bytes: &[u8; PUBLIC_KEY]) -> Result<VerifyingKey> {
        let refuse = |got: &str| Error::input("public key", "an Ed25519 key", got);
        let key = VerifyingKey::from_bytes(bytes).map_err(|_| refuse("bytes that are no point of the curve"))?;
        if key.to_edwards().compress().to_bytes() != *bytes {
            return Err(refuse("a point not in its canonical form"));
        }
        if key.is_weak() {
            return Err(refuse("a point of small order, under which a signature proves nothing"));
        }
        Ok(key)
    }

    /// The key in PEM text, as `openssl pkey -pubout` writes it.
    ///
    /// # Errors
    /// `InvalidInput` for any other text, or as [`from_bytes`](PublicKey::from_bytes).
    pub fn from_pem(text: &str) -> Result<Self> {
        let bytes = pem::PUBLIC.key(text).map_err(|e| e.context("public key"))?;
        Self::from_bytes(&bytes)
    }

    /// The key's bytes.
    pub fn to_bytes(&self) -> [u8; 32] {
        self.0
    }

    /// Fails unless `signature` is that of `message`, checked strictly: no part of small order, no second form.
    pub(super) fn verify(bytes: &[u8; PUBLIC_KEY], message: &[u8], signature: &[u8; SIGNATURE]) -> Result<Self> {
        let key = Self::checked(bytes).map_err(|e| Error::new(ErrorKind::Untrusted, format!("signature: {e}")))?;
        let key_text = Self(*bytes);
        key.verify_strict(message, &Signature::from_bytes(signature))
            .map_err(|_| {
                let what = format!("signature: not one of `{key_text}`, the key it carries, over this content");
                Error::new(ErrorKind::Untrusted, what)
            })?;
        Ok(key_text)
    }
}

/// From 64 hexadecimal digits.
impl FromStr for PublicKey {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let refuse = |got: String| Error::input("public key", "64 hexadecimal digits", got);
        if text.len() != 2 * PUBLIC_KEY {
            return Err(refuse(format!("{} bytes of text", text.len())));
        }
        let mut bytes = [0; PUBLIC_KEY];
        for (byte, digits) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
            for digit in digits {
                let value = char::from(*digit)
                    .to_digit(16)
                    .ok_or_else(|| refuse("another character".into()))?;
                *byte = *byte << 4 | value as u8;
            }
        }
        Self::from_bytes(&bytes)
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(hex: &str) -> Vec<u8> {
        let pair = |i: usize| u8::from_str_radix(&hex[i..i + 2], 16).unwrap();
        (0..hex.len()).step_by(2).map(pair).collect()
    }

    fn array<const N: usize>(hex: &str) -> [u8; N] {
        bytes(hex).try_into().unwrap()
    }

    /// Secret key, public key, message and signature of tests 1, 2 and 3 in section 7.1 of RFC 8032.
    const RFC_8032: [[&str; 4]; 3] = [
        [
            "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
            "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
            "",
            "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe\
             24655141438e7a100b",
        ],
        [
            "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
            "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
            "72",
            "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302a\
             eeb00d291612bb0c00",
        ],
        [
            "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
            "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
            "af82",
            "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed2\
             8dc027beceea1ec40a",
        ],
    ];

    #[test]
    fn signs_and_checks_as_rfc_8032_does() {
        for [secret, public, message, signature] in RFC_8032 {
            let key = SigningKey::from_bytes(&array(secret));
            assert_eq!(key.public_key().to_string(), public);
            assert_eq!(public.parse::<PublicKey>().unwrap(), key.public_key());
            let (message, signature) = (bytes(message), array(signature));
            assert_eq!(key.sign(&message), signature);
            assert!(PublicKey::verify(&array(public), &message, &signature).is_ok());
            for bit in (0..8 * SIGNATURE).step_by(13) {
                let mut other = signature;
                other[bit / 8] ^= 1 << (bit % 8);
                let e = PublicKey::verify(&array(public), &message, &other).unwrap_err();
                assert_eq!(e.kind(), ErrorKind::Untrusted, "bit {bit}: {e}");
            }
        }
    }

    #[test]
    fn a_signature_has_one_form() {
        // The scalar plus the order of the group, 2^252 + 27742317777372353535851937790883648493, is the same scalar.
        let order = bytes("edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010");
        let [_, public, message, signature] = RFC_8032[1];
        let mut signature: [u8; SIGNATURE] = array(signature);
        let mut carry = 0;
        for (s, o) in signature[32..].iter_mut().zip(order) {
            let sum = u16::from(*s) + u16::from(o) + carry;
            (*s, carry) = (sum as u8, sum >> 8);
        }
        assert_eq!(carry, 0);
        assert!(PublicKey::verify(&array(public), &bytes(message), &signature).is_err());
    }

    #[test]
    fn weak_and_malformed_keys_are_refused() {
        // The points of order 1, 2, 4 and 8, and further encodings of some: y = p, p + 1, and x = 0 with its sign set.
        for (hex, says) in [
            (
                "0100000000000000000000000000000000000000000000000000000000000000",
                "small order",
            ),
            (
                "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
                "small order",
            ),
            (
                "0000000000000000000000000000000000000000000000000000000000000000",
                "small order",
            ),
            (
                "0000000000000000000000000000000000000000000000000000000000000080",
                "small order",
            ),
            (
                "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
                "small order",
            ),
            (
                "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
                "small order",
            ),
            (
                "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
                "canonical",
            ),
            (
                "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
                "canonical",
            ),
            ("0100000000000000000000000000000000000000000000000000000000000080", ""),
            // y = 2 is no point of the curve.
            (
                "0200000000000000000000000000000000000000000000000000000000000000",
                "no point",
            ),
        ] {
            let e = hex.parse::<PublicKey>().unwrap_err();
            assert_eq!(e.kind(), ErrorKind::InvalidInput);
            assert!(e.to_string().contains(says), "{hex}: {e}");
            // Under a key of small order a signature of zeros and the neutral point could hold for any message.
            let mut signature = [0; SIGNATURE];
            signature[0] = 1;
            let e = PublicKey::verify(&array(hex), b"any", &signature).unwrap_err();
            assert_eq!(e.kind(), ErrorKind::Untrusted);
        }
        let good = RFC_8032[0][1];
        assert_eq!(good.to_uppercase().parse::<PublicKey>().unwrap().to_string(), good);
        for text in [
            "",
            &good[1..],
            &format!("{good}0"),
            &format!(" {}", &good[1..]),
            &format!("+{}", &good[1..]),
            &format!("g{}", &good[1..]),
            &format!("\u{e9}{}", &good[2..]),
            &format!("\0{}", &good[1..]),
        ] {
            let e = text.parse::<PublicKey>().unwrap_err();
            assert!(
                e.kind() == ErrorKind::InvalidInput && e.to_string().contains("64 hex"),
                "{text}: {e}"
            );
        }
    }

    // Made by OpenSSL 3.0.19: `openssl genpkey -algorithm ed25519`, `openssl pkey -pubout`, `openssl pkey -noout -text`.
    const SECRET_PEM: &str = "-----BEGIN PRIVATE KEY-----
MC4CAQAwBQYDK2VwBCIEIGLjoCRXIbQG3i1+i4Qk2LcHOASaxLPpWseVr/D0Y2Kh
-----END PRIVATE KEY-----
";
    const PUBLIC_PEM: &str = "-----BEGIN PUBLIC KEY-----
MCowBQYDK2VwAyEAp93XUtWDbnCZYRWS2opKZGxZ9AbboMGhgZqxsnzrHCU=
-----END PUBLIC KEY-----
";
    const SECRET_HEX: &str = "62e3a0245721b406de2d7e8b8424d8b70738049ac4b3e95ac795aff0f46362a1";
    const PUBLIC_HEX: &str = "a7ddd752d5836e7099611592da8a4a646c59f406dba0c1a1819ab1b27ceb1c25";

    #[test]
    fn keys_written_by_openssl_are_read() {
        let key = SigningKey::from_pem(SECRET_PEM).unwrap();
        assert_eq!(key.0.to_bytes(), array(SECRET_HEX));
        assert_eq!(key.public_key().to_string(), PUBLIC_HEX);
        assert_eq!(PublicKey::from_pem(PUBLIC_PEM).unwrap(), key.public_key());
        let crlf = SECRET_PEM.replace('\n', "\r\n");
        assert_eq!(SigningKey::from_pem(&crlf).unwrap().public_key(), key.public_key());
        // `printf prognos > m; openssl pkeyutl -sign -inkey KEY -rawin -in m`
        let signature = "15824ef5120fd280161246a4f9012abd7db2bacbbf24cd7f8108ceb89c00ddd11ec8012ddd2aaead36b6b281890c2a41d2\
                         11adc845860e15893530d132266b00";
        assert_eq!(key.sign(b"prognos"), array(signature));
    }

    #[test]
    fn other_pem_texts_are_refused_and_never_repeated() {
        let body = "MC4CAQAwBQYDK2VwBCIEIGLjoCRXIbQG3i1+i4Qk2LcHOASaxLPpWseVr/D0Y2Kh";
        let block =
            |body: &str| SECRET_PEM.replace("MC4CAQAwBQYDK2VwBCIEIGLjoCRXIbQG3i1+i4Qk2LcHOASaxLPpWseVr/D0Y2Kh", body);
        // `openssl genpkey -algorithm x25519`
        let x25519 = block("MC4CAQAwBQYDK2VuBCIEIGDXFONgeo15ROykOXmC4XHl06hq4ZohUHQcsLVdGYtm");
        for (text, says) in [
            (String::new(), "no block"),
            (SECRET_HEX.into(), "no block"),
            (PUBLIC_PEM.into(), "public key"),
            (SECRET_PEM.replace("PRIVATE", "ENCRYPTED PRIVATE"), "encrypted"),
            (SECRET_PEM.replace("PRIVATE", "EC PRIVATE"), "another label"),
            (x25519, "another algorithm"),
            (block(""), "another algorithm"),
            (block(&body[..60]), "another algorithm"),
            (block(&body[..61]), "not Base64"),
            (block(&body.replace('/', "!")), "not Base64"),
            (block(&body.replace('/', "\0")), "not Base64"),
            (block(&format!("{body}AAAA")), "longer"),
            (block(&"A".repeat(1 << 20)), "longer"),
            (SECRET_PEM.replace("-----END PRIVATE KEY-----", ""), "without its end"),
            (SECRET_PEM.replace("END PRIVATE", "END PUBLIC"), "without its end"),
            (format!("{SECRET_PEM}{SECRET_PEM}"), "text after it"),
        ] {
            let e = SigningKey::from_pem(&text).unwrap_err();
            assert_eq!(e.kind(), ErrorKind::InvalidInput);
            assert!(e.to_string().contains(says), "{says}: {e}");
            assert!(
                !e.to_string().contains("IEIG") && !format!("{e:?}").contains("LcHOASaxLPpWse"),
                "{e}"
            );
        }
        let e = PublicKey::from_pem(SECRET_PEM).unwrap_err();
        assert!(e.to_string().contains("a private key"), "{e}");
        // `openssl pkey -pubout` of the X25519 key.
        let x25519 = "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VuAyEAuRL8Cby13O3mnkJmdhbj2FCqN8DvDR3mZLJ0XDTouE0=\n\
                      -----END PUBLIC KEY-----\n";
        assert!(
            PublicKey::from_pem(x25519)
                .unwrap_err()
                .to_string()
                .contains("another algorithm")
        );
    }

    #[test]
    fn a_signing_key_shows_its_public_half_alone() {
        let key = SigningKey::from_pem(SECRET_PEM).unwrap();
        let shown = format!("{key:?} {key:#?}");
        assert!(shown.contains(PUBLIC_HEX) && !shown.contains("62e3"), "{shown}");
        assert!(!shown.contains("98, 227"), "{shown}");
        fn zeroised<T: zeroize::ZeroizeOnDrop>(_: &T) {}
        zeroised(&key.0);
    }
}
