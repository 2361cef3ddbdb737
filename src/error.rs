//! One opaque error with a kind.

use std::{error::Error as StdError, fmt, path::Path};

/// The result of every fallible call in this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong, for code that must tell cases apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// A parameter lies outside its range; nothing was computed.
    InvalidParameter,
    /// Data given to a call are malformed: wrong length, wrong column count, unreadable number.
    InvalidInput,
    /// Feature names, units, window or rate differ from what a model was made for.
    SchemaMismatch,
    /// A state belongs to another model.
    StateMismatch,
    /// Too few rows, assets or events to do what was asked.
    InsufficientData,
    /// An iteration ended without an answer, or a matrix could not be factorised.
    NotConverged,
    /// Bytes of a model or state are altered, truncated, of another kind or of a later format.
    Persistence,
    /// A file is whole, but not signed by a key that is trusted, or its signature does not hold.
    Untrusted,
    /// The operating system refused to read or write.
    Io,
}

/// The crate's error: one word wide, `Send + Sync`, with a [`kind`](Error::kind), a message that names the thing, what
/// was expected and what came, and the cause where there is one.
pub struct Error(Box<Repr>);

struct Repr {
    kind: ErrorKind,
    message: String,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

impl Error {
    /// An error of `kind`; for models outside this crate that keep its contract.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self(Box::new(Repr {
            kind,
            message: message.into(),
            source: None,
        }))
    }

    /// The same error with its cause.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// The same error, its message preceded by where it happened: `context: message`.
    #[must_use]
    pub fn context(mut self, context: impl fmt::Display) -> Self {
        self.0.message = format!("{context}: {}", self.0.message);
        self
    }

    /// Which case this is.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    pub(crate) fn parameter(name: &str, expected: impl fmt::Display, got: impl fmt::Display) -> Self {
        Self::new(
            ErrorKind::InvalidParameter,
            format!("parameter `{name}` must be {expected}, got {got}"),
        )
    }

    pub(crate) fn input(what: &str, expected: impl fmt::Display, got: impl fmt::Display) -> Self {
        Self::new(
            ErrorKind::InvalidInput,
            format!("{what}: expected {expected}, got {got}"),
        )
    }

    pub(crate) fn schema(what: &str, expected: impl fmt::Display, got: impl fmt::Display) -> Self {
        Self::new(
            ErrorKind::SchemaMismatch,
            format!("{what}: expected {expected}, got {got}"),
        )
    }

    pub(crate) fn state(what: &str, expected: impl fmt::Display, got: impl fmt::Display) -> Self {
        Self::new(
            ErrorKind::StateMismatch,
            format!("{what}: expected {expected}, got {got}"),
        )
    }

    pub(crate) fn insufficient(what: &str, needed: impl fmt::Display, got: impl fmt::Display) -> Self {
        Self::new(
            ErrorKind::InsufficientData,
            format!("{what}: needs {needed}, got {got}"),
        )
    }

    pub(crate) fn not_converged(what: impl Into<String>) -> Self {
        Self::new(ErrorKind::NotConverged, what)
    }

    pub(crate) fn persistence(what: impl Into<String>) -> Self {
        Self::new(ErrorKind::Persistence, what)
    }

    pub(crate) fn io(doing: &str, path: &Path, source: std::io::Error) -> Self {
        Self::new(ErrorKind::Io, format!("cannot {doing} `{}`: {source}", path.display())).with_source(source)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Error")
            .field("kind", &self.0.kind)
            .field("message", &self.0.message)
            .field("source", &self.0.source)
            .finish()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_ref().map(|s| &**s as &(dyn StdError + 'static))
    }
}

/// linfa's traits ask for this conversion; none of linfa's own errors is a wrong parameter of ours.
impl From<linfa::Error> for Error {
    fn from(e: linfa::Error) -> Self {
        Self::new(ErrorKind::NotConverged, format!("linfa: {e}")).with_source(e)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn error_is_one_word_and_crosses_threads() {
        fn auto<T: Send + Sync + Unpin + 'static>() {}
        auto::<Error>();
        assert_eq!(size_of::<Error>(), size_of::<usize>());
    }

    #[test]
    fn message_names_thing_expected_and_got() {
        let e = Error::parameter("hop", "at least 1", 0).context("WindowSpec");
        assert_eq!(e.kind(), ErrorKind::InvalidParameter);
        assert_eq!(e.to_string(), "WindowSpec: parameter `hop` must be at least 1, got 0");
        let io = Error::io("read", Path::new("a"), std::io::Error::other("no"));
        assert!(StdError::source(&io).is_some());
    }
}
