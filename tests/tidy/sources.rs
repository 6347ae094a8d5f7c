//! The repository's files, and Rust sources as tokens without comments and without test code.

use std::fs;
use std::path::Path;
use std::process::Command;

use proc_macro2::{Delimiter, Spacing, TokenStream, TokenTree};

/// The crates that a user runs or links; the rules of the house are stricter here than in tests and examples.
pub const SHIPPED: [&str; 4] = ["verifier", "policies", "issuer", "sdk"];

/// The paths of all files of the repository, relative to its root, with `/` between folders.
pub fn files() -> Vec<String> {
    let arguments = ["ls-files", "-z", "--cached", "--others", "--exclude-standard"];
    let listed = Command::new("git").args(arguments).current_dir(root()).output();
    let mut files = match listed {
        Ok(output) if output.status.success() && !output.stdout.is_empty() => {
            let names = String::from_utf8(output.stdout).unwrap();
            names.split_terminator('\0').map(str::to_owned).collect()
        }
        // An unpacked archive has no git folder.
        _ => walked(""),
    };
    files.retain(|file| root().join(file).is_file());
    files.sort();
    assert!(files.iter().any(|file| file == "Cargo.toml"), "the list of files lacks the workspace's manifest");
    files
}

/// The text of a file, or nothing when it isn't text.
pub fn text(file: &str) -> Option<String> {
    String::from_utf8(fs::read(root().join(file)).unwrap()).ok()
}

/// The text of a file that must be there.
pub fn required_text(file: &str) -> String {
    fs::read_to_string(root().join(file)).unwrap_or_else(|error| panic!("reading `{file}`: {error}"))
}

/// Replaces a file's text.
pub fn rewrite(file: &str, text: &str) {
    fs::write(root().join(file), text).unwrap();
}

/// A Rust file of a shipped crate, without its test code.
pub struct Source {
    /// Its path in the repository.
    pub file: String,
    /// What the compiler sees of it outside tests.
    pub tokens: Vec<Token>,
    /// Its lines, without those of test modules.
    pub lines: usize,
}

/// One identifier, literal, punctuation character, `::` or bracket.
pub struct Token {
    /// As written.
    pub text: String,
    /// The line it starts on, from 1.
    pub line: usize,
}

impl Source {
    /// The lines on which a path starts at the crate (or macro) called `name`.
    pub fn references(&self, name: &str) -> Vec<usize> {
        let text = |at: usize| self.tokens.get(at).map_or("", |token| token.text.as_str());
        let named = (0..self.tokens.len()).filter(|&at| text(at) == name);
        let started = named.filter(|&at| {
            let before = |back: usize| at.checked_sub(back).map_or("", text);
            let within_a_path = before(1) == "::" && is_word(before(2)) && !BEFORE_A_PATH.contains(&before(2));
            let imported = matches!(before(1), "use" | "crate");
            imported || (text(at + 1) == "::" && !within_a_path)
        });
        started.map(|at| self.tokens[at].line).collect()
    }

    /// The lines on which this identifier stands.
    pub fn mentions(&self, word: &str) -> Vec<usize> {
        self.tokens.iter().filter(|token| token.text == word).map(|token| token.line).collect()
    }
}

/// Every Rust source below `src/` of a shipped crate.
pub fn shipped() -> Vec<Source> {
    let in_shipped = |file: &String| SHIPPED.iter().any(|name| file.starts_with(&format!("{name}/src/")));
    let production = |file: &String| file.ends_with(".rs") && !file.ends_with("/tests.rs") && in_shipped(file);
    let sources: Vec<_> = files().into_iter().filter(production).map(|file| parse(&file)).collect();
    assert!(sources.len() >= SHIPPED.len(), "found only {} sources", sources.len());
    sources
}

/// Fails with every offence in a list of its own lines.
#[track_caller]
pub fn assert_none(rule: &str, offences: &[String]) {
    assert!(offences.is_empty(), "{rule}:\n  {}", offences.join("\n  "));
}

fn parse(file: &str) -> Source {
    let text = required_text(file);
    let stream: TokenStream = text.parse().unwrap_or_else(|error| panic!("`{file}` is not Rust: {error}"));
    let mut source = Source { file: file.to_owned(), tokens: Vec::new(), lines: text.lines().count() };
    flatten(stream, &mut source);
    source
}

fn flatten(stream: TokenStream, into: &mut Source) {
    let mut trees = stream.into_iter().peekable();
    while let Some(tree) = trees.next() {
        let line = tree.span().start().line;
        match tree {
            TokenTree::Punct(mark) if mark.as_char() == '#' && trees.peek().is_some_and(is_test_condition) => {
                // The attributes that follow are bracketed; the item ends with its body or a semicolon.
                let mut last = line;
                for skipped in trees.by_ref() {
                    last = skipped.span().end().line;
                    match skipped {
                        TokenTree::Group(body) if body.delimiter() == Delimiter::Brace => break,
                        TokenTree::Punct(mark) if mark.as_char() == ';' => break,
                        _ => {}
                    }
                }
                into.lines -= last + 1 - line;
            }
            TokenTree::Group(group) => {
                let (open, close) = match group.delimiter() {
                    Delimiter::Parenthesis => ("(", ")"),
                    Delimiter::Brace => ("{", "}"),
                    Delimiter::Bracket => ("[", "]"),
                    Delimiter::None => ("", ""),
                };
                into.tokens.push(Token { text: open.to_owned(), line });
                flatten(group.stream(), into);
                into.tokens.push(Token { text: close.to_owned(), line: group.span_close().start().line });
            }
            TokenTree::Punct(colon) if colon.as_char() == ':' && colon.spacing() == Spacing::Joint => {
                trees.next();
                into.tokens.push(Token { text: "::".to_owned(), line });
            }
            other => into.tokens.push(Token { text: other.to_string(), line }),
        }
    }
}

fn is_test_condition(tree: &TokenTree) -> bool {
    let TokenTree::Group(group) = tree else { return false };
    let attribute: String = group.stream().to_string().split_whitespace().collect();
    attribute == "cfg(test)" || attribute.starts_with("cfg(all(test,")
}

fn is_word(text: &str) -> bool {
    text.chars().all(|letter| letter.is_alphanumeric() || letter == '_') && !text.is_empty()
}

fn walked(folder: &str) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(root().join(folder)).unwrap().map(Result::unwrap) {
        let path = format!("{folder}{}", entry.file_name().to_string_lossy());
        if !entry.file_type().unwrap().is_dir() {
            found.push(path);
        } else if !matches!(entry.file_name().to_string_lossy().as_ref(), "target" | "node_modules" | ".git") {
            found.extend(walked(&format!("{path}/")));
        }
    }
    found
}

fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

/// Words after which `::` starts a path, where any other word would be a part of it.
const BEFORE_A_PATH: [&str; 8] = ["use", "as", "dyn", "else", "impl", "in", "mut", "return"];
