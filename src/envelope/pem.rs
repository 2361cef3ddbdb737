//! Ed25519 keys in PEM text (RFC 7468), as RFC 8410 encodes them.

use crate::error::{Error, Result};
use zeroize::Zeroizing;

/// A kind of PEM block whose bytes are `prefix`, then the 32 bytes of the key.
pub(super) struct Block {
    pub(super) label: &'static str,
    pub(super) prefix: &'static [u8],
}

/// `SubjectPublicKeyInfo` of an Ed25519 key.
pub(super) const PUBLIC: Block = Block {
    label: "PUBLIC KEY",
    prefix: b"\x30\x2a\x30\x05\x06\x03\x2b\x65\x70\x03\x21\x00",
};

/// PKCS#8 `PrivateKeyInfo` of an Ed25519 key, unencrypted.
pub(super) const SECRET: Block = Block {
    label: "PRIVATE KEY",
    prefix: b"\x30\x2e\x02\x01\x00\x30\x05\x06\x03\x2b\x65\x70\x04\x22\x04\x20",
};

/// The most bytes a block holds here.
const MOST: usize = 48;

/// The label of a line that begins a block.
pub(super) fn begins(line: &str) -> Option<&str> {
    line.strip_prefix("-----BEGIN ")?.strip_suffix("-----")
}

/// The label of a line that ends a block.
pub(super) fn ends(line: &str) -> Option<&str> {
    line.strip_prefix("-----END ")?.strip_suffix("-----")
}

impl Block {
    /// The key in a text that is this block and nothing else. No message repeats what the block holds.
    pub(super) fn key(&self, text: &str) -> Result<Zeroizing<[u8; 32]>> {
        let refuse = |got: &str| {
            let expected = format!("one PEM block `{}` of an Ed25519 key", self.label);
            Err(Error::input("key", expected, got))
        };
        let mut lines = text.trim().lines().map(str::trim);
        match lines.next().and_then(begins) {
            Some(label) if label == self.label => {}
            Some("ENCRYPTED PRIVATE KEY") => return refuse("an encrypted private key"),
            Some("PRIVATE KEY") => return refuse("a private key"),
            Some("PUBLIC KEY") => return refuse("a public key"),
            Some(_) => return refuse("a block with another label"),
            None => return refuse("text that begins with no block"),
        }
        let mut bytes = Zeroizing::new([0; MOST]);
        let mut base64 = Base64::default();
        let mut filled = 0;
        let ended = loop {
            let Some(line) = lines.next() else { break None };
            if let Some(label) = ends(line) {
                break Some(label);
            }
            for symbol in line.bytes() {
                match base64.push(symbol) {
                    Some(None) => {}
                    Some(Some(byte)) if filled < MOST => {
                        bytes[filled] = byte;
                        filled += 1;
                    }
                    Some(Some(_)) => return refuse("a longer block"),
                    None => return refuse("a block that is not Base64"),
                }
            }
        };
        if ended != Some(self.label) {
            return refuse("a block without its end");
        }
        if lines.next().is_some() {
            return refuse("a block with text after it");
        }
        if !base64.is_complete() {
            return refuse("a block that is not Base64");
        }
        match bytes[..filled].strip_prefix(self.prefix).map(<[u8; 32]>::try_from) {
            Some(Ok(key)) => Ok(Zeroizing::new(key)),
            _ => refuse("a key of another algorithm or encoding"),
        }
    }
}

/// Base64 (RFC 4648) symbol by symbol: with padding, and without bits that no byte takes.
#[derive(Default)]
struct Base64 {
    bits: u32,
    n_bits: u32,
    n_symbols: usize,
    n_padding: usize,
}

impl Base64 {
    /// The byte that `symbol` completes; nothing for a symbol that cannot stand here.
    fn push(&mut self, symbol: u8) -> Option<Option<u8>> {
        self.n_symbols += 1;
        let value = match symbol {
            b'=' => {
                self.n_padding += 1;
                return Some(None);
            }
            _ if self.n_padding > 0 => return None,
            b'A'..=b'Z' => symbol - b'A',
            b'a'..=b'z' => symbol - b'a' + 26,
            b'0'..=b'9' => symbol - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        self.bits = self.bits << 6 | u32::from(value);
        self.n_bits += 6;
        if self.n_bits < 8 {
            return Some(None);
        }
        self.n_bits -= 8;
        let byte = (self.bits >> self.n_bits) as u8;
        self.bits &= (1 << self.n_bits) - 1;
        Some(Some(byte))
    }

    fn is_complete(&self) -> bool {
        let padding = match self.n_bits {
            0 => 0,
            4 => 2,
            2 => 1,
            _ => return false,
        };
        self.bits == 0 && self.n_padding == padding && self.n_symbols.is_multiple_of(4)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(text: &str) -> Option<Vec<u8>> {
        let (mut base64, mut out) = (Base64::default(), Vec::new());
        for symbol in text.bytes() {
            out.extend(base64.push(symbol)?);
        }
        base64.is_complete().then_some(out)
    }

    #[test]
    fn base64_is_that_of_rfc_4648() {
        // Section 10 of RFC 4648.
        for (text, bytes) in [
            ("", ""),
            ("Zg==", "f"),
            ("Zm8=", "fo"),
            ("Zm9v", "foo"),
            ("Zm9vYg==", "foob"),
            ("Zm9vYmE=", "fooba"),
            ("Zm9vYmFy", "foobar"),
        ] {
            assert_eq!(decoded(text).as_deref(), Some(bytes.as_bytes()), "{text}");
        }
        assert_eq!(decoded("+/+/").unwrap(), [0xfb, 0xff, 0xbf]);
        for text in [
            "Z", "Zg", "Zg=", "Zg===", "Zh==", "Zm9=", "Zg==Zg==", "=", "====", "Zm9-", "Zm 9v", "Zm9v=", "Zm9v====",
        ] {
            assert_eq!(decoded(text), None, "{text}");
        }
    }
}
