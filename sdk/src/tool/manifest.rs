//! What a tool server says of its tools: its audience, and what a call to each requires.

use std::collections::BTreeMap;

use narrows_verifier::{Reason, log::ReceiptDemand, proof::dpop::normal_url, revocation::ToolClass};
use serde::Deserialize;

/// The tools of one server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manifest {
    audience: String,
    /// Where callers reach the server, for DPoP proofs.
    url: Option<String>,
    tools: BTreeMap<String, Rules>,
}

/// What holds for one tool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Rules {
    requires: Requires,
    class: ToolClass,
    reversible: bool,
    dpop: DpopProofs,
    receipts: ReceiptDemand,
}

/// Which DPoP proofs are enough for a tool.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DpopProofs {
    /// Such as also sign tool, arguments and audience.
    #[default]
    Call,
    /// Such as sign method and address alone, too: whoever gets hold of one within its minute, before the tool does, can
    /// put other arguments under it. Only for tools that read.
    Url,
}

/// What a call to a tool requires.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Requires {
    /// A token and a proof of possession.
    Token,
    /// A permit: what writes, sends or can't be undone must not pass by the reasoning plane, so it is the default.
    #[default]
    Permit,
}

/// Why a manifest was refused.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct ManifestError {
    /// The stable reason, always `MANIFEST_INVALID`.
    pub reason: Reason,
    /// What is wrong.
    pub message: String,
}

impl Manifest {
    /// Reads a manifest: TOML with `audience`, optionally `url`, and at least one `[[tool]]` of `name`, `requires`, `class`,
    /// `reversible`, `dpop` and `receipts`.
    ///
    /// # Errors
    /// `MANIFEST_INVALID` for unknown keys and classes, a tool named twice, names outside letters, digits and `._-`, a `url`
    /// that is no origin, `reversible = true` for a tool of the class `irreversible`, and `dpop = "url"` for a tool of any
    /// class but `read`.
    pub fn parse(text: &str) -> Result<Self, ManifestError> {
        if text.len() > MAX_TEXT {
            return Err(invalid("the manifest is larger than 64 KiB"));
        }
        let file: File = toml::from_str(text).map_err(|error| invalid(error.message()))?;
        let mut tools = BTreeMap::new();
        for tool in file.tool {
            if !is_name(&tool.name) {
                return Err(invalid(&format!(
                    "`{}` is not a tool's name: letters, digits and `._-`, at most 128",
                    tool.name.escape_debug()
                )));
            }
            let class = ToolClass::from_name(&tool.class);
            let class = class.ok_or_else(|| invalid(&format!("`{}` is not a tool's class", tool.class.escape_debug())))?;
            if tool.reversible && class == ToolClass::Irreversible {
                return Err(invalid(&format!("`{}` is of the class `irreversible`, so it can't be `reversible`", tool.name)));
            }
            if tool.dpop == DpopProofs::Url && class != ToolClass::Read {
                return Err(invalid(&format!("`{}` is not of the class `read`, so `dpop` can't be `url`", tool.name)));
            }
            // what only reads leaves nothing to undo
            let reversible = tool.reversible || class == ToolClass::Read;
            let rules = Rules { requires: tool.requires, class, reversible, dpop: tool.dpop, receipts: tool.receipts };
            if tools.insert(tool.name.clone(), rules).is_some() {
                return Err(invalid(&format!("the tool `{}` is listed twice", tool.name)));
            }
        }
        if tools.is_empty() {
            return Err(invalid("the manifest lists no tool"));
        }
        let manifest = Self { audience: String::new(), url: None, tools }.at_audience(&file.audience)?;
        file.url.map_or(Ok(manifest.clone()), |url| manifest.at_url(&url))
    }

    /// The same tools reached at another address: an origin such as `https://crm.example`. DPoP proofs are made for it.
    ///
    /// # Errors
    /// `MANIFEST_INVALID` for anything but an http or https origin without a trailing slash.
    pub fn at_url(self, url: &str) -> Result<Self, ManifestError> {
        // with a slash behind it, its own normal form
        match normal_url(url) {
            Ok(normal) if normal.strip_suffix('/') == Some(url) && url.split('/').count() == 3 => {
                Ok(Self { url: Some(url.to_owned()), ..self })
            }
            _ => Err(invalid("`url` is not an origin, such as `https://crm.example`")),
        }
    }

    /// The same tools at another audience, for a server that learns its address at start.
    ///
    /// # Errors
    /// `MANIFEST_INVALID` for an audience that is empty or longer than 1,024 bytes.
    pub fn at_audience(self, audience: &str) -> Result<Self, ManifestError> {
        if audience.is_empty() || audience.len() > MAX_AUDIENCE {
            return Err(invalid("the audience is empty or longer than 1,024 bytes"));
        }
        Ok(Self { audience: audience.to_owned(), ..self })
    }

    /// The audience that this server answers to, which callers sign into each proof.
    pub fn audience(&self) -> &str {
        &self.audience
    }

    /// What a call to a tool requires; `None` when there is no such tool.
    pub fn requires(&self, tool: &str) -> Option<Requires> {
        self.tools.get(tool).map(|rules| rules.requires)
    }

    /// What a tool can do, which says how fresh the knowledge of revocations must be; `None` when there is no such tool.
    pub fn class(&self, tool: &str) -> Option<ToolClass> {
        self.tools.get(tool).map(|rules| rules.class)
    }

    /// Whether a tool's effects can be undone, so that sessions may be opened for it.
    pub fn is_reversible(&self, tool: &str) -> bool {
        self.tools.get(tool).is_some_and(|rules| rules.reversible)
    }

    /// Which DPoP proofs are enough for a tool.
    pub(super) fn dpop(&self, tool: &str) -> DpopProofs {
        self.tools.get(tool).map_or(DpopProofs::Call, |rules| rules.dpop)
    }

    /// Which of a token's derivations must be shown to be in the log.
    pub fn receipts(&self, tool: &str) -> ReceiptDemand {
        self.tools.get(tool).map_or(ReceiptDemand::EveryHop, |rules| rules.receipts)
    }

    /// The address at which a tool is called; `None` when the manifest names none, and DPoP proofs are not read.
    pub(super) fn url_of(&self, tool: &str) -> Option<String> {
        self.url.as_ref().map(|origin| format!("{origin}/tools/{tool}"))
    }
}

/// No percent sign and no slash: the name in a path is then the name that a router sees.
fn is_name(name: &str) -> bool {
    (1..=MAX_NAME).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
}

fn invalid(message: &str) -> ManifestError {
    ManifestError { reason: Reason::ManifestInvalid, message: message.to_owned() }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    audience: String,
    url: Option<String>,
    #[serde(default)]
    tool: Vec<Tool>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Tool {
    name: String,
    #[serde(default)]
    requires: Requires,
    #[serde(default = "strictest")]
    class: String,
    #[serde(default)]
    reversible: bool,
    #[serde(default)]
    dpop: DpopProofs,
    #[serde(default)]
    receipts: ReceiptDemand,
}

/// A tool that says nothing of itself is taken for one that can't be undone.
fn strictest() -> String {
    ToolClass::default().name().to_owned()
}

const MAX_TEXT: usize = 64 * 1024;
const MAX_NAME: usize = 128;
const MAX_AUDIENCE: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tool_that_says_nothing_requires_a_permit() {
        let manifest = Manifest::parse("audience = \"a\"\n[[tool]]\nname = \"x\"\n[[tool]]\nname = \"y\"\nrequires = \"token\"").unwrap();
        assert_eq!(manifest.requires("x"), Some(Requires::Permit));
        assert_eq!(manifest.requires("y"), Some(Requires::Token));
        assert_eq!(manifest.requires("z"), None);
        assert_eq!(manifest.at_audience("b").unwrap().audience(), "b");
    }

    #[test]
    fn a_tool_that_names_no_class_has_the_strictest() {
        let tool = |class: &str| Manifest::parse(&format!("audience = \"a\"\n[[tool]]\nname = \"x\"\n{class}")).ok()?.class("x");
        assert_eq!(tool(""), Some(ToolClass::Irreversible));
        for class in ToolClass::ALL {
            assert_eq!(tool(&format!("class = \"{}\"", class.name())), Some(class));
        }
        assert_eq!(Manifest::parse("audience = \"a\"\n[[tool]]\nname = \"x\"").unwrap().class("y"), None);
    }

    #[test]
    fn a_tool_that_says_nothing_can_not_be_undone_and_takes_no_weak_proof() {
        let tool = |more: &str| Manifest::parse(&format!("audience = \"a\"\nurl = \"https://a.example\"\n[[tool]]\nname = \"x\"\n{more}"));
        let silent = tool("").unwrap();
        assert!(!silent.is_reversible("x") && !silent.is_reversible("y"));
        assert_eq!((silent.dpop("x"), silent.dpop("y")), (DpopProofs::Call, DpopProofs::Call));
        assert_eq!(silent.url_of("x").as_deref(), Some("https://a.example/tools/x"));
        assert!(tool("class = \"write\"\nreversible = true").unwrap().is_reversible("x"));
        assert!(!tool("class = \"write\"").unwrap().is_reversible("x"));
        let reading = tool("class = \"read\"\ndpop = \"url\"").unwrap();
        assert!(reading.is_reversible("x") && reading.dpop("x") == DpopProofs::Url);
        for contradiction in ["reversible = true", "dpop = \"url\"", "class = \"write\"\nreversible = true\ndpop = \"url\""] {
            assert_eq!(tool(contradiction).err().map(|error| error.reason), Some(Reason::ManifestInvalid), "{contradiction}");
        }
        assert_eq!(Manifest::parse("audience = \"a\"\n[[tool]]\nname = \"x\"").unwrap().url_of("x"), None);
    }

    #[test]
    fn a_manifest_that_could_be_misread_is_refused() {
        let long = format!("audience = \"a\"\n[[tool]]\nname = \"{}\"", "x".repeat(129));
        let table = [
            "",
            "audience = \"a\"",
            "[[tool]]\nname = \"x\"",
            "audience = \"\"\n[[tool]]\nname = \"x\"",
            "audience = \"a\"\n[[tool]]\nname = \"\"",
            "audience = \"a\"\n[[tool]]\nname = \"a/b\"",
            "audience = \"a\"\n[[tool]]\nname = \"a%2e\"",
            "audience = \"a\"\n[[tool]]\nname = \"x\"\nrequires = \"nothing\"",
            "audience = \"a\"\n[[tool]]\nname = \"x\"\nrequire = \"token\"",
            "audience = \"a\"\n[[tool]]\nname = \"x\"\nclass = \"harmless\"",
            "audience = \"a\"\n[[tool]]\nname = \"x\"\n[[tool]]\nname = \"x\"",
            "audience = \"a\"\nurl = \"https://a.example/\"\n[[tool]]\nname = \"x\"",
            "audience = \"a\"\nurl = \"https://a.example/path\"\n[[tool]]\nname = \"x\"",
            "audience = \"a\"\nurl = \"https://a.example?\"\n[[tool]]\nname = \"x\"",
            "audience = \"a\"\nurl = \"https://A.example\"\n[[tool]]\nname = \"x\"",
            "audience = \"a\"\nurl = \"a.example\"\n[[tool]]\nname = \"x\"",
            "audience = \"a\"\n[[tool]]\nname = \"x\"\ndpop = \"none\"",
            "audience = \"a\"\n[[tool]]\nname = \"x\"\nreversible = 1",
            "audience = \"a\"\nextra = 1\n[[tool]]\nname = \"x\"",
            &long,
        ];
        for text in table {
            assert_eq!(Manifest::parse(text).err().map(|error| error.reason), Some(Reason::ManifestInvalid), "{text}");
        }
    }
}
