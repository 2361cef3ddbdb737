//! The keys whose signatures are trusted, each with a name.

use super::{file::read_limited, pem, signature::PublicKey};
use crate::error::{Error, ErrorKind, Result};
use std::{collections::BTreeMap, path::Path, str::FromStr};

/// The largest text of a [`TrustList`]: 64 KiB.
pub const MAX_TRUST_LIST_BYTES: u64 = 64 << 10;
/// The longest name of a key, in characters.
const MAX_NAME: usize = 100;

/// The public keys whose signatures are trusted, each with a name of its own. An empty list trusts nobody.
///
/// As text: one key a line, 64 hexadecimal digits, white space and the name; or a PEM block, its name in the comment on
/// the line just before it, else its digits. Empty lines and lines that begin with `#` are passed over.
///
/// ```
/// use prognos::envelope::TrustList;
///
/// let list: TrustList = "
/// ## who may release models
/// d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a  plant 4
///
/// ## press shop
/// -----BEGIN PUBLIC KEY-----
/// MCowBQYDK2VwAyEAp93XUtWDbnCZYRWS2opKZGxZ9AbboMGhgZqxsnzrHCU=
/// -----END PUBLIC KEY-----
/// ".parse()?;
/// let names: Vec<_> = list.keys().map(|(_, name)| name).collect();
/// assert_eq!(names, ["press shop", "plant 4"]);
/// # Ok::<(), prognos::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrustList {
    names: BTreeMap<PublicKey, String>,
}

impl TrustList {
    /// A list that trusts nobody yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Trusts `key` under `name`.
    ///
    /// # Errors
    /// `InvalidInput` for a name that is empty, longer than 100 characters, with white space around it or control
    /// characters in it, and for a name or a key that is already on the list.
    pub fn add(&mut self, key: PublicKey, name: &str) -> Result<()> {
        let refuse = |what: &str, expected: &str, got: String| Err(Error::input(what, expected, got));
        let length = name.chars().count();
        if length == 0 || length > MAX_NAME {
            return refuse("name of a key", "1..=100 characters", length.to_string());
        }
        if name.trim() != name || name.chars().any(char::is_control) {
            let expected = "no white space around it and no control characters";
            return refuse("name of a key", expected, format!("{name:?}"));
        }
        if let Some(other) = self.name_of(&key) {
            return refuse(
                "key",
                "each key once",
                format!("`{key}` again, already there as `{other}`"),
            );
        }
        if self.names.values().any(|n| n == name) {
            return refuse("name of a key", "each name once", format!("`{name}` again"));
        }
        self.names.insert(key, name.into());
        Ok(())
    }

    /// Reads a list's text from a file.
    ///
    /// # Errors
    /// `Io`; `InvalidInput` for a file larger than [`MAX_TRUST_LIST_BYTES`], one that is not UTF-8, or as
    /// [`from_str`](TrustList::from_str); each names the path.
    pub fn load(path: impl AsRef<Path>) -> Result<Self> {
        Self::load_from(path.as_ref())
    }

    fn load_from(path: &Path) -> Result<Self> {
        let bytes = read_limited(path, MAX_TRUST_LIST_BYTES).map_err(|e| match e.kind() {
            ErrorKind::Persistence => too_large("more").context(path.display()),
            _ => e,
        })?;
        std::str::from_utf8(&bytes)
            .map_err(|e| Error::input("trust list", "UTF-8", format!("other bytes after {}", e.valid_up_to())))
            .and_then(Self::from_str)
            .map_err(|e| e.context(path.display()))
    }

    /// The name `key` is trusted under, where it is.
    pub fn name_of(&self, key: &PublicKey) -> Option<&str> {
        self.names.get(key).map(String::as_str)
    }

    /// Keys and names, in the order of the keys.
    pub fn keys(&self) -> impl Iterator<Item = (&PublicKey, &str)> {
        self.names.iter().map(|(key, name)| (key, name.as_str()))
    }

    /// Number of keys.
    pub fn len(&self) -> usize {
        self.names.len()
    }

    /// Whether the list trusts nobody.
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }
}

fn too_large(got: &str) -> Error {
    let expected = format!("at most {MAX_TRUST_LIST_BYTES} bytes");
    Error::input("trust list", expected, got)
}

/// From a list's text, whole or not at all.
///
/// # Errors
/// `InvalidInput`, naming the line, for a line that is none of the above, a name or key that comes twice, or a PEM block
/// that is not a public key; for a text larger than [`MAX_TRUST_LIST_BYTES`].
impl FromStr for TrustList {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        if text.len() as u64 > MAX_TRUST_LIST_BYTES {
            return Err(too_large(&text.len().to_string()));
        }
        let mut list = Self::new();
        let mut comment = None;
        let mut lines = text.lines().enumerate().map(|(i, line)| (i + 1, line.trim()));
        while let Some((number, line)) = lines.next() {
            let at = |e: Error| e.context(format!("trust list, line {number}"));
            if line.is_empty() {
                comment = None;
                continue;
            }
            if let Some(words) = line.strip_prefix('#') {
                comment = Some(words.trim_start_matches('#').trim());
                continue;
            }
            let (key, name) = if pem::begins(line).is_some() {
                let mut block = line.to_owned();
                for (_, line) in lines.by_ref() {
                    block.push('\n');
                    block.push_str(line);
                    if pem::ends(line).is_some() {
                        break;
                    }
                }
                let key = PublicKey::from_pem(&block).map_err(at)?;
                let name = comment.filter(|words| !words.is_empty());
                (key, name.map_or_else(|| key.to_string(), str::to_owned))
            } else {
                let (key, name) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
                (key.parse().map_err(at)?, name.trim().to_owned())
            };
            comment = None;
            list.add(key, &name).map_err(at)?;
        }
        Ok(list)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::envelope::SigningKey;

    fn key(n: u8) -> PublicKey {
        SigningKey::from_bytes(&[n; 32]).public_key()
    }

    const PEM: &str = "-----BEGIN PUBLIC KEY-----
MCowBQYDK2VwAyEAp93XUtWDbnCZYRWS2opKZGxZ9AbboMGhgZqxsnzrHCU=
-----END PUBLIC KEY-----
";
    const PEM_HEX: &str = "a7ddd752d5836e7099611592da8a4a646c59f406dba0c1a1819ab1b27ceb1c25";

    #[test]
    fn lines_and_blocks_are_read() {
        let (a, b) = (key(1), key(2));
        let text = format!("# head\n\n{a}  first key \r\n\t{b}\tsecond\n#  named \n{PEM}# tail");
        let list: TrustList = text.parse().unwrap();
        assert_eq!(list.len(), 3);
        assert_eq!(list.name_of(&a), Some("first key"));
        assert_eq!(list.name_of(&b), Some("second"));
        assert_eq!(list.name_of(&PEM_HEX.parse().unwrap()), Some("named"));
        assert_eq!(list.name_of(&key(3)), None);
        // A comment that is not on the line just before names nothing, nor does an empty one.
        for text in [
            PEM.into(),
            format!("# head\n\n{PEM}"),
            format!("#\n{PEM}"),
            format!("# x\n{a} a\n{PEM}"),
        ] {
            let list: TrustList = text.parse().unwrap();
            assert_eq!(list.name_of(&PEM_HEX.parse().unwrap()), Some(PEM_HEX), "{text}");
        }
        for text in ["", "\n \n", "# nobody"] {
            assert!(text.parse::<TrustList>().unwrap().is_empty());
        }
    }

    #[test]
    fn hostile_texts_are_refused_by_line() {
        let (a, b) = (key(1), key(2));
        let hex = a.to_string();
        let long = "x".repeat(101);
        for (text, line, says) in [
            (format!("\n{hex}"), 2, "1..=100 characters, got 0"),
            (format!("{hex} {long}"), 1, "got 101"),
            (format!("{hex} a\0b"), 1, "control"),
            (format!("\0{} a", &hex[1..]), 1, "64 hex"),
            (format!("{}\0 a", &hex[1..]), 1, "64 hex"),
            (format!("\u{feff}{hex} a"), 1, "64 hex"),
            (format!("{hex}0 a"), 1, "64 hex"),
            (format!("x{} a", &hex[1..]), 1, "64 hex"),
            (format!("a {hex}"), 1, "64 hex"),
            (format!("{} zero", "00".repeat(32)), 1, "small order"),
            (format!("{hex} a\n# c\n{hex} b"), 3, "already there as `a`"),
            (format!("{hex} a\n{} b", hex.to_uppercase()), 2, "already there as `a`"),
            (format!("{hex} a\n\n{b} a"), 3, "`a` again"),
            (format!("{PEM}{PEM_HEX} again"), 4, "already there"),
            (format!("{PEM_HEX} a\n{PEM}"), 2, "already there as `a`"),
            (format!("{hex} a\n# a\n{PEM}"), 3, "`a` again"),
            (PEM.replace("VwAyEA", "VuAyEA"), 1, "another algorithm"),
            (PEM.replace("-----END PUBLIC KEY-----", ""), 1, "without its end"),
            (PEM.replace("PUBLIC", "PRIVATE"), 1, "a private key"),
            ("-----END PUBLIC KEY-----".into(), 1, "64 hex"),
            ("-----BEGIN PUBLIC KEY-----".into(), 1, "without its end"),
        ] {
            let e = text.parse::<TrustList>().unwrap_err();
            assert_eq!(e.kind(), ErrorKind::InvalidInput);
            let e = e.to_string();
            assert!(
                e.contains(&format!("trust list, line {line}: ")) && e.contains(says),
                "{says}: {e}"
            );
        }
        let e = "\n"
            .repeat(MAX_TRUST_LIST_BYTES as usize + 1)
            .parse::<TrustList>()
            .unwrap_err();
        assert!(e.to_string().contains("at most 65536 bytes, got 65537"), "{e}");
        assert!("\n".repeat(MAX_TRUST_LIST_BYTES as usize).parse::<TrustList>().is_ok());
        let mut list = TrustList::new();
        for name in ["", " a", "a ", "a\nb"] {
            assert!(list.add(a, name).is_err() && list.is_empty(), "{name:?}");
        }
    }

    #[test]
    fn files_are_read_with_a_limit() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("trusted");
        let load = |bytes: &[u8]| {
            std::fs::write(&path, bytes).unwrap();
            TrustList::load(&path)
        };
        assert_eq!(load(format!("{} a", key(1)).as_bytes()).unwrap().len(), 1);
        let huge = vec![b'\n'; MAX_TRUST_LIST_BYTES as usize + 1];
        for (bytes, says) in [
            (&b"\xff"[..], "UTF-8"),
            (&b"x"[..], "line 1"),
            (&huge[..], "at most 65536 bytes"),
        ] {
            let e = load(bytes).unwrap_err();
            assert_eq!(e.kind(), ErrorKind::InvalidInput, "{e}");
            assert!(e.to_string().contains(says) && e.to_string().contains("trusted"), "{e}");
        }
        assert_eq!(
            TrustList::load(folder.path().join("no")).unwrap_err().kind(),
            ErrorKind::Io
        );
    }
}
