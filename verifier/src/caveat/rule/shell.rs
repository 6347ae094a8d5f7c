//! Command lines of listed programs.

use std::collections::BTreeSet;

use super::MAX_TEXT;
use crate::{
    Reason,
    caveat::{
        describe::quote,
        json::{Members, text_array, text_set},
    },
    json::{Key, Value},
};

/// A command line that starts one of these programs and, where words are listed, has no other words than those.
///
/// It says what a POSIX shell starts, not what that then does: a listed program that runs others (`env`, `sudo`, `xargs`,
/// `time`, an interpreter) may run any. Aliases and functions of the shell are out of scope.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shell {
    programs: BTreeSet<String>,
    words: Option<BTreeSet<String>>,
}

impl Shell {
    /// Reads `programs`, 1 to 32 first words, and where present `words`, up to 256 further words.
    ///
    /// # Errors
    /// `CAVEAT_MALFORMED`
    pub fn from_json(value: &Value) -> Result<Self, Reason> {
        let mut members = Members::of(value)?;
        let programs = text_set(members.value("programs")?)?;
        let words = if members.has("words") { Some(text_set(members.value("words")?)?) } else { None };
        members.end()?;
        let within = |set: &BTreeSet<String>, count| {
            set.len() <= count && set.iter().all(|word| word.len() <= MAX_WORD && !word.chars().any(char::is_control))
        };
        let sound = within(&programs, MAX_PROGRAMS)
            && !programs.is_empty()
            && !programs.contains("")
            && words.as_ref().is_none_or(|words| within(words, MAX_WORDS));
        if sound { Ok(Self { programs, words }) } else { Err(Reason::CaveatMalformed) }
    }

    /// The two lists, each in order.
    pub fn to_json(&self) -> Value {
        let lists = [("programs", Some(&self.programs)), ("words", self.words.as_ref())];
        Value::Object(lists.into_iter().filter_map(|(name, list)| Some((Key(name.to_owned()), text_array(list?)))).collect())
    }

    /// Whether the command line is of listed words; `None` for one without a word, and for one that a shell might expand,
    /// redirect, split or take as more than one plain command.
    pub fn test(&self, text: &str) -> Option<bool> {
        if text.len() > MAX_TEXT || !is_plain(text) {
            return None;
        }
        let mut words = shlex::Shlex::new(text);
        let mut listed = self.programs.contains(&words.next()?);
        for word in words.by_ref() {
            listed &= self.words.as_ref().is_none_or(|list| list.contains(&word));
        }
        // an open quote
        if words.had_error { None } else { Some(listed) }
    }

    /// What the text must be.
    pub fn sentence(&self) -> String {
        let join = |set: &BTreeSet<String>, between| set.iter().map(|word| quote(word)).collect::<Vec<_>>().join(between);
        let programs = join(&self.programs, " or ");
        match &self.words {
            None => format!("a command line of {programs}"),
            Some(words) if words.is_empty() => format!("a command line of {programs} alone"),
            Some(words) => format!("a command line of {programs} with no words but {}", join(words, ", ")),
        }
    }
}

/// Whether splitting at spaces and removing quotes (POSIX XCU 2.2) is all that a shell does with the text.
///
/// Outside quotes only characters without any meaning stand, a list of those that are allowed: which others mean something
/// depends on the shell and its locale (`^` once was a pipe, a no-break space may part words). Between double quotes stands
/// whatever neither expands nor escapes there; `!` does in an interactive shell. Between single quotes all is itself.
fn is_plain(text: &str) -> bool {
    let (mut quoted_by, mut words_done, mut in_word) = (None, 0_usize, false);
    for character in text.chars() {
        match (quoted_by, character) {
            // newlines end commands, and terminals act on the others
            (_, control) if control.is_control() => return false,
            (Some(quote), end) if quote == end => quoted_by = None,
            (Some('"'), '$' | '`' | '\\' | '!') => return false,
            (Some(_), _) => {}
            (None, ' ') => {
                words_done += usize::from(in_word);
                in_word = false;
                continue;
            }
            (None, '\'' | '"') => quoted_by = Some(character),
            // in the first word an assignment, at the start of a word an expansion in one shell
            (None, '=') if words_done > 0 && in_word => {}
            (None, '%' | '+' | ',' | '-' | '.' | '/' | ':' | '@' | '_') => {}
            (None, other) if other.is_ascii_alphanumeric() => {}
            (None, _) => return false,
        }
        in_word = true;
    }
    true
}

const MAX_PROGRAMS: usize = 32;
const MAX_WORDS: usize = 256;
const MAX_WORD: usize = 256;

#[cfg(test)]
mod tests {
    use super::{super::tests::json, *};

    fn shell(text: &str) -> Result<Shell, Reason> {
        Shell::from_json(&json(text))
    }

    #[test]
    fn only_listed_programs_and_words_are_accepted() {
        let (any, few) = (r#"{"programs":["git","ls"]}"#, r#"{"programs":["git"],"words":["status","-l","--format=json","a b",""]}"#);
        for (rule, text, expected) in [
            (any, "git", true),
            (any, "  git   push  --force ", true),
            (any, "git log --format=oneline", true),
            (any, "git commit -m 'a; b $(c) `d` > e'", true),
            (any, "git commit -m \"it's; fine & good #1\"", true),
            (any, "g'i't", true),
            (any, "\"git\" push", true),
            (any, "/usr/bin/git push", false),
            (any, "gitk", false),
            (any, "rm -rf /", false),
            (any, "'git push'", false),
            (any, "GIT", false),
            (any, "'' git", false),
            (any, "'A=b' git", false),
            (any, "git 'é' \"é\"", true),
            (few, "git status -l", true),
            (few, "git 'a b' ''", true),
            (few, "git --format=json", true),
            (few, "git --format='json'", true),
            (few, "git", true),
            (few, "git push", false),
            (few, "git status push", false),
            (few, "git a b", false),
            (few, "git git", false),
            (r#"{"programs":["ls"],"words":[]}"#, "ls", true),
            (r#"{"programs":["ls"],"words":[]}"#, "ls -l", false),
        ] {
            assert_eq!(shell(rule).unwrap().test(text), Some(expected), "{rule} {text}");
        }
    }

    #[test]
    fn texts_on_which_a_shell_acts_are_not_read() {
        let rule = shell(r#"{"programs":["git"]}"#).unwrap();
        for text in [
            "",
            "   ",
            "git; rm -rf /",
            "git && rm",
            "git || rm",
            "git | sh",
            "git & rm",
            "git\nrm",
            "git\r\nrm",
            "git\trm",
            "git $(rm)",
            "git `rm`",
            "git \"$(rm)\"",
            "git \"`rm`\"",
            "git \"$HOME\"",
            "git $HOME",
            "git ${x}",
            "git \"a\\\"b\"",
            "git \\;",
            "\\git",
            "git > f",
            "git < f",
            "git 2>&1",
            "git <(rm)",
            "git (rm)",
            "(git)",
            "{ git",
            "git {a,b}",
            "git *",
            "git ?",
            "git [a]",
            "git #a",
            "git a#b",
            "#git",
            "! git",
            "git !1",
            "git \"!1\"",
            "git ^a^b",
            "git ~",
            "git ~user",
            "PATH=/tmp git",
            "GIT_SSH='rm' git",
            "git =ls",
            "=git",
            "git 'a",
            "git \"a",
            "git 'a\nb'",
            "git \"a\nb\"",
            "git 'a\0'",
            "git $'a'",
            "git\u{a0}rm",
            "git\u{2003}rm",
            "git é",
            "git\u{1b}[A",
            "git '\u{7f}'",
            "git 'a' \"b' c",
        ] {
            assert_eq!(rule.test(text), None, "{text:?}");
        }
    }

    #[test]
    fn malformed_lists_are_refused() {
        for text in [
            "{}",
            r#"["git"]"#,
            r#"{"programs":[]}"#,
            r#"{"programs":[""]}"#,
            r#"{"programs":["a\n"]}"#,
            r#"{"programs":["git","git"]}"#,
            r#"{"programs":"git"}"#,
            r#"{"programs":["git"],"words":"a"}"#,
            r#"{"programs":["git"],"words":["a\u0000"]}"#,
            r#"{"words":["a"]}"#,
            r#"{"programs":["git"],"other":[]}"#,
        ] {
            assert_eq!(shell(text), Err(Reason::CaveatMalformed), "{text}");
        }
        let list = |count| (0..count).map(|n| format!("\"w{n}\"")).collect::<Vec<_>>().join(",");
        assert!(shell(&format!(r#"{{"programs":[{}],"words":[{}]}}"#, list(32), list(256))).is_ok());
        assert_eq!(shell(&format!(r#"{{"programs":[{}]}}"#, list(33))), Err(Reason::CaveatMalformed));
        assert_eq!(shell(&format!(r#"{{"programs":["a"],"words":[{}]}}"#, list(257))), Err(Reason::CaveatMalformed));
        assert_eq!(shell(&format!(r#"{{"programs":["{}"]}}"#, "a".repeat(257))), Err(Reason::CaveatMalformed));
    }
}
