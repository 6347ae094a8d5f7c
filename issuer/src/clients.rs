//! The registered clients, and authentication by a generated secret in the Basic header or in the body.

mod nobody;
mod registered;

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use narrows_policies::{Ceiling, GrantType};
use narrows_verifier::Reason;
use rand_core::CryptoRngCore;
use sha2::{Digest, Sha256};
use subtle::{Choice, ConditionallySelectable as _, ConstantTimeEq};
use zeroize::Zeroizing;

use crate::config::{self, AuthMethod};
use crate::jose::KeySet;
pub(crate) use registered::MAX_REGISTERED;
pub use registered::{Known, Registered, Registration};

/// All clients by their identifier: those of the configuration, and those that operators registered.
pub struct Clients {
    configured: BTreeMap<String, Known>,
    registered: Arc<Registered>,
    /// Takes the place of an unknown client's keys.
    nobody: KeySet,
}

/// One registered client.
pub struct Client {
    /// The client identifier.
    pub id: String,
    /// The one way in which it authenticates.
    pub auth_method: AuthMethod,
    /// Its public keys, for `private_key_jwt`.
    pub keys: Option<KeySet>,
    /// The grants that it may use.
    pub grants: Vec<GrantType>,
    /// Whether each of its requests must come with a DPoP proof.
    pub dpop_bound: bool,
    /// The agent names it may give to tokens; `None` leaves that to the policy.
    pub agents: Option<Vec<String>>,
    /// The most that it may ask for, whatever the policy says.
    pub ceiling: Option<Ceiling>,
    /// The audiences whose tokens it may ask about, as their resource server.
    pub audiences: Vec<String>,
    /// Whether it may revoke what was issued to others.
    pub revoker: bool,
    secrets: SecretHashes,
}

/// A client identifier and secret as they came in the Basic header; not yet compared with anything.
struct BasicCredentials {
    /// The form-decoded client identifier.
    client_id: String,
    secret: Zeroizing<String>,
}

/// Always two slots, so that the number of live secrets doesn't show in the time taken.
#[derive(Default)]
pub(crate) struct SecretHashes([(bool, [u8; 32]); 2]);

impl Client {
    /// Takes a client whose entry was checked.
    fn new(client: &config::Client) -> Self {
        Self {
            id: client.id.clone(),
            auth_method: client.auth_method,
            // a set that no key of ours can be read from authenticates nobody; the check of the entry names it
            keys: client.jwk_set().and_then(|set| KeySet::parse(set.to_string().as_bytes()).ok()),
            grants: client.grants.iter().map(|grant| grant.grant_type()).collect(),
            dpop_bound: client.dpop_bound_access_tokens,
            agents: client.agents.clone(),
            ceiling: client.ceiling.ceiling(),
            audiences: client.audiences.clone(),
            revoker: client.revoker,
            secrets: SecretHashes::new(&client.secret_hashes),
        }
    }
}

impl Clients {
    /// Takes the clients of a configuration that was checked, beside those that the log's file has. A configured one takes the
    /// place of a registered one of its id.
    pub fn new(clients: &[config::Client], registered: Arc<Registered>) -> Self {
        let known = |client: &config::Client| Known::new(Registration { client: client.clone(), disabled: false }, None);
        let configured = clients.iter().map(|client| (client.id.clone(), known(client))).collect();
        Self { configured, registered, nobody: nobody::keys() }
    }

    /// The client with this identifier; `None` for one that is disabled.
    pub fn find(&self, client_id: &str) -> Option<Arc<Client>> {
        let known = self.known(client_id)?;
        (!known.registration.disabled).then_some(known.client)
    }

    /// What is known of the client with this identifier, a disabled one included.
    pub fn known(&self, client_id: &str) -> Option<Known> {
        self.configured.get(client_id).cloned().or_else(|| self.registered.find(client_id))
    }

    /// The registered client in whose place one of the configuration stands.
    pub fn hidden(&self, client_id: &str) -> Option<Known> {
        self.configured.contains_key(client_id).then(|| self.registered.find(client_id)).flatten()
    }

    /// Up to `most` clients behind `after`, in the order of their identifiers, disabled ones included.
    pub fn page(&self, after: Option<&str>, most: usize) -> Vec<Known> {
        let mut found: BTreeMap<String, Known> = self.registered.page(after, most);
        found.extend(self.configured.range(registered::behind(after)).take(most).map(|(id, known)| (id.clone(), known.clone())));
        found.into_values().take(most).collect()
    }

    /// The grants that some client may use.
    pub fn grants(&self) -> Vec<GrantType> {
        let configured = |grant: &GrantType| self.configured.values().any(|known| known.client.grants.contains(grant));
        GrantType::ALL.into_iter().filter(|grant| configured(grant) || self.registered.has_grant(*grant)).collect()
    }

    /// The client that an assertion claims to be of.
    pub(crate) fn signer(&self, client_id: &str) -> Option<Arc<Client>> {
        self.find(client_id).filter(|client| client.auth_method == AuthMethod::PrivateKeyJwt)
    }

    /// The keys under which to check an assertion: nobody's for a client that is unknown or of another method, so that the check
    /// takes its time all the same.
    pub(crate) fn keys_of<'a>(&'a self, signer: Option<&'a Client>) -> &'a KeySet {
        signer.and_then(|client| client.keys.as_ref()).unwrap_or(&self.nobody)
    }

    /// Checks the value of an `Authorization: Basic` header.
    ///
    /// # Errors
    /// `CLIENT_AUTH`, and nothing more, whatever was wrong: an unknown client, another method and a wrong secret take
    /// the same path and get the same answer.
    pub fn authenticate_basic(&self, authorization: &[u8]) -> Result<Arc<Client>, Reason> {
        let credentials = BasicCredentials::parse(authorization).ok_or(Reason::ClientAuth)?;
        self.authenticate(&credentials.client_id, &credentials.secret, AuthMethod::ClientSecretBasic)
    }

    /// Checks the parameters `client_id` and `client_secret` of a body.
    ///
    /// # Errors
    /// As [`Clients::authenticate_basic`].
    pub fn authenticate_post(&self, client_id: &str, secret: &str) -> Result<Arc<Client>, Reason> {
        if !is_client_id(client_id) || secret.len() > MAX_SECRET_BYTES {
            return Err(Reason::ClientAuth);
        }
        self.authenticate(client_id, secret, AuthMethod::ClientSecretPost)
    }

    fn authenticate(&self, client_id: &str, secret: &str, method: AuthMethod) -> Result<Arc<Client>, Reason> {
        let client = self.find(client_id);
        let none = SecretHashes::default();
        let secrets = client.as_ref().map_or(&none, |client| &client.secrets);
        let right = bool::from(secrets.contains(secret));
        client.filter(|client| right && client.auth_method == method).ok_or(Reason::ClientAuth)
    }
}

impl BasicCredentials {
    /// Parses a Basic header value: standard base64 of two form-encoded halves around the first colon (RFC 6749 §2.3.1).
    fn parse(authorization: &[u8]) -> Option<Self> {
        if authorization.len() > MAX_HEADER_BYTES {
            return None;
        }
        let (scheme, encoded) = std::str::from_utf8(authorization).ok()?.split_once(' ')?;
        if !scheme.eq_ignore_ascii_case("basic") {
            return None;
        }
        let decoded = Zeroizing::new(STANDARD.decode(encoded.trim_start_matches(' ')).ok()?);
        let (client_id, secret) = std::str::from_utf8(&decoded).ok()?.split_once(':')?;
        let client_id = form_decode(client_id)?;
        let secret = form_decode(secret)?;
        (is_client_id(&client_id) && (1..=MAX_SECRET_BYTES).contains(&secret.len()))
            .then(|| Self { client_id: client_id.to_string(), secret })
    }
}

impl SecretHashes {
    pub(crate) fn new(digests: &[String]) -> Self {
        let mut slots = Self::default();
        let hashes = digests.iter().filter_map(|digest| parse_secret_hash(digest));
        for (slot, hash) in slots.0.iter_mut().zip(hashes) {
            *slot = (true, hash);
        }
        slots
    }

    /// Compares with every slot before it decides, in constant time.
    pub(crate) fn contains(&self, secret: &str) -> Choice {
        let given = <[u8; 32]>::from(Sha256::digest(secret.as_bytes()));
        self.0.iter().fold(Choice::from(0), |found, (live, hash)| found | (Choice::from(u8::from(*live)) & hash.ct_eq(&given)))
    }
}

/// Finds the one whose secret an `Authorization: Bearer` header carries (RFC 6750 §2.1), by its place among all.
///
/// Everyone is compared with, so that the time taken does not tell whose secret it was.
pub(crate) fn owner_of_bearer<'a>(authorization: &[u8], all: impl Iterator<Item = &'a SecretHashes>) -> Option<usize> {
    let secret = bearer(authorization)?;
    let found = all.zip(0u64..).fold(u64::MAX, |found, (secrets, place)| u64::conditional_select(&found, &place, secrets.contains(secret)));
    usize::try_from(found).ok()
}

fn bearer(authorization: &[u8]) -> Option<&str> {
    if authorization.len() > MAX_BEARER_BYTES {
        return None;
    }
    let (scheme, secret) = std::str::from_utf8(authorization).ok()?.split_once(' ')?;
    let secret = secret.trim_start_matches(' ');
    (scheme.eq_ignore_ascii_case("bearer") && !secret.is_empty()).then_some(secret)
}

/// Generates a client secret of 256 bits from letters and digits alone: clients that percent-encode it and clients that
/// don't then send the same bytes.
pub fn generate_secret(random: &mut impl CryptoRngCore) -> Zeroizing<String> {
    let mut secret = Zeroizing::new(String::with_capacity(SECRET_CHARACTERS));
    while secret.len() < SECRET_CHARACTERS {
        let mut byte = [0];
        random.fill_bytes(&mut byte);
        // 248 is the largest multiple of 62 in a byte; a remainder over all 256 would favour the first letters.
        let [byte] = byte;
        if byte < 248
            && let Some(character) = ALPHABET.get(usize::from(byte % 62))
        {
            secret.push(char::from(*character));
        }
    }
    secret
}

/// The digest of a secret as the configuration holds it. A slow hash would buy nothing for 256 random bits.
pub fn secret_hash(secret: &str) -> String {
    let mut text = String::from("sha256:");
    for byte in Sha256::digest(secret.as_bytes()) {
        // Writing to a string can't fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

/// Reads `sha256:<64 lower-case hex digits>`.
pub(crate) fn parse_secret_hash(text: &str) -> Option<[u8; 32]> {
    let hex = text.strip_prefix("sha256:")?;
    let lower_hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    if hex.len() != 64 || !hex.bytes().all(lower_hex) {
        return None;
    }
    let mut hash = [0; 32];
    for (index, byte) in hash.iter_mut().enumerate() {
        *byte = u8::from_str_radix(hex.get(2 * index..2 * index + 2)?, 16).ok()?;
    }
    Some(hash)
}

/// Printable ASCII without colon, the separator of Basic credentials, and without space.
pub(crate) fn is_client_id(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_graphic() && byte != b':';
    (1..=MAX_CLIENT_ID_BYTES).contains(&text.len()) && text.bytes().all(allowed)
}

/// Strict `application/x-www-form-urlencoded` decoding of one value; a stray `%` is an error, not a literal.
fn form_decode(text: &str) -> Option<Zeroizing<String>> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(text.len()));
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let high = char::from(rest.next()?).to_digit(16)?;
                let low = char::from(rest.next()?).to_digit(16)?;
                u8::try_from(high * 16 + low).ok()?
            }
            other => other,
        });
    }
    std::str::from_utf8(&bytes).ok().map(|text| Zeroizing::new(text.to_string()))
}

const ALPHABET: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
/// 43 characters of 62 kinds carry 256.03 bits.
const SECRET_CHARACTERS: usize = 43;
const MAX_BEARER_BYTES: usize = 512;
const MAX_CLIENT_ID_BYTES: usize = 128;
const MAX_SECRET_BYTES: usize = 256;
/// Both halves at their longest, every byte percent-encoded, in base64, with the scheme.
const MAX_HEADER_BYTES: usize = 4 * (MAX_CLIENT_ID_BYTES + MAX_SECRET_BYTES) + 64;

#[cfg(test)]
mod tests {
    use rand_core::OsRng;

    use crate::config::{ClientCeiling, ClientGrant};

    use super::*;

    fn basic(credentials: &str) -> Vec<u8> {
        format!("Basic {}", STANDARD.encode(credentials)).into_bytes()
    }

    fn registry(hashes: &[&str]) -> Clients {
        let client = |id: &str, auth_method, hashes: &[&str]| config::Client {
            id: id.into(),
            auth_method,
            secret_hashes: hashes.iter().map(|secret| secret_hash(secret)).collect(),
            jwks: None,
            grants: vec![ClientGrant::TokenExchange],
            dpop_bound_access_tokens: false,
            agents: None,
            ceiling: ClientCeiling::default(),
            resource_server: false,
            audiences: Vec::new(),
            revoker: false,
        };
        let configured = [
            client("agent-1", AuthMethod::ClientSecretBasic, hashes),
            client("poster", AuthMethod::ClientSecretPost, hashes),
            client("signer", AuthMethod::PrivateKeyJwt, &[]),
        ];
        Clients::new(&configured, Arc::default())
    }

    #[test]
    fn both_halves_are_form_decoded() {
        let clients = registry(&["old secret/1", "new"]);
        for accepted in ["agent-1:new", "agent%2D1:new", "agent-1:old+secret%2f1", "agent-1:old secret/1"] {
            let client = clients.authenticate_basic(&basic(accepted)).ok();
            assert_eq!(client.map(|client| client.id.clone()).as_deref(), Some("agent-1"), "{accepted}");
        }
        assert!(clients.authenticate_basic(&[b"bAsIc ".as_slice(), STANDARD.encode("agent-1:new").as_bytes()].concat()).is_ok());
    }

    #[test]
    fn every_bad_credential_is_the_same_refusal() {
        let clients = registry(&["right"]);
        let long = "x".repeat(MAX_SECRET_BYTES + 1);
        let cases: Vec<Vec<u8>> = vec![
            b"".to_vec(),
            b"Basic".to_vec(),
            b"Basic ".to_vec(),
            b"Basic !!!".to_vec(),
            b"Basic YWdlbnQtMTpyaWdodA".to_vec(),
            b"Bearer YWdlbnQtMTpyaWdodA==".to_vec(),
            b"Basic \xff\xfe".to_vec(),
            format!("Basic {}", STANDARD.encode([0xff, b':', 0xfe])).into_bytes(),
            basic("agent-1right"),
            basic(":right"),
            basic("agent-1:"),
            basic("agent-1:wrong"),
            basic("agent-1:right%"),
            basic("agent-1:right%2"),
            basic("agent-1:%zzright"),
            basic("agent-1:%+1"),
            basic("agent-1:right:right"),
            basic("agent%3A1:right"),
            basic("Agent-1:right"),
            basic("nobody:right"),
            basic("signer:right"),
            basic("poster:right"),
            basic(&format!("agent-1:{long}")),
            basic(&"a:b".repeat(4_096)),
        ];
        for case in cases {
            let refusal = clients.authenticate_basic(&case).err();
            assert_eq!(refusal, Some(Reason::ClientAuth), "{}", String::from_utf8_lossy(&case));
        }
    }

    #[test]
    fn a_secret_in_the_body_is_for_the_client_that_sends_it_there() {
        let clients = registry(&["right"]);
        assert_eq!(clients.authenticate_post("poster", "right").ok().map(|client| client.id.clone()).as_deref(), Some("poster"));
        let long = "x".repeat(MAX_SECRET_BYTES + 1);
        for (id, secret) in [
            ("poster", "wrong"),
            ("poster", ""),
            ("poster", long.as_str()),
            ("agent-1", "right"),
            ("signer", "right"),
            ("nobody", "right"),
            ("", "right"),
            ("a b", "right"),
        ] {
            assert_eq!(clients.authenticate_post(id, secret).err(), Some(Reason::ClientAuth), "{id}:{secret}");
        }
    }

    #[test]
    fn an_unknown_signer_has_keys_of_every_kind_too() {
        let clients = registry(&["right"]);
        for id in ["nobody", "agent-1"] {
            let client = clients.signer(id);
            assert!(client.is_none());
            assert_eq!(clients.keys_of(client.as_deref()).len(), 4);
        }
    }

    #[test]
    fn empty_slots_match_no_secret() {
        // The hash in an unused slot is all zero; only the mark keeps it from being a secret's digest.
        let slots = SecretHashes::new(&[]);
        assert!(!bool::from(slots.contains("")));
        let filled = SecretHashes([(false, Sha256::digest(b"x").into()), (false, [0; 32])]);
        assert!(!bool::from(filled.contains("x")));
    }

    #[test]
    fn generated_secrets_are_letters_and_digits_and_work() {
        let secret = generate_secret(&mut OsRng);
        assert_eq!(secret.len(), 43);
        assert!(secret.bytes().all(|byte| byte.is_ascii_alphanumeric()));
        assert_ne!(*secret, *generate_secret(&mut OsRng));
        let clients = registry(&[&secret]);
        let header = basic(&format!("agent-1:{}", *secret));
        assert!(clients.authenticate_basic(&header).is_ok());
    }

    #[test]
    fn secret_hash_has_one_spelling() {
        let hash = secret_hash("x");
        assert!(parse_secret_hash(&hash).is_some());
        for bad in [hash.to_uppercase(), hash.replace("sha256:", ""), format!("{hash}0"), hash.replace("sha256", "sha1")] {
            assert!(parse_secret_hash(&bad).is_none(), "{bad}");
        }
    }
}
