//! The keys and rules that the corpus of forged tokens is made for, and what our core answers under them.

use narrows_verifier::Reason;
use serde_json::{Value, json};

use super::forge::{TestKey, bare_jwk, encode, token, with};
use super::{DpopRequest, KeySet, Profile, SignatureAlgorithm, UnverifiedJwt, VerifiedJwt, check_dpop_proof, verify};

pub(crate) const NOW_S: u64 = 1_800_000_000;
pub(crate) const ISSUER: &str = "https://idp.example";
pub(crate) const OURS: &str = "https://narrows.example";
pub(crate) const CLIENT: &str = "agent-1";
pub(crate) const DOMAIN: &str = "spiffe://example.org";
const MAX_AGE_S: u64 = 3_600;
pub(super) const URL: &str = "https://narrows.example/oauth/token";
const ACCESS_TOKEN: &str = "an access token";

/// What a token is held to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rules {
    IdToken,
    AccessToken,
    LegacyAccessToken,
    Generic,
    Svid,
    IdJag,
    Assertion,
    Dpop,
    DpopWithToken,
}

/// The keys of everybody, and the published sets.
pub(crate) struct World {
    pub(crate) rsa: TestKey,
    pub(crate) p256: TestKey,
    pub(crate) p384: TestKey,
    pub(crate) ed25519: TestKey,
    /// The key set, as published.
    pub(crate) published: Value,
    /// The SPIFFE bundle, as published.
    pub(crate) bundle: Value,
    pub(crate) keys: KeySet,
    bundle_keys: KeySet,
    pub(crate) audiences: Vec<String>,
}

impl World {
    pub(crate) fn new() -> Self {
        let (rsa, p256, p384, ed25519) = (TestKey::rsa(), TestKey::p256(), TestKey::p384(), TestKey::ed25519(1));
        let mut identity = [0; 32];
        identity[0] = 1;
        let modulus = rsa.jwk("")["n"].as_str().unwrap().to_owned();
        let padded_modulus = encode([vec![0; 128], vec![0xff; 128]].concat());
        let published = json!({"keys": [
            rsa.jwk("rsa"), p256.jwk("ec"), p384.jwk("ec-384"), ed25519.jwk("ed"),
            with(&rsa.jwk("rsa-pss"), json!({"alg": "PS256"})),
            with(&rsa.jwk("rsa-enc"), json!({"use": "enc"})),
            with(&rsa.jwk("rsa-use-number"), json!({"use": 1})),
            with(&rsa.jwk("rsa-wrap"), json!({"key_ops": ["wrapKey"]})),
            with(&rsa.jwk("rsa-verify"), json!({"key_ops": ["verify"]})),
            with(&rsa.jwk("rsa-verify-twice"), json!({"key_ops": ["verify", "verify"]})),
            with(&rsa.jwk("rsa-sign-verify"), json!({"key_ops": ["sign", "verify"]})),
            with(&rsa.jwk("rsa-ops-text"), json!({"key_ops": "verify"})),
            with(&rsa.jwk("rsa-alg-number"), json!({"alg": 7})),
            with(&rsa.jwk("rsa-ext-text"), json!({"ext": "true"})),
            with(&rsa.jwk("rsa-private"), json!({"d": encode([7; 256])})),
            with(&p256.jwk("ec-private"), json!({"d": encode([7; 32])})),
            with(&ed25519.jwk("ed-private"), json!({"d": encode([1; 32])})),
            with(&ed25519.jwk("ed-k"), json!({"k": encode([1; 32])})),
            with(&p256.jwk("ec-as-384"), json!({"crv": "P-384"})),
            with(&ed25519.jwk("ed-new-name"), json!({"alg": "Ed25519", "use": "sig"})),
            with(&ed25519.jwk("ed-old-name"), json!({"alg": "EdDSA", "use": "sig"})),
            with(&ed25519.jwk("ed-as-es256"), json!({"alg": "ES256"})),
            {"kty": "RSA", "kid": "rsa-512", "n": encode([0xff; 64]), "e": "AQAB"},
            {"kty": "RSA", "kid": "rsa-1024", "n": encode([0xff; 128]), "e": "AQAB"},
            {"kty": "RSA", "kid": "rsa-1024-padded", "n": padded_modulus, "e": "AQAB"},
            {"kty": "RSA", "kid": "rsa-e1", "n": modulus, "e": "AQ"},
            {"kty": "RSA", "kid": "rsa-e3", "n": modulus, "e": "Aw"},
            {"kty": "RSA", "kid": "rsa-even", "n": modulus, "e": "AQAA"},
            {"kty": "RSA", "kid": "rsa-padded-e", "n": modulus, "e": "AAEAAQ"},
            {"kty": "EC", "crv": "P-256", "kid": "off-curve", "x": encode([1; 32]), "y": encode([1; 32])},
            {"kty": "EC", "crv": "P-256", "kid": "short-point", "x": encode([1; 31]), "y": encode([1; 32])},
            {"kty": "OKP", "crv": "Ed25519", "kid": "small-order", "x": encode(identity)},
            {"kty": "oct", "kid": "oct", "k": encode([7; 32])},
            {"kty": "OKP", "crv": "X25519", "kid": "x25519", "x": encode([9; 32])},
            p256.jwk("twice"), p256.jwk("twice"),
            {"kid": "no kty"},
        ]});
        let svid_key = |key: &TestKey, key_id: &str| with(&key.jwk(key_id), json!({"use": "jwt-svid"}));
        let bundle = json!({"spiffe_sequence": 12, "spiffe_refresh_hint": 3_600, "keys": [
            svid_key(&rsa, "rsa"), svid_key(&p256, "ec"), svid_key(&p384, "ec-384"), svid_key(&ed25519, "ed"),
            with(&p256.jwk("x509"), json!({"use": "x509-svid"})),
            with(&p256.jwk("sig"), json!({"use": "sig"})),
            p256.jwk("no-use"),
        ]});
        Self {
            keys: KeySet::parse(published.to_string().as_bytes()).unwrap().remembering(),
            bundle_keys: KeySet::parse_bundle(bundle.to_string().as_bytes()).unwrap().remembering(),
            rsa,
            p256,
            p384,
            ed25519,
            published,
            bundle,
            audiences: vec!["client-1".to_owned(), "client-2".to_owned()],
        }
    }

    /// A token of the key set's owner, held to any profile.
    pub(crate) fn verify(&self, token: &str, profile: &Profile<'_>) -> Result<VerifiedJwt, Reason> {
        Ok(verify(UnverifiedJwt::parse(token)?, profile, &self.keys, NOW_S)?)
    }

    /// What our core answers.
    pub(crate) fn judge(&self, token: &str, rules: Rules) -> Result<(), Reason> {
        let (audiences, algorithms) = (&self.audiences, &SignatureAlgorithm::DEFAULT);
        let (profile, keys) = match rules {
            Rules::IdToken => (Profile::id_token(ISSUER, audiences, algorithms, MAX_AGE_S), &self.keys),
            Rules::AccessToken => (Profile::access_token(ISSUER, audiences, algorithms, MAX_AGE_S), &self.keys),
            Rules::LegacyAccessToken => (Profile::legacy_access_token(ISSUER, audiences, algorithms, MAX_AGE_S), &self.keys),
            Rules::Generic => (Profile::generic(ISSUER, audiences, algorithms, MAX_AGE_S), &self.keys),
            Rules::Svid => (Profile::jwt_svid(DOMAIN, audiences, &SignatureAlgorithm::JWT_SVID, MAX_AGE_S), &self.bundle_keys),
            Rules::IdJag => (Profile::id_jag(ISSUER, OURS, CLIENT, algorithms, MAX_AGE_S), &self.keys),
            Rules::Assertion => (Profile::client_assertion(CLIENT, OURS), &self.keys),
            Rules::Dpop | Rules::DpopWithToken => {
                let access_token = (rules == Rules::DpopWithToken).then_some(ACCESS_TOKEN);
                return check_dpop_proof(token, &DpopRequest { method: "POST", url: URL, access_token }, NOW_S).map(|_| ());
            }
        };
        let unverified = UnverifiedJwt::parse(token)?;
        Ok(verify(unverified, &profile, keys, NOW_S).map(|_| ())?)
    }
}

impl Rules {
    pub(crate) const ALL: [Self; 9] = [
        Self::IdToken,
        Self::AccessToken,
        Self::LegacyAccessToken,
        Self::Generic,
        Self::Svid,
        Self::IdJag,
        Self::Assertion,
        Self::Dpop,
        Self::DpopWithToken,
    ];

    /// The same rules in the options of npm `jose`.
    pub(crate) fn options(self, audiences: &[String]) -> Value {
        let algorithms = json!(["RS256", "PS256", "ES256", "ES384", "EdDSA", "Ed25519"]);
        let base = json!({
            "kind": "jwt", "set": "published", "now": NOW_S, "issuer": ISSUER, "audience": audiences, "algorithms": algorithms,
            "types": ["JWT"], "typeRequired": false, "required": ["exp", "iat"], "maxAge": MAX_AGE_S,
        });
        match self {
            Self::IdToken => base,
            Self::AccessToken => with(&base, json!({"types": ["at+jwt"], "typeRequired": true})),
            Self::LegacyAccessToken => with(&base, json!({"types": ["at+jwt", "JWT"]})),
            Self::Generic => with(&base, json!({"required": ["exp"]})),
            Self::Svid => {
                let algorithms = json!(["RS256", "RS384", "RS512", "ES256", "ES384", "PS256", "PS384", "PS512"]);
                let changes = json!({
                    "set": "bundle", "issuer": null, "types": ["JWT", "JOSE"], "required": ["exp", "sub"], "algorithms": algorithms,
                });
                with(&base, changes)
            }
            Self::IdJag => with(
                &base,
                json!({"audience": OURS, "types": ["oauth-id-jag+jwt"], "typeRequired": true, "required": ["exp", "iat", "jti", "client_id"]}),
            ),
            Self::Assertion => with(
                &base,
                json!({
                    "issuer": CLIENT, "subject": CLIENT, "audience": OURS, "types": ["JWT", "client-authentication+jwt"],
                    "required": ["exp", "jti"], "maxAge": 600,
                }),
            ),
            Self::Dpop => json!({"kind": "dpop", "now": NOW_S, "method": "POST", "url": URL}),
            Self::DpopWithToken => json!({"kind": "dpop", "now": NOW_S, "method": "POST", "url": URL, "accessToken": ACCESS_TOKEN}),
        }
    }

    pub(super) fn is_dpop(self) -> bool {
        matches!(self, Self::Dpop | Self::DpopWithToken)
    }

    /// A good header for a key of this algorithm.
    pub(super) fn header(self, world: &World, algorithm: &str) -> Value {
        let (key, key_id) = world.signer(algorithm);
        match self {
            Self::Dpop | Self::DpopWithToken => json!({"alg": algorithm, "typ": "dpop+jwt", "jwk": bare_jwk(key)}),
            Self::AccessToken => json!({"alg": algorithm, "kid": key_id, "typ": "at+jwt"}),
            Self::IdJag => json!({"alg": algorithm, "kid": key_id, "typ": "oauth-id-jag+jwt"}),
            _ => json!({"alg": algorithm, "kid": key_id, "typ": "JWT"}),
        }
    }

    /// Good claims.
    pub(super) fn claims(self) -> Value {
        let base = json!({"iss": ISSUER, "sub": "alice", "aud": "client-1", "exp": NOW_S + 600, "iat": NOW_S});
        match self {
            Self::Svid => with(&base, json!({"iss": null, "sub": "spiffe://example.org/ns/default/sa/planner"})),
            Self::IdJag => with(&base, json!({"aud": OURS, "jti": "grant-1", "client_id": CLIENT, "scope": "crm.read"})),
            Self::Assertion => with(&base, json!({"iss": CLIENT, "sub": CLIENT, "aud": OURS, "jti": "assertion-1"})),
            Self::Dpop => json!({"jti": "proof-1", "htm": "POST", "htu": URL, "iat": NOW_S}),
            Self::DpopWithToken => {
                use sha2::Digest as _;
                let hash = encode(sha2::Sha256::digest(ACCESS_TOKEN));
                json!({"jti": "proof-1", "htm": "POST", "htu": URL, "iat": NOW_S, "ath": hash})
            }
            _ => base,
        }
    }
}

impl World {
    pub(super) fn signer(&self, algorithm: &str) -> (&TestKey, &'static str) {
        match algorithm {
            "ES256" => (&self.p256, "ec"),
            "ES384" => (&self.p384, "ec-384"),
            "EdDSA" | "Ed25519" => (&self.ed25519, "ed"),
            _ => (&self.rsa, "rsa"),
        }
    }

    pub(super) fn good(&self, rules: Rules, algorithm: &str) -> String {
        token(self.signer(algorithm).0, &rules.header(self, algorithm), &rules.claims())
    }
}
