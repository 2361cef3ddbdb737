//! A module imports only those above it in the list of `src/lib.rs`: data flow down, and so do dependencies.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

/// The words and punctuation of Rust source, without comments, strings and character literals.
fn tokens(source: &str) -> Vec<String> {
    let s: Vec<char> = source.chars().collect();
    let at = |i: usize| s.get(i).copied().unwrap_or('\0');
    let word = |c: char| c.is_alphanumeric() || c == '_';
    let (mut out, mut i) = (Vec::new(), 0);
    while i < s.len() {
        match at(i) {
            '/' if at(i + 1) == '/' => {
                while i < s.len() && at(i) != '\n' {
                    i += 1;
                }
            }
            '/' if at(i + 1) == '*' => {
                let mut depth = 0;
                loop {
                    match (at(i), at(i + 1)) {
                        ('/', '*') => (depth, i) = (depth + 1, i + 2),
                        ('*', '/') => (depth, i) = (depth - 1, i + 2),
                        _ => i += 1,
                    }
                    if depth == 0 || i >= s.len() {
                        break;
                    }
                }
            }
            '"' => {
                i += 1;
                while i < s.len() && at(i) != '"' {
                    i += if at(i) == '\\' { 2 } else { 1 };
                }
                i += 1;
            }
            // A character, or a lifetime, whose name is then a word like any other.
            '\'' if at(i + 1) == '\\' => {
                i += 3;
                while i < s.len() && at(i) != '\'' {
                    i += 1;
                }
                i += 1;
            }
            '\'' if at(i + 2) == '\'' => i += 3,
            c if word(c) => {
                let start = i;
                while word(at(i)) {
                    i += 1;
                }
                let text: String = s[start..i].iter().collect();
                let hashes = s[i..].iter().take_while(|c| **c == '#').count();
                if matches!(&*text, "r" | "br" | "cr") && at(i + hashes) == '"' {
                    let close: Vec<char> = std::iter::once('"').chain(std::iter::repeat_n('#', hashes)).collect();
                    i += hashes + 1;
                    while i < s.len() && !s[i..].starts_with(&close) {
                        i += 1;
                    }
                    i += close.len();
                } else {
                    out.push(text);
                }
            }
            ':' if at(i + 1) == ':' => {
                out.push("::".into());
                i += 2;
            }
            c => {
                if !c.is_whitespace() {
                    out.push(c.into());
                }
                i += 1;
            }
        }
    }
    out
}

/// The names that `source`, the file of `module` (its path from the crate's root), takes from the root: of `use` and of
/// paths anywhere, through `crate::` and through enough `super::`, groups included.
fn taken_from_root(source: &str, module: &[String]) -> BTreeSet<String> {
    let t = tokens(source);
    let at = |i: usize| t.get(i).map_or("", String::as_str);
    let mut names = BTreeSet::new();
    // Inline modules that are open, and the depth of braces in which each lies.
    let (mut inline, mut depth): (Vec<usize>, usize) = (Vec::new(), 0);
    for i in 0..t.len() {
        match at(i) {
            "{" => {
                if i >= 2 && at(i - 2) == "mod" {
                    inline.push(depth);
                }
                depth += 1;
            }
            "}" => {
                depth = depth.saturating_sub(1);
                if inline.last() == Some(&depth) {
                    inline.pop();
                }
            }
            "crate" if at(i + 1) == "::" => first_names(&t, i + 2, &mut names),
            "super" if at(i.wrapping_sub(1)) != "::" => {
                let mut end = i;
                let mut ups = 0;
                while at(end) == "super" && at(end + 1) == "::" {
                    ups += 1;
                    end += 2;
                }
                if ups >= module.len() + inline.len() && ups > 0 {
                    first_names(&t, end, &mut names);
                }
            }
            _ => {}
        }
    }
    names
}

/// The first segment of the path at token `i`; of a group, that of each member.
fn first_names(t: &[String], i: usize, names: &mut BTreeSet<String>) {
    let at = |i: usize| t.get(i).map_or("", String::as_str);
    if at(i) != "{" {
        names.insert(at(i).to_owned());
        return;
    }
    let mut depth = 0;
    for j in i..t.len() {
        match at(j) {
            "{" => depth += 1,
            "}" => depth -= 1,
            name if depth == 1 && matches!(at(j - 1), "{" | ",") => {
                names.insert(name.to_owned());
            }
            _ => {}
        }
        if depth == 0 {
            return;
        }
    }
}

/// The modules of `lib.rs` in order, and the module behind each name it re-exports.
fn layers(lib: &str) -> (Vec<String>, BTreeMap<String, String>) {
    let t = tokens(lib);
    let at = |i: usize| t.get(i).map_or("", String::as_str);
    let (mut modules, mut exports) = (Vec::new(), BTreeMap::new());
    for i in 0..t.len() {
        match at(i) {
            "mod" if at(i + 2) == ";" => modules.push(at(i + 1).to_owned()),
            "use" if at(i + 2) == "::" => {
                let mut names = BTreeSet::new();
                first_names(&t, i + 3, &mut names);
                exports.extend(names.into_iter().map(|n| (n, at(i + 1).to_owned())));
            }
            _ => {}
        }
    }
    (modules, exports)
}

/// What `source` imports against the order, in words.
fn violations(
    source: &str,
    module: &[String],
    (modules, exports): &(Vec<String>, BTreeMap<String, String>),
) -> Vec<String> {
    let place = |name: &str| modules.iter().position(|m| m == name);
    let own = place(&module[0]);
    let wrong = |name: &String| {
        let from = exports.get(name).unwrap_or(name);
        match (place(from), own) {
            (Some(other), Some(own)) if other <= own => None,
            (Some(_), Some(_)) => Some(format!("`{}` imports `{from}`, which lies below it", module.join("::"))),
            (_, None) => Some(format!("`{}` is not a module of src/lib.rs", module[0])),
            (None, _) => Some(format!(
                "`{}` imports `{name}`, which src/lib.rs does not list",
                module.join("::")
            )),
        }
    };
    let names = taken_from_root(source, module);
    names.iter().filter_map(wrong).collect()
}

fn rust_files(dir: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            rust_files(&path, files);
        } else if path.extension().is_some_and(|e| e == "rs") {
            files.push(path);
        }
    }
}

/// `src/pipeline/fit.rs` is `pipeline::fit`, `src/pipeline/mod.rs` is `pipeline`.
fn module_of(file: &Path, src: &Path) -> Vec<String> {
    let inside = file.strip_prefix(src).unwrap().with_extension("");
    let mut module: Vec<String> = inside.iter().map(|p| p.to_str().unwrap().to_owned()).collect();
    if module.last().is_some_and(|m| m == "mod") {
        module.pop();
    }
    module
}

#[test]
fn modules_import_only_those_above_them() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let layers = layers(&fs::read_to_string(src.join("lib.rs")).unwrap());
    let mut files = Vec::new();
    rust_files(&src, &mut files);
    files.retain(|f| !f.ends_with("src/lib.rs"));
    let (mut found, mut seen) = (Vec::new(), BTreeSet::new());
    for file in &files {
        let module = module_of(file, &src);
        found.extend(violations(&fs::read_to_string(file).unwrap(), &module, &layers));
        seen.insert(module[0].clone());
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
    let listed: BTreeSet<String> = layers.0.iter().cloned().collect();
    assert_eq!(seen, listed, "the modules in src/ against those in src/lib.rs");
    assert_eq!(listed.len(), layers.0.len(), "a module is listed twice");
}

#[test]
fn planted_violations_are_found() {
    let layers = layers(
        "//! mod comment;\npub mod error; mod signal;\n#[cfg(feature = \"x\")] pub mod detect; pub mod fleet;\n\
         pub use error::{Error, Result}; pub use fleet::Fleet;",
    );
    assert_eq!(layers.0, ["error", "signal", "detect", "fleet"]);
    let found = |source: &str, module: &str| {
        let module: Vec<String> = module.split("::").map(String::from).collect();
        violations(source, &module, &layers)
    };
    let below = ["`detect` imports `fleet`, which lies below it"];
    for bad in [
        "use crate::fleet::Fleet;",
        "use crate::{error::Error, fleet::{Fleet, other}};",
        "use crate::{error::{Error, Result}, signal, fleet};",
        "use crate::Fleet;", // re-exported at the root
        "fn f() -> Result<crate::fleet::Fleet> { }",
        "use super::fleet::Fleet;",
        "use super::{error::Error, fleet};",
        "mod tests { use super::super::fleet; }",
        "const C: char = '\"'; use crate::fleet; const D: char = '\"';",
        "fn f<'a>(x: &'a str) { let y = '\\''; crate::fleet::g() }",
        "const S: &str = r#\"a\"b\"#; pub(crate) use crate::fleet as f;",
        "macro_rules! m { () => { $crate::fleet::g() } }",
    ] {
        assert_eq!(found(bad, "detect"), below, "{bad}");
    }
    assert_eq!(found("use super::super::fleet;", "detect::pca").len(), 1);
    assert_eq!(found("use crate::{error, nowhere::x};", "detect").len(), 1);
    assert_eq!(found("use crate::*;", "detect").len(), 1);
    assert_eq!(found("use crate::error;", "unlisted").len(), 1);
    for good in [
        "use crate::{error::Error, signal::{Window, fleet}, detect::x}; use crate::Result;",
        "use std::fleet; use self::fleet::x; use super::error; super::signal::fleet()",
        "/// [`crate::fleet::Fleet`]\n// use crate::fleet;\n/* use /* crate::fleet; */ crate::fleet; */",
        "const S: &str = \"\\\"crate::fleet\"; const R: &str = r#\"\"crate::fleet\"#;",
        "mod tests { use super::fleet; } pub(crate) fn fleet() {}",
    ] {
        assert!(found(good, "detect").is_empty(), "{good}");
    }
    assert!(found("use super::fleet; use super::{super::error, fleet};", "detect::pca").is_empty());
}
