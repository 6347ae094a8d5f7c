//! A token endpoint in process: a real service on a disk of its own, a clock that stands still, and issuers whose keys the test has.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use axum::body::Body;
use http::{HeaderMap, Request};
use http_body_util::BodyExt;
use narrows_verifier::{
    Caveat, PublicKey, UnverifiedToken, VerifiedToken,
    json::{Limits, parse},
    proof::{HolderClaims, NarrowClaims, dpop, narrow_request_digest, sign_holder, sign_narrow},
    public_key,
};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tower::ServiceExt;

use crate::{
    app::{App, random},
    clients::secret_hash,
    config::Config,
    http::router::Routes,
    jose::forge::{TestKey, encode, token, with},
    keys::{KeyRole, SecretKey, tests::Scratch},
    service,
};

pub(super) const ISSUER: &str = "https://narrows.example";
pub(super) const IDP: &str = "https://idp.example";
pub(super) const NOW: u64 = 1_800_000_000;
pub(super) const AUDIENCE: &str = "https://a.example";
pub(super) const OTHER_AUDIENCE: &str = "https://b.example";
/// Where the pack gives tokens that are bound to nothing.
pub(super) const OPEN_AUDIENCE: &str = "https://open.example";

/// The endpoint.
pub(super) struct Desk {
    pub(super) app: Arc<App>,
    router: Routes,
    clock: Arc<AtomicU64>,
    idp: TestKey,
    pub(super) signer: TestKey,
    _scratch: Scratch,
}

/// What it answered.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    pub(super) bytes: Vec<u8>,
}

/// A request that a test bends.
#[derive(Clone)]
pub(super) struct Form {
    pub(super) fields: Vec<(String, String)>,
    headers: Vec<(&'static str, String)>,
}

/// A DPoP key that signs proofs for the endpoint.
pub(super) struct Dpop(pub(super) TestKey, &'static str);

impl Desk {
    pub(super) fn open() -> Self {
        Self::open_with("")
    }

    /// With further configuration.
    pub(super) fn open_with(more: &str) -> Self {
        Self::open_of(more, true)
    }

    /// Without a key that signs JWT views.
    pub(super) fn open_without_jwt_key() -> Self {
        Self::open_of("", false)
    }

    fn open_of(more: &str, views: bool) -> Self {
        let scratch = Scratch::new();
        let (idp, signer) = (TestKey::ed25519(1), TestKey::ed25519(2));
        let keys = |key: &TestKey| json!({ "keys": [key.jwk("one")] }).to_string();
        let key_file = scratch.0.join("idp.json");
        std::fs::write(&key_file, keys(&idp)).unwrap();
        let text = config_text(&scratch.0.to_string_lossy(), &key_file.to_string_lossy(), &keys(&signer), more);
        let config = Config::parse(&text).unwrap_or_else(|error| panic!("{error}"));
        let make = |role, file: std::path::PathBuf| SecretKey::generate(role, &mut rand_core::OsRng).write_new(&file).unwrap();
        make(KeyRole::Issuer, config.issuer_key_file());
        make(KeyRole::Log, config.log_key_file());
        make(KeyRole::Feed, config.feed_key_file());
        if views {
            make(KeyRole::Jwt, config.jwt_key_file());
        }
        let clock = Arc::new(AtomicU64::new(NOW * 1000));
        service::init_log(&config, false, NOW * 1000).unwrap();
        let hand = Arc::clone(&clock);
        let service = service::open(&config, PACK, None, Arc::new(move || hand.load(Ordering::SeqCst))).unwrap();
        Self { app: service.app, router: service.router, clock, idp, signer, _scratch: scratch }
    }

    pub(super) fn pass(&self, seconds: u64) {
        self.clock.fetch_add(seconds * 1000, Ordering::SeqCst);
    }

    pub(super) fn now(&self) -> u64 {
        self.app.now_seconds()
    }

    /// A good login.
    pub(super) fn login(&self, subject: &str) -> String {
        self.jwt(json!({}), json!({ "sub": subject }))
    }

    /// A token of the identity provider with changes; a null removes a member.
    pub(super) fn jwt(&self, header: Value, claims: Value) -> String {
        let now = self.now();
        let base = json!({ "iss": IDP, "sub": "alice", "aud": "app", "iat": now, "exp": now + 600, "groups": ["finance"] });
        token(&self.idp, &with(&json!({ "alg": "EdDSA", "kid": "one" }), header), &with(&base, claims))
    }

    /// An access token of the identity provider for this service.
    pub(super) fn access_token(&self, claims: Value) -> String {
        self.jwt(json!({ "typ": "at+jwt" }), over(json!({ "aud": ISSUER, "scope": "crm" }), claims))
    }

    /// An identity assertion for the client `app`.
    pub(super) fn id_jag(&self, claims: Value) -> String {
        let base = json!({ "aud": ISSUER, "client_id": "app", "jti": fresh(), "resource": AUDIENCE, "scope": "crm pay" });
        self.jwt(json!({ "typ": "oauth-id-jag+jwt" }), over(base, claims))
    }

    /// An assertion of the client `signer`.
    pub(super) fn assertion(&self, header: Value, claims: Value) -> String {
        let now = self.now();
        let base = json!({ "iss": "signer", "sub": "signer", "aud": ISSUER, "jti": fresh(), "iat": now, "exp": now + 60 });
        token(&self.signer, &with(&json!({ "alg": "EdDSA", "kid": "one" }), header), &with(&base, claims))
    }

    /// A good exchange of alice's login by the client `app`, for the key of this seed.
    pub(super) fn exchange(&self, seed: u8) -> Form {
        self.exchange_of(&self.login("alice"), seed)
    }

    pub(super) fn exchange_of(&self, login: &str, seed: u8) -> Form {
        Form::new(&[
            ("grant_type", TOKEN_EXCHANGE),
            ("subject_token", login),
            ("subject_token_type", ID_TOKEN),
            ("audience", AUDIENCE),
            ("authorization_details", r#"[{"type":"narrows","tools":["crm.read","payments.send"]}]"#),
        ])
        .basic("app")
        .bound(self, "app", login, seed)
    }

    /// A good request of the client `app` for itself.
    pub(super) fn client_credentials(&self, seed: u8) -> Form {
        Form::new(&[("grant_type", "client_credentials"), ("resource", AUDIENCE), ("scope", "crm")])
            .basic("app")
            .bound(self, "app", "", seed)
    }

    /// A good redemption of this assertion by the client `app`.
    pub(super) fn jwt_bearer(&self, assertion: &str, seed: u8) -> Form {
        Form::new(&[("grant_type", JWT_BEARER), ("assertion", assertion)]).basic("app").bound(self, "app", assertion, seed)
    }

    /// A good narrowing of this token, held by the key of the one seed, for that of the other.
    pub(super) fn narrowing(&self, token: &str, holder: u8, new_holder: u8, changes: &[(&str, &str)]) -> Form {
        let fields = [("grant_type", TOKEN_EXCHANGE), ("subject_token", token), ("subject_token_type", BISCUIT)];
        let form = Form::new(&fields).basic("app");
        let form = changes.iter().fold(form, |form, (name, value)| form.also(name, value));
        form.bound(self, "app", token, new_holder).consent(self, "app", token, holder, new_holder)
    }

    pub(super) async fn send(&self, form: &Form) -> Answer {
        self.send_to("/oauth/token", form).await
    }

    pub(super) async fn send_to(&self, path: &str, form: &Form) -> Answer {
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(&form.fields).finish();
        let mut request = Request::post(path).header("content-type", "application/x-www-form-urlencoded");
        for (name, value) in &form.headers {
            request = request.header(*name, value);
        }
        self.raw(request.body(Body::from(body)).unwrap()).await
    }

    pub(super) async fn raw(&self, request: Request<Body>) -> Answer {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes().to_vec();
        Answer { status: parts.status.as_u16(), headers: parts.headers, bytes }
    }

    pub(super) fn verify(&self, token: &str) -> VerifiedToken {
        UnverifiedToken::from_text(token).and_then(|token| token.verify(&self.app.roots())).unwrap()
    }

    /// How many leaves requests have made: those that begin a log are its opening and its key.
    pub(super) fn leaves(&self) -> u64 {
        let note = self.app.log.checkpoint().unwrap();
        note.lines().nth(1).unwrap().parse::<u64>().unwrap() - 2
    }
}

impl Form {
    pub(super) fn new(fields: &[(&str, &str)]) -> Self {
        let fields = fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Self { fields, headers: Vec::new() }
    }

    pub(super) fn with(self, name: &str, value: &str) -> Self {
        self.without(name).also(name, value)
    }

    pub(super) fn without(mut self, name: &str) -> Self {
        self.fields.retain(|(found, _)| found != name);
        self
    }

    pub(super) fn also(mut self, name: &str, value: &str) -> Self {
        self.fields.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(super) fn basic(self, client: &str) -> Self {
        self.basic_with(&format!("{client}:{SECRET}"))
    }

    pub(super) fn basic_with(self, credentials: &str) -> Self {
        use base64::{Engine, engine::general_purpose::STANDARD};
        self.anonymous().header("authorization", format!("Basic {}", STANDARD.encode(credentials)))
    }

    pub(super) fn anonymous(mut self) -> Self {
        self.headers.retain(|(name, _)| *name != "authorization");
        self
    }

    pub(super) fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// Bound to the key of this seed, which proves itself.
    pub(super) fn bound(self, desk: &Desk, client: &str, subject: &str, seed: u8) -> Self {
        let key = public_key(&[seed; 32]);
        let claims = HolderClaims { issuer: ISSUER, client, subject_digest: Sha256::digest(subject).into() };
        let proof = sign_holder(&claims, desk.now(), &random(), &[seed; 32]);
        self.with("req_cnf", &req_cnf(&key)).with("holder_proof", &proof)
    }

    /// Without a key of its own: what is left to bind it is a DPoP proof.
    pub(super) fn unbound(self) -> Self {
        self.without("req_cnf").without("holder_proof")
    }

    /// With the consent of the token's holder to the request as it stands.
    pub(super) fn consent(self, desk: &Desk, client: &str, token: &str, holder: u8, new_holder: u8) -> Self {
        let jkt = dpop::thumbprint(&public_key(&[new_holder; 32]));
        self.consent_for(desk, client, token, holder, jkt)
    }

    pub(super) fn consent_for(self, desk: &Desk, client: &str, token: &str, holder: u8, new_holder: [u8; 32]) -> Self {
        let block = desk.verify(token).newest();
        let request_digest = narrow_request_digest(self.fields.iter().map(|(name, value)| (name.as_str(), value.as_str())));
        let claims = NarrowClaims { issuer: ISSUER, client, block, new_holder, request_digest };
        let proof = sign_narrow(&claims, desk.now(), &random(), &[holder; 32]);
        self.with("narrow_proof", &proof)
    }

    pub(super) fn dpop(self, proof: String) -> Self {
        self.header("dpop", proof)
    }
}

impl Dpop {
    pub(super) fn ed25519(seed: u8) -> Self {
        Self(TestKey::ed25519(seed), "EdDSA")
    }

    pub(super) fn p256() -> Self {
        Self(TestKey::p256(), "ES256")
    }

    /// The key as the header of a proof has it.
    pub(super) fn jwk(&self) -> Value {
        with(&self.0.jwk("x"), json!({ "kid": null }))
    }

    pub(super) fn thumbprint(&self) -> [u8; 32] {
        parse(self.jwk().to_string().as_bytes(), Limits::SIGNED).unwrap().digest()
    }

    /// A good proof with the nonce of this moment.
    pub(super) fn proof(&self, desk: &Desk) -> String {
        self.proof_with(desk, json!({}), json!({}))
    }

    pub(super) fn proof_with(&self, desk: &Desk, header: Value, claims: Value) -> String {
        let now = desk.now();
        let head = json!({ "typ": "dpop+jwt", "alg": self.1, "jwk": self.jwk() });
        let base = json!({
            "jti": fresh(), "htm": "POST", "htu": format!("{ISSUER}/oauth/token"), "iat": now, "nonce": desk.app.dpop_nonces.current(now),
        });
        token(&self.0, &with(&head, header), &with(&base, claims))
    }
}

impl Answer {
    pub(super) fn json(&self) -> Value {
        serde_json::from_slice(&self.bytes).unwrap_or_default()
    }

    pub(super) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    #[track_caller]
    pub(super) fn granted(&self) -> Value {
        let body = self.json();
        assert_eq!(self.status, 200, "{body}");
        assert_eq!((self.header("cache-control"), self.header("pragma")), ("no-store", "no-cache"));
        body
    }

    /// The access token of a granted request.
    #[track_caller]
    pub(super) fn token(&self) -> String {
        self.granted()["access_token"].as_str().unwrap().to_owned()
    }

    #[track_caller]
    pub(super) fn refused(&self, status: u16, error: &str, reason: &str, case: &str) {
        let body = self.json();
        let found = (self.status, body["error"].as_str().unwrap_or_default(), body["reason"].as_str().unwrap_or_default());
        assert_eq!(found, (status, error, reason), "{case}: {body}");
        assert_eq!((self.header("cache-control"), self.header("pragma")), ("no-store", "no-cache"), "{case}");
        assert_eq!(self.header("content-type"), "application/json", "{case}");
        let description = body["error_description"].as_str().unwrap();
        let plain = |byte: u8| matches!(byte, 0x20..=0x21 | 0x23..=0x5b | 0x5d..=0x7e);
        assert!(description.bytes().all(plain) && !description.is_empty(), "{case}: {description}");
        assert!(body["access_token"].is_null() && body["narrows"].is_null(), "{case}: {body}");
    }
}

/// Claims with changes, of which a null is kept: it removes a member later on.
fn over(mut base: Value, changes: Value) -> Value {
    if let (Value::Object(base), Value::Object(changes)) = (&mut base, changes) {
        base.extend(changes);
    }
    base
}

/// Claims about somebody else than alice.
pub(super) fn with_subject(subject: &str, claims: Value) -> Value {
    over(json!({ "sub": subject }), claims)
}

/// Text that nobody has used before.
pub(super) fn fresh() -> String {
    encode(random::<16>())
}

pub(super) fn req_cnf(key: &PublicKey) -> String {
    encode(json!({ "jwk": { "kty": "OKP", "crv": "Ed25519", "x": encode(key.as_bytes()) } }).to_string())
}

pub(super) fn caveats(text: &str) -> Vec<Caveat> {
    narrows_verifier::caveat::parse_list(&parse(text.as_bytes(), Limits::CAVEATS).unwrap()).unwrap()
}

pub(super) const TOKEN_EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
pub(super) const JWT_BEARER: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";
pub(super) const ID_TOKEN: &str = "urn:ietf:params:oauth:token-type:id_token";
pub(super) const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";
pub(super) const JWT: &str = "urn:ietf:params:oauth:token-type:jwt";
pub(super) const BISCUIT: &str = "urn:narrows:token-type:biscuit";
pub(super) const SECRET: &str = "correct-horse-battery-staple";

fn config_text(data: &str, keys: &str, signer: &str, more: &str) -> String {
    let hash = secret_hash(SECRET);
    let client = |id: &str, method: &str, more: &str| {
        format!("[[client]]\nid = \"{id}\"\nauth_method = \"{method}\"\nsecret_hashes = [\"{hash}\"]\n{more}\n")
    };
    let all = "grants = [\"token_exchange\", \"client_credentials\", \"jwt_bearer\"]";
    let trusted =
        |kind: &str, more: &str| format!("[[trusted_issuer]]\nissuer = \"{IDP}\"\nkind = \"{kind}\"\njwks_file = \"{keys}\"\n{more}\n");
    [
        format!("issuer = \"{ISSUER}\"\nlisten = \"127.0.0.1:1\"\ndata_dir = \"{data}\"\n[log]\norigin = \"narrows.example/log\"\n"),
        trusted(
            "oidc",
            &format!("audiences = [\"app\", \"{ISSUER}\"]\ntoken_types = [\"id_token\", \"access_token\", \"jwt\"]\nclaims = [\"groups\"]"),
        ),
        trusted("id_jag", "clients = [\"app\", \"other\"]\nclaims = [\"groups\"]"),
        client("app", "client_secret_basic", all),
        client("other", "client_secret_basic", all),
        client("poster", "client_secret_post", ""),
        client("plain", "client_secret_basic", ""),
        client("bound", "client_secret_basic", &format!("{all}\ndpop_bound_access_tokens = true")),
        client("named", "client_secret_basic", "agents = [\"planner\"]"),
        client(
            "capped",
            "client_secret_basic",
            &format!(
                "{all}\nceiling = {{ audiences = [\"{AUDIENCE}\"], tools = [\"crm.read\", {{ prefix = \"payments.\" }}], scopes = [\"crm\"] }}"
            ),
        ),
        format!("[[client]]\nid = \"signer\"\nauth_method = \"private_key_jwt\"\njwks = '{signer}'\n"),
        more.to_owned(),
    ]
    .concat()
}

const PACK: &str = r#"
pack = "desk"
version = 1
[limits]
max_life_seconds = 900
max_depth = 3
[[scope]]
name = "crm"
tools = ["crm.read"]
[[scope]]
name = "pay"
tools = ["payments.send"]
[[scope]]
name = "admin"
tools = ["crm.write"]
[[rule]]
name = "open"
when = 'grant("client_credentials"), audience("https://open.example")'
audiences = ["https://open.example"]
tools = ["crm.read"]
default_tools = ["crm.read"]
bearer = true
[[rule]]
name = "people"
when = 'subject_issuer("https://idp.example"), claim("groups", "finance")'
audiences = ["https://a.example", "https://b.example"]
tools = ["crm.read", "payments.send", "mail.send"]
default_tools = ["crm.read"]
[[rule.ceiling]]
kind = "arg"
tool = "payments.send"
path = "/amount"
is = { range = { min = 1, max = 500 } }
[[rule]]
name = "own tokens and clients"
when = 'subject_issuer("https://narrows.example")'
audiences = ["https://a.example", "https://b.example"]
tools = ["crm.read", "crm.write", "payments.send", "mail.send"]
max_life_seconds = 800
default_tools = ["crm.read"]
"#;
