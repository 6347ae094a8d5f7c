//! The registered clients: how each proves who it is, and the most that it may ask for.

use std::collections::HashSet;

use narrows_policies::{Ceiling, GrantType, Whose};
use narrows_verifier::{Caveat, caveat::Tools, json};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Config;
use super::check::{Faults, add_secret_faults};
use crate::clients;
use crate::jose::{KeySet, is_private};

/// One client. An attacker who can add one may ask for tokens with any login they hold; the policy still decides.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Client {
    /// The client identifier: printable ASCII, at most 128 characters.
    pub id: String,
    /// The one way in which this client authenticates.
    pub auth_method: AuthMethod,
    /// For `client_secret_basic` and `client_secret_post`: one or two digests `sha256:<hex>` of generated secrets, two while one
    /// is being replaced. An attacker who adds one knows a working secret.
    #[serde(default)]
    pub secret_hashes: Vec<String>,
    /// For `private_key_jwt`: the client's public keys as a JWK set, as a table or as JSON text. An attacker who adds
    /// a key can sign as this client.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jwks: Option<Value>,
    /// The grants that it may use. An attacker who adds one has a second way to the same tokens, `client_credentials` one
    /// without any login.
    #[serde(default = "default_grants")]
    pub grants: Vec<ClientGrant>,
    /// Whether each of its requests must come with a DPoP proof. An attacker who unsets it can ask for tokens under keys that
    /// the client's library does not know.
    #[serde(default)]
    pub dpop_bound_access_tokens: bool,
    /// The agent names that this client may give to tokens; without it, any name that the policy accepts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agents: Option<Vec<String>>,
    /// The most that it may ask for, whatever the policy says.
    #[serde(default)]
    pub ceiling: ClientCeiling,
    /// Whether it is a resource server, which may ask about the tokens for its audiences. An attacker who sets it learns what
    /// such tokens permit, if it gets hold of them.
    #[serde(default)]
    pub resource_server: bool,
    /// The audiences of a resource server.
    #[serde(default)]
    pub audiences: Vec<String>,
    /// Whether it may revoke everything, and not only what was issued to it. An attacker who sets it can stop all work.
    #[serde(default)]
    pub revoker: bool,
}

/// What a client may ask for at most; what is left out is left to the policy. An attacker who widens it can ask for whatever the
/// policy grants to anybody whose login they hold.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct ClientCeiling {
    /// Audiences and resources.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audiences: Option<Vec<String>>,
    /// The scopes whose tools its tokens may grant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scopes: Option<Vec<String>>,
    /// The tools that its tokens may grant, as names, `{ prefix = … }` and `{ suffix = … }`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tools: Option<Value>,
}

/// How a client proves who it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum AuthMethod {
    /// A generated secret in the `Authorization: Basic` header (RFC 6749 §2.3.1).
    ClientSecretBasic,
    /// A generated secret in the body (RFC 6749 §2.3.1).
    ClientSecretPost,
    /// A JWT signed by the client's own key (RFC 7523).
    PrivateKeyJwt,
}

/// A grant that a client may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ClientGrant {
    /// A token for a token (RFC 8693).
    TokenExchange,
    /// A token for the client itself (RFC 6749 §4.4).
    ClientCredentials,
    /// A token for an identity assertion of a trusted issuer (RFC 7523 §2.1).
    JwtBearer,
}

impl ClientGrant {
    /// The same to the policy.
    pub const fn grant_type(self) -> GrantType {
        match self {
            Self::TokenExchange => GrantType::TokenExchange,
            Self::ClientCredentials => GrantType::ClientCredentials,
            Self::JwtBearer => GrantType::JwtBearer,
        }
    }
}

impl Client {
    /// The client's public keys as a JWK set object, whichever way they were written.
    pub fn jwk_set(&self) -> Option<Value> {
        match self.jwks.as_ref()? {
            Value::String(text) if text.len() <= MAX_JWKS_BYTES => serde_json::from_str(text).ok(),
            Value::Object(set) => Some(Value::Object(set.clone())),
            _ => None,
        }
    }

    /// Whether a configuration could have this entry.
    ///
    /// # Errors
    /// The first fault.
    pub(crate) fn check(&self) -> Result<(), String> {
        let mut faults = Faults::none();
        self.add_faults(&mut faults, &str::to_owned);
        faults.first()
    }

    fn check_jwks(&self) -> Result<(), &'static str> {
        const SHAPE: &str = "must be a jwk set, `{ keys = [...] }` or the same as json text";
        let set = self.jwk_set().ok_or(SHAPE)?;
        let keys = set.get("keys").and_then(Value::as_array).ok_or(SHAPE)?;
        if !(1..=MAX_JWKS_KEYS).contains(&keys.len()) {
            return Err("must hold 1 to 16 keys");
        }
        if KeySet::parse(set.to_string().as_bytes()).is_ok_and(|set| set.is_empty()) {
            return Err("holds no key of a kind that is accepted");
        }
        for key in keys {
            let members = key.as_object().ok_or(SHAPE)?;
            if is_private(members) {
                return Err("holds a private or symmetric key: give the public half only");
            }
            if !members.get("kty").is_some_and(Value::is_string) {
                return Err("holds a key without `kty`");
            }
        }
        Ok(())
    }

    fn add_faults(&self, faults: &mut Faults, at: &dyn Fn(&str) -> String) {
        if !clients::is_client_id(&self.id) {
            faults.add(&at("id"), "must be 1 to 128 printable ascii characters without a colon or a space");
        }
        match self.auth_method {
            AuthMethod::ClientSecretBasic | AuthMethod::ClientSecretPost => {
                if self.jwks.is_some() {
                    faults.add(&at("jwks"), "has no use with a client secret");
                }
                if !(1..=2).contains(&self.secret_hashes.len()) {
                    faults.add(&at("secret_hashes"), "must hold one or two digests");
                }
            }
            AuthMethod::PrivateKeyJwt => {
                if !self.secret_hashes.is_empty() {
                    faults.add(&at("secret_hashes"), "has no use with `private_key_jwt`");
                }
                if let Err(message) = self.check_jwks() {
                    faults.add(&at("jwks"), message);
                }
            }
        }
        add_secret_faults(faults, &at("secret_hashes"), &self.secret_hashes);
        if self.grants.is_empty() {
            faults.add(&at("grants"), "is empty, so the client could ask for nothing");
        }
        if self.resource_server == self.audiences.is_empty() {
            faults.add(&at("audiences"), "names the audiences of a resource server, and of no other client");
        }
        if self.audiences.len() > MAX_AUDIENCES || self.audiences.iter().any(|name| !(1..=1024).contains(&name.len())) {
            faults.add(&at("audiences"), format!("must be at most {MAX_AUDIENCES} names of 1 to 1,024 bytes"));
        }
        self.ceiling.add_faults(faults, at);
    }
}

impl ClientCeiling {
    /// The same to the policy, if anything is bounded.
    pub fn ceiling(&self) -> Option<Ceiling> {
        let tools = self.tools().map(Caveat::Tools);
        let audiences = self.audiences.clone().map(|names| Caveat::Audience(names.into_iter().collect()));
        let scopes = self.scopes.clone().map(|names| names.into_iter().collect());
        let caveats: Vec<_> = tools.into_iter().chain(audiences).collect();
        (scopes.is_some() || !caveats.is_empty()).then_some(Ceiling { whose: Whose::Client, scopes, caveats })
    }

    fn tools(&self) -> Option<Tools> {
        let text = self.tools.as_ref()?.to_string();
        let value = json::parse(text.as_bytes(), json::Limits::CAVEATS).ok()?;
        Tools::from_json(&value).ok()
    }

    fn add_faults(&self, faults: &mut Faults, at: &dyn Fn(&str) -> String) {
        if self.tools.is_some() && self.tools().is_none() {
            let message = "must be a list of 1 to 256 distinct tool names and at most 7 `{ prefix = … }` or `{ suffix = … }`";
            faults.add(&at("ceiling.tools"), message);
        }
        for (key, list) in [("ceiling.audiences", &self.audiences), ("ceiling.scopes", &self.scopes)] {
            if list.as_ref().is_some_and(|list| list.is_empty() || list.len() > MAX_CEILING || list.iter().any(String::is_empty)) {
                faults.add(&at(key), format!("must hold 1 to {MAX_CEILING} names; leave the key out for no limit"));
            }
        }
    }
}

impl Config {
    pub(super) fn add_client_faults(&self, faults: &mut Faults) {
        if self.client.len() > MAX_CLIENTS {
            faults.add("client", format!("has more than {MAX_CLIENTS} entries"));
        }
        let mut seen = HashSet::new();
        for (index, client) in self.client.iter().enumerate() {
            let at = |key: &str| format!("client[{index}].{key}");
            client.add_faults(faults, &at);
            if !seen.insert(client.id.as_str()) {
                faults.add(&at("id"), "is the id of an earlier client too");
            }
        }
    }
}

/// What a client could do before there were other grants.
fn default_grants() -> Vec<ClientGrant> {
    vec![ClientGrant::TokenExchange]
}

const MAX_CLIENTS: usize = 10_000;
const MAX_JWKS_BYTES: usize = 32_768;
const MAX_JWKS_KEYS: usize = 16;
const MAX_CEILING: usize = 256;
const MAX_AUDIENCES: usize = 64;

#[cfg(test)]
mod tests {
    use super::super::check::tests::{faults, with_client};
    use super::*;

    #[test]
    fn client_entries_must_fit_their_method() {
        let hash = format!("\"sha256:{}\"", "0".repeat(64));
        let jwk = "{ kty = \"OKP\", crv = \"Ed25519\", x = \"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\" }";
        let text = r#"'{"keys":[{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}'"#;
        let cases = [
            ("auth_method = \"client_secret_basic\"".to_string(), "client[0].secret_hashes"),
            (format!("auth_method = \"client_secret_basic\"\nsecret_hashes = [{hash}, {hash}, {hash}]"), "client[0].secret_hashes"),
            (format!("auth_method = \"client_secret_basic\"\nsecret_hashes = [{hash}]\njwks = {{ keys = [{jwk}] }}"), "client[0].jwks"),
            (
                format!("auth_method = \"private_key_jwt\"\nsecret_hashes = [{hash}]\njwks = {{ keys = [{jwk}] }}"),
                "client[0].secret_hashes",
            ),
            ("auth_method = \"private_key_jwt\"\njwks = { keys = [] }".to_string(), "client[0].jwks"),
            ("auth_method = \"private_key_jwt\"\njwks = { keys = [{ kty = \"oct\", k = \"AA\" }] }".to_string(), "client[0].jwks"),
            ("auth_method = \"private_key_jwt\"\njwks = '{\"keys\":[{\"kty\":\"OKP\",\"d\":\"AA\"}]}'".to_string(), "client[0].jwks"),
        ];
        for (lines, key) in cases {
            assert_eq!(faults(&with_client(&lines))[0].0, key, "{lines}");
        }
        for jwks in [format!("{{ keys = [{jwk}] }}"), text.to_string()] {
            let text = with_client(&format!("auth_method = \"private_key_jwt\"\njwks = {jwks}\n"));
            assert!(Config::parse(&text).unwrap().client[0].jwk_set().is_some());
        }
        let twice = with_client(&format!("auth_method = \"private_key_jwt\"\njwks = {text}\n")).replace(
            "[[client]]",
            &format!("[[client]]\nid = \"planner\"\nauth_method = \"client_secret_basic\"\nsecret_hashes = [{hash}]\n[[client]]"),
        );
        assert_eq!(faults(&twice)[0].0, "client[1].id");
    }

    #[test]
    fn ceilings_are_lists_that_say_something() {
        let with = |line: &str| {
            let hash = "0".repeat(64);
            with_client(&format!("auth_method = \"client_secret_post\"\nsecret_hashes = [\"sha256:{hash}\"]\n{line}\n"))
        };
        for (line, key) in [
            ("grants = []", "client[0].grants"),
            ("ceiling = { tools = [] }", "client[0].ceiling.tools"),
            ("ceiling = { tools = [1] }", "client[0].ceiling.tools"),
            ("ceiling = { tools = [\"a\", \"a\"] }", "client[0].ceiling.tools"),
            ("ceiling = { audiences = [] }", "client[0].ceiling.audiences"),
            ("ceiling = { scopes = [\"\"] }", "client[0].ceiling.scopes"),
        ] {
            assert_eq!(faults(&with(line))[0].0, key, "{line}");
        }
        let config =
            Config::parse(&with("ceiling = { tools = [\"crm.read\", { prefix = \"mail.\" }] }\ngrants = [\"jwt_bearer\"]")).unwrap();
        let tools = config.client[0].ceiling.tools().unwrap();
        assert!(tools.cover("mail.send") && tools.cover("crm.read") && !tools.cover("crm.write"));
        let plain = Config::parse(&with("")).unwrap();
        assert_eq!(plain.client[0].grants, [ClientGrant::TokenExchange]);
        assert!(plain.client[0].ceiling.ceiling().is_none());
    }
}
