//! Paths at or below a folder.

use super::MAX_TEXT;
use crate::{Reason, caveat::describe::quote, json::Value};

/// An absolute POSIX path that is this one or lies below it.
///
/// Texts are compared, no file is looked at: symbolic links, mounts, and file systems that ignore case or normalise
/// Unicode are out of scope. A tool opens what it was given below the root with the means of its system (`openat2`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subpath(String);

impl Subpath {
    /// Reads an absolute path in its normal form, of at most 1,024 bytes.
    ///
    /// # Errors
    /// `CAVEAT_MALFORMED`
    pub fn from_json(value: &Value) -> Result<Self, Reason> {
        let root = value.as_text().filter(|root| root.len() <= MAX_ROOT && is_plain(root)).ok_or(Reason::CaveatMalformed)?;
        Ok(Self(root.to_owned()))
    }

    /// The root.
    pub fn to_json(&self) -> Value {
        Value::Text(self.0.clone())
    }

    /// Whether the path is the root or below it; `None` for a path that is not absolute or not in its normal form.
    pub fn test(&self, text: &str) -> Option<bool> {
        if text.len() > MAX_TEXT || !is_plain(text) {
            return None;
        }
        // the root `/` is the only one that ends in a slash; below any other the rest begins with one
        let below = text.strip_prefix(self.0.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        Some(below || self.0 == "/")
    }

    /// What the text must be.
    pub fn sentence(&self) -> String {
        format!("the path {} or one below it", quote(&self.0))
    }
}

/// Whether every reader takes the same segments from the path: it is absolute and none of them could drop, merge,
/// resolve, decode or cut any.
fn is_plain(path: &str) -> bool {
    let Some(relative) = path.strip_prefix('/') else { return false };
    let segments_stay = path == "/" || relative.split('/').all(|segment| !matches!(segment, "" | "." | ".."));
    // a NUL ends the path for C, a backslash parts segments for others
    segments_stay && !path.chars().any(|character| character.is_control() || character == '\\') && !has_escape(path)
}

/// Whether anything could be read as `%` and two hexadecimal digits: a tool that decodes would open another path.
fn has_escape(path: &str) -> bool {
    path.as_bytes().windows(3).any(|window| matches!(window, [b'%', high, low] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit()))
}

const MAX_ROOT: usize = 1024;

#[cfg(test)]
mod tests {
    use super::{super::tests::json, *};

    fn subpath(root: &str) -> Result<Subpath, Reason> {
        Subpath::from_json(&Value::Text(root.to_owned()))
    }

    #[test]
    fn the_root_and_what_is_below_it_is_accepted() {
        for (root, text, expected) in [
            ("/srv/data", "/srv/data", true),
            ("/srv/data", "/srv/data/a/b.txt", true),
            ("/srv/data", "/srv/data/...", true),
            ("/srv/data", "/srv/data/..a", true),
            ("/srv/data", "/srv/data/50% off", true),
            ("/srv/data", "/srv/data/%2g", true),
            ("/srv/data", "/srv/database", false),
            ("/srv/data", "/srv", false),
            ("/srv/data", "/", false),
            ("/srv/data", "/Srv/data/a", false),
            ("/srv/data", "/other/srv/data", false),
            ("/", "/", true),
            ("/", "/etc/passwd", true),
        ] {
            assert_eq!(subpath(root).unwrap().test(text), Some(expected), "{root} {text}");
        }
    }

    #[test]
    fn paths_with_a_second_reading_are_not_read() {
        let rule = subpath("/srv/data").unwrap();
        for text in [
            "",
            "srv/data/a",
            "~/a",
            "./a",
            "/srv/data/",
            "/srv/data//a",
            "//srv/data/a",
            "/srv/data/.",
            "/srv/data/./a",
            "/srv/data/..",
            "/srv/data/../etc",
            "/srv/data/a/../../../etc",
            "/../srv/data",
            "/srv/data/a\0",
            "/srv/data/a\0.txt",
            "/srv/data/a\nb",
            "/srv/data/\u{7f}",
            "/srv/data/\u{85}",
            r"/srv/data/..\..\etc",
            r"\srv\data",
            "/srv/data/%2e%2e/etc",
            "/srv/data/%2E./etc",
            "/srv/data%2fa",
            "/srv/data/%2F",
            "/srv/data/%5c..",
            "/srv/data/a%00",
            "/srv/data/%252e%252e/etc",
            "/srv/data/%c0%ae%c0%ae/etc",
            "/srv/dat%61/a",
            "/srv/data/%%32e",
            "file:///srv/data/a",
            "C:/srv/data",
        ] {
            assert_eq!(rule.test(text), None, "{text}");
        }
    }

    #[test]
    fn roots_that_are_not_in_normal_form_are_refused() {
        for root in ["", "srv", "/srv/", "//", "/srv/../etc", "/srv/.", "/a\0", r"/a\b", "/a%2fb", &format!("/{}", "a".repeat(1024))] {
            assert_eq!(subpath(root), Err(Reason::CaveatMalformed), "{root}");
        }
        assert_eq!(Subpath::from_json(&json(r#"{"root":"/a"}"#)), Err(Reason::CaveatMalformed));
    }
}
