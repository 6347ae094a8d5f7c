//! What a tool server says of its tools: its audience, and what a call to each requires.

use std::collections::{BTreeMap, BTreeSet};

use narrows_verifier::{Reason, log::ReceiptDemand, revocation::ToolClass};
use serde::Deserialize;

use super::resource::{Description, Resource, is_address, is_scope};

/// The tools of one server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manifest {
    audience: String,
    /// Where callers reach the server, for DPoP proofs.
    url: Option<String>,
    /// Where callers get tokens; with one of these, `resource` is there and `url` is its origin.
    authorization_servers: Vec<String>,
    /// What callers ask for at first; each tool's scope where nothing is said.
    first_scopes: Option<BTreeSet<String>>,
    resource: Option<Resource>,
    tools: BTreeMap<String, Rules>,
}

/// What holds for one tool.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Rules {
    requires: Requires,
    class: ToolClass,
    reversible: bool,
    weak: Weak,
    receipts: ReceiptDemand,
    scope: Option<String>,
}

/// Which of the weaker ways of presenting a token are enough.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Weak {
    /// A DPoP proof that signs method and address alone.
    pub(super) url_only: bool,
    /// A bearer token, with no proof at all.
    pub(super) bearer: bool,
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
    /// Reads a manifest: TOML with `audience`, optionally `url`, `authorization_servers` and `scopes`, and at least one `[[tool]]` of
    /// `name`, `requires`, `class`, `reversible`, `dpop`, `bearer`, `receipts` and `scope`.
    ///
    /// # Errors
    /// `MANIFEST_INVALID` for unknown keys and classes, a tool named twice, names outside letters, digits and `._-`, a `url`
    /// that is no origin, authorization servers beside an audience that is no address, `reversible = true` for a tool of the class
    /// `irreversible`, `dpop = "url"` for a tool of any class but `read`, and `bearer = true` for one that is neither of the class
    /// `read` nor reversible.
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
            if tool.bearer && !reversible {
                return Err(invalid(&format!("`{}` is neither of the class `read` nor `reversible`, so it takes no `bearer`", tool.name)));
            }
            if let Some(scope) = tool.scope.iter().find(|scope| !is_scope(scope)) {
                return Err(invalid(&format!("`{}` is not a scope (RFC 6749 section 3.3), at most 128 bytes", scope.escape_debug())));
            }
            let weak = Weak { url_only: tool.dpop == DpopProofs::Url, bearer: tool.bearer };
            let rules = Rules { requires: tool.requires, class, reversible, weak, receipts: tool.receipts, scope: tool.scope };
            if tools.insert(tool.name.clone(), rules).is_some() {
                return Err(invalid(&format!("the tool `{}` is listed twice", tool.name)));
            }
        }
        if tools.is_empty() {
            return Err(invalid("the manifest lists no tool"));
        }
        if let Some(scope) = file.scopes.iter().flatten().find(|scope| !is_scope(scope)) {
            return Err(invalid(&format!("`{}` is not a scope (RFC 6749 section 3.3), at most 128 bytes", scope.escape_debug())));
        }
        let bare = Self {
            audience: String::new(),
            url: None,
            authorization_servers: Vec::new(),
            first_scopes: file.scopes,
            resource: None,
            tools,
        };
        let manifest = bare.at_audience(&file.audience)?.with_authorization_servers(file.authorization_servers)?;
        file.url.map_or(Ok(manifest.clone()), |url| manifest.at_url(&url))
    }

    /// The same tools reached at another address: an origin such as `https://crm.example`. DPoP proofs are made for it.
    ///
    /// # Errors
    /// `MANIFEST_INVALID` for anything but an http or https origin without a trailing slash, and for another origin than the
    /// audience's when there are authorization servers.
    pub fn at_url(self, url: &str) -> Result<Self, ManifestError> {
        if !is_address(url) || url.split('/').count() != 3 {
            return Err(invalid("`url` is not an origin, such as `https://crm.example`"));
        }
        if self.resource.as_ref().is_some_and(|resource| resource.origin() != url) {
            return Err(invalid("`url` is another origin than the audience's, at which callers look for `authorization_servers`"));
        }
        Ok(Self { url: Some(url.to_owned()), ..self })
    }

    /// The same tools for callers that learn from the server itself where to get a token (RFC 9728): from these issuers, at most 8.
    ///
    /// The audience is then the server's address, of which a caller can see that it called it.
    ///
    /// # Errors
    /// `MANIFEST_INVALID` for an issuer that is no http or https address in its one spelling, and when the audience isn't.
    pub fn with_authorization_servers(self, issuers: Vec<String>) -> Result<Self, ManifestError> {
        if issuers.len() > MAX_ISSUERS || !issuers.iter().all(|issuer| is_address(issuer)) {
            return Err(invalid("`authorization_servers` are not at most 8 addresses, such as `https://issuer.example`"));
        }
        Self { authorization_servers: issuers, ..self }.described()
    }

    /// The same tools at another audience, for a server that learns its address at start.
    ///
    /// # Errors
    /// `MANIFEST_INVALID` for an audience that is empty or longer than 1,024 bytes.
    pub fn at_audience(self, audience: &str) -> Result<Self, ManifestError> {
        if audience.is_empty() || audience.len() > MAX_AUDIENCE {
            return Err(invalid("the audience is empty or longer than 1,024 bytes"));
        }
        Self { audience: audience.to_owned(), ..self }.described()
    }

    /// What the server says of itself, after the audience or the authorization servers have changed.
    fn described(self) -> Result<Self, ManifestError> {
        if self.authorization_servers.is_empty() {
            return Ok(Self { resource: None, ..self });
        }
        let scopes = self.first_scopes.clone().unwrap_or_else(|| self.tools.values().filter_map(|rules| rules.scope.clone()).collect());
        let description = Description {
            audience: &self.audience,
            authorization_servers: &self.authorization_servers,
            scopes: &scopes,
            bearer: self.takes_bearer(),
        };
        let resource = Resource::new(&description);
        let resource =
            resource.ok_or_else(|| invalid("with `authorization_servers`, the audience is an address without a slash at its end"))?;
        Ok(Self { url: Some(resource.origin().to_owned()), resource: Some(resource), ..self })
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

    /// Which of the weaker ways of presenting a token are enough for a tool.
    pub(super) fn weak(&self, tool: &str) -> Weak {
        self.tools.get(tool).map_or(Weak::default(), |rules| rules.weak)
    }

    /// Whether some tool takes bearer tokens.
    pub(super) fn takes_bearer(&self) -> bool {
        self.tools.values().any(|rules| rules.weak.bearer)
    }

    /// The scope that asks for a tool.
    pub(super) fn scope(&self, tool: &str) -> Option<&str> {
        self.tools.get(tool)?.scope.as_deref()
    }

    /// What the server says of itself, where callers can get tokens by it.
    pub(super) fn resource(&self) -> Option<&Resource> {
        self.resource.as_ref()
    }

    /// The names of all tools.
    pub fn tools(&self) -> impl Iterator<Item = &str> {
        self.tools.keys().map(String::as_str)
    }

    /// Which of a token's derivations must be shown to be in the log.
    pub fn receipts(&self, tool: &str) -> ReceiptDemand {
        self.tools.get(tool).map_or(ReceiptDemand::EveryHop, |rules| rules.receipts)
    }

    /// The address at which a tool is called; `None` when the manifest names none, and DPoP proofs are not read.
    pub(super) fn url_of(&self, tool: &str) -> Option<String> {
        self.url.as_ref().map(|origin| format!("{origin}/tools/{tool}"))
    }

    /// The address at which a server is called that has one for all tools: the audience, where that is an address of its own.
    pub(super) fn endpoint(&self) -> Option<&str> {
        let below = self.audience.strip_prefix(self.url.as_ref()?.as_str())?;
        (below.is_empty() || below.starts_with('/')).then_some(self.audience.as_str())
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
    authorization_servers: Vec<String>,
    scopes: Option<BTreeSet<String>>,
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
    bearer: bool,
    #[serde(default)]
    receipts: ReceiptDemand,
    scope: Option<String>,
}

/// A tool that says nothing of itself is taken for one that can't be undone.
fn strictest() -> String {
    ToolClass::default().name().to_owned()
}

const MAX_TEXT: usize = 64 * 1024;
const MAX_NAME: usize = 128;
const MAX_AUDIENCE: usize = 1024;
const MAX_ISSUERS: usize = 8;

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
        assert_eq!((silent.weak("x"), silent.weak("y")), (Weak::default(), Weak::default()));
        assert_eq!(silent.url_of("x").as_deref(), Some("https://a.example/tools/x"));
        assert!(tool("class = \"write\"\nreversible = true").unwrap().is_reversible("x"));
        assert!(!tool("class = \"write\"").unwrap().is_reversible("x"));
        let reading = tool("class = \"read\"\ndpop = \"url\"").unwrap();
        assert!(reading.is_reversible("x") && reading.weak("x") == Weak { url_only: true, bearer: false });
        for open in ["class = \"read\"\nbearer = true", "class = \"write\"\nreversible = true\nbearer = true"] {
            assert_eq!(tool(open).unwrap().weak("x"), Weak { url_only: false, bearer: true });
        }
        let contradictions = [
            "reversible = true",
            "dpop = \"url\"",
            "class = \"write\"\nreversible = true\ndpop = \"url\"",
            "bearer = true",
            "class = \"write\"\nbearer = true",
            "scope = \"two words\"",
        ];
        for contradiction in contradictions {
            assert_eq!(tool(contradiction).err().map(|error| error.reason), Some(Reason::ManifestInvalid), "{contradiction}");
        }
        assert_eq!(Manifest::parse("audience = \"a\"\n[[tool]]\nname = \"x\"").unwrap().url_of("x"), None);
    }

    #[test]
    fn with_authorization_servers_the_audience_is_the_address() {
        let tools = "[[tool]]\nname = \"x\"\nscope = \"x:use\"\n[[tool]]\nname = \"y\"\nscope = \"y:use\"\nclass = \"read\"\nbearer = true";
        let head = "audience = \"https://a.example/mcp\"\nauthorization_servers = [\"https://issuer.example\"]";
        let manifest = Manifest::parse(&format!("{head}\n{tools}")).unwrap();
        assert_eq!(manifest.url_of("x").as_deref(), Some("https://a.example/tools/x"));
        assert_eq!(manifest.endpoint(), Some("https://a.example/mcp"));
        assert_eq!(manifest.resource().unwrap().first_scope, "x:use y:use");
        let moved = manifest.clone().at_audience("http://127.0.0.1:1/mcp").unwrap();
        assert_eq!(moved.resource().unwrap().metadata_url(), "http://127.0.0.1:1/.well-known/oauth-protected-resource/mcp");
        assert!(moved.at_url("https://a.example").is_err() && manifest.clone().at_audience("a").is_err());
        let few = Manifest::parse(&format!("{head}\nscopes = []\n{tools}")).unwrap();
        assert_eq!(few.resource().unwrap().first_scope, "");
        let silent = manifest.with_authorization_servers(Vec::new()).unwrap();
        assert_eq!(silent.resource(), None);
        let prefixed = Manifest::parse(&format!("audience = \"https://a.example.evil\"\nurl = \"https://a.example\"\n{tools}")).unwrap();
        assert_eq!(prefixed.endpoint(), None);
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
            "audience = \"a\"\nauthorization_servers = [\"https://issuer.example\"]\n[[tool]]\nname = \"x\"",
            "audience = \"https://a.example/\"\nauthorization_servers = [\"https://issuer.example\"]\n[[tool]]\nname = \"x\"",
            "audience = \"https://a.example\"\nauthorization_servers = [\"issuer\"]\n[[tool]]\nname = \"x\"",
            "audience = \"https://a.example\"\nurl = \"https://b.example\"\nauthorization_servers = [\"https://issuer.example\"]\n[[tool]]\nname = \"x\"",
            "audience = \"a\"\nscopes = [\"two words\"]\n[[tool]]\nname = \"x\"",
            &long,
        ];
        for text in table {
            assert_eq!(Manifest::parse(text).err().map(|error| error.reason), Some(Reason::ManifestInvalid), "{text}");
        }
    }
}
