//! The exchange of a login for a token (RFC 8693).

use base64::{Engine as _, engine::general_purpose::STANDARD};
use form_urlencoded::{Serializer, byte_serialize};
use http::{
    HeaderMap, HeaderValue,
    header::{AUTHORIZATION, CONTENT_TYPE},
};
use narrows_verifier::{
    Caveat, Reason, TaskId, UnverifiedToken,
    caveat::{Tools, to_list},
    json::Value,
    log::Kind,
};
use serde::Deserialize;
use zeroize::Zeroizing;

use super::{IssuerError, IssuerKeys, Recorded, recorded::Body};
use crate::HolderKey;

/// The subject token is an OpenID Connect ID token.
pub const ID_TOKEN: &str = "urn:ietf:params:oauth:token-type:id_token";

/// The subject token is a JWT access token.
pub const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";

/// What to ask for.
pub struct ExchangeRequest<'a> {
    /// The login: whose authority is asked for.
    pub subject_token: &'a str,
    /// [`ID_TOKEN`] or [`ACCESS_TOKEN`].
    pub subject_token_type: &'a str,
    /// Who asks.
    pub client: ClientAuthentication<'a>,
    /// The key that the token is to be bound to.
    pub holder: &'a HolderKey,
    /// Where the token is to be used.
    pub audience: &'a str,
    /// The tools that it is to grant.
    pub tools: Tools,
    /// Further caveats, a depth among them where hops are wanted.
    pub caveats: Vec<Caveat>,
    /// The name that the issuer is to attest of the holder.
    pub agent: &'a str,
    /// The seconds for which it is wanted; the issuer may give less.
    pub expires_in: Option<u64>,
}

/// How the client authenticates.
pub enum ClientAuthentication<'a> {
    /// A secret in the Basic header (RFC 6749 §2.3.1).
    SecretBasic {
        /// The client's identifier.
        client: &'a str,
        /// Its secret.
        secret: &'a str,
    },
    /// An assertion that the caller signed for this request (RFC 7523 §2.2).
    PrivateKeyJwt {
        /// The client's identifier.
        client: &'a str,
        /// The signed JWT.
        assertion: &'a str,
    },
}

/// A token, with the proof that its making is in the log. Checked against the issuer's keys and the request.
pub struct ExchangeAnswer {
    /// The open token.
    pub access_token: Zeroizing<String>,
    /// The seconds for which it is accepted from now on, by the issuer's count.
    pub expires_in: u64,
    /// The new task.
    pub task: TaskId,
    /// The entry of the log.
    pub recorded: Recorded,
}

impl ExchangeRequest<'_> {
    /// The headers and the form of the request, with a fresh proof that we hold the key.
    pub(super) fn encode(&self, issuer: &str, now: u64) -> (HeaderMap, String) {
        let mut form = Serializer::new(String::new());
        form.append_pair("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange")
            .append_pair("subject_token", self.subject_token)
            .append_pair("subject_token_type", self.subject_token_type)
            .append_pair("audience", self.audience)
            .append_pair("authorization_details", &self.details().canonical())
            .append_pair("req_cnf", &self.holder.req_cnf())
            .append_pair("holder_proof", &self.holder.holder_proof(issuer, self.client.id(), self.subject_token, now));
        if let Some(seconds) = self.expires_in {
            form.append_pair("expires_in", &seconds.to_string());
        }
        let headers = form_of(&self.client, &mut form);
        (headers, form.finish())
    }

    /// The request's authorization details (RFC 9396), of our one type.
    fn details(&self) -> Value {
        let text = |text: &str| Value::Text(text.to_owned());
        Value::Array(vec![Value::object([
            ("type", text("narrows")),
            ("tools", self.tools.to_json()),
            ("caveats", to_list(&self.caveats)),
            ("agent", text(self.agent)),
        ])])
    }
}

impl ClientAuthentication<'_> {
    fn id(&self) -> &str {
        match self {
            ClientAuthentication::SecretBasic { client, .. } | ClientAuthentication::PrivateKeyJwt { client, .. } => client,
        }
    }
}

impl ExchangeAnswer {
    /// Checks that the answer is what was asked for: bound to our key, and in the log.
    pub(super) fn check(body: &[u8], request: &ExchangeRequest<'_>, keys: &IssuerKeys) -> Result<Self, IssuerError> {
        let answer: Answer = serde_json::from_slice(body).map_err(|_| Reason::PeerAnswer)?;
        let access_token = Zeroizing::new(answer.access_token);
        let task = TaskId::from_hex(&answer.narrows.task).ok_or(Reason::PeerAnswer)?;
        let recorded = Recorded::read(answer.narrows.recorded).ok_or(Reason::PeerAnswer)?;
        let token =
            UnverifiedToken::from_text(&access_token).and_then(|token| token.verify(&keys.roots)).map_err(|refusal| refusal.reason)?;
        if token.holder != request.holder.public().into() || token.authority.task != task || token.depth() != 0 {
            return Err(Reason::PeerAnswer.into());
        }
        let recorded = recorded.check(&token, Kind::Mint, keys)?;
        Ok(Self { access_token, expires_in: answer.expires_in, task, recorded })
    }
}

/// The headers of a form by this client, and in the form whatever of its credentials travels there.
pub(super) fn form_of(client: &ClientAuthentication<'_>, form: &mut Serializer<'_, String>) -> HeaderMap {
    let mut headers = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"))]);
    match client {
        ClientAuthentication::SecretBasic { client, secret } => {
            headers.extend(basic(client, secret).map(|value| (AUTHORIZATION, value)));
        }
        ClientAuthentication::PrivateKeyJwt { client, assertion } => {
            form.append_pair("client_id", client)
                .append_pair("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer")
                .append_pair("client_assertion", assertion);
        }
    }
    headers
}

/// RFC 6749 §2.3.1: both halves form-encoded, then base64. The header is marked so that nothing prints it.
fn basic(client: &str, secret: &str) -> Option<HeaderValue> {
    let encode = |text: &str| byte_serialize(text.as_bytes()).collect::<String>();
    let pair = Zeroizing::new(format!("{}:{}", encode(client), encode(secret)));
    let mut value = HeaderValue::try_from(format!("Basic {}", STANDARD.encode(pair.as_bytes()))).ok()?;
    value.set_sensitive(true);
    Some(value)
}

#[derive(Deserialize)]
struct Answer {
    access_token: String,
    expires_in: u64,
    narrows: Narrows,
}

#[derive(Deserialize)]
struct Narrows {
    task: String,
    #[serde(flatten)]
    recorded: Body,
}

#[cfg(test)]
mod tests {
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use narrows_verifier::{
        json::{Limits, parse},
        log::{BlockId, Checkpoint, Kind, Leaf, PackDigest, Receipt, Salt, TraceId, commit, leaf_hash, signature_line},
        proof::{HolderClaims, check_holder},
        token_text,
    };

    use sha2::{Digest as _, Sha256};

    use super::{super::keys::tests::log_key, *};
    use crate::tests::{AUDIENCE, ENTRY, ISSUER, NOW, TASK, caveats, mint, root};

    fn keys() -> IssuerKeys {
        IssuerKeys { roots: root().into(), log: log_key(), feed: Vec::new(), dev: false }
    }

    fn request(holder: &HolderKey) -> ExchangeRequest<'_> {
        ExchangeRequest {
            subject_token: "login",
            subject_token_type: ID_TOKEN,
            client: ClientAuthentication::SecretBasic { client: "plan:ner", secret: "se cret+" },
            holder,
            audience: AUDIENCE,
            tools: Tools::from_json(&parse(br#"["crm.read"]"#, Limits::CAVEATS).unwrap()).unwrap(),
            caveats: caveats(r#"[{"kind":"depth","max":2}]"#),
            agent: "planner",
            expires_in: Some(600),
        }
    }

    /// The issuer's answer for a token of `mint`, in a log of one leaf.
    fn answer(change: impl Fn(&mut Leaf), token: &[u8]) -> serde_json::Value {
        use ed25519_dalek::{Signer as _, SigningKey};
        let blocks = UnverifiedToken::from_bytes(&mint("[]", false)).unwrap().verify(&root().into()).unwrap().block_ids();
        let hidden = commit(&Salt::new([1; 16]), "chain/0", &Value::Null);
        let mut leaf = Leaf {
            t_ms: NOW * 1000,
            task: Some(TASK),
            pack: Some(PackDigest([1; 32])),
            chain: vec![hidden],
            fields: ["audience", "client", "tools"].map(|name| (name.to_owned(), hidden)).into(),
            blocks,
            ..Leaf::draft(Kind::Mint, ENTRY, TraceId::new([0; 16]))
        };
        change(&mut leaf);
        let leaf = leaf.to_bytes().unwrap();
        let text = Checkpoint { origin: log_key().name().to_owned(), size: 1, root: leaf_hash(&leaf) }.to_string();
        let signature = SigningKey::from_bytes(&[20; 32]).sign(text.as_bytes()).to_bytes();
        let checkpoint = format!("{text}\n{}", signature_line(&log_key(), &signature));
        let receipt = Receipt { index: 0, proof: Vec::new(), checkpoint: &checkpoint }.encode();
        serde_json::json!({
            "access_token": token_text(token), "token_type": "narrows", "expires_in": 600,
            "narrows": {"task": TASK.to_string(), "entry": ENTRY.to_string(), "leaf": STANDARD.encode(&leaf), "receipt": receipt},
        })
    }

    fn check(answer: &serde_json::Value, holder: u8) -> Result<ExchangeAnswer, Option<Reason>> {
        let holder = HolderKey::of(holder);
        ExchangeAnswer::check(answer.to_string().as_bytes(), &request(&holder), &keys()).map_err(|error| error.reason())
    }

    #[test]
    fn a_sound_answer_is_accepted_whole() {
        let answer = check(&answer(|_| {}, &mint("[]", false)), 11).ok().unwrap();
        assert_eq!((answer.task, answer.recorded.entry, answer.expires_in), (TASK, ENTRY, 600));
    }

    #[test]
    fn an_answer_that_does_not_hold_is_refused() {
        let token = mint("[]", false);
        let good = answer(|_| {}, &token);
        assert_eq!(check(&good, 12).err(), Some(Some(Reason::PeerAnswer)), "bound to another key");
        let changed = |pointer: &str, value: String| {
            let mut answer = good.clone();
            *answer.pointer_mut(pointer).unwrap() = value.into();
            check(&answer, 11).err().unwrap()
        };
        assert_eq!(changed("/narrows/task", "0".repeat(32)), Some(Reason::PeerAnswer));
        assert_eq!(changed("/narrows/entry", "0".repeat(32)), Some(Reason::ReceiptOtherToken));
        assert_eq!(changed("/narrows/receipt", String::new()), Some(Reason::ReceiptMalformed));
        assert_eq!(changed("/narrows/leaf", STANDARD.encode(b"{}")), Some(Reason::InclusionProof));
        assert_eq!(changed("/access_token", "AAAA".into()), Some(Reason::TokenMalformed));
        let leaves: [&dyn Fn(&mut Leaf); 4] = [
            &|leaf| leaf.blocks = vec![BlockId([9; 32])],
            &|leaf| leaf.kind = Kind::Other("mint2".to_owned()),
            &|leaf| leaf.task = Some(TaskId([9; 16])),
            &|leaf| leaf.id = narrows_verifier::EntryId([9; 16]),
        ];
        for change in leaves {
            assert_eq!(check(&answer(change, &token), 11).err(), Some(Some(Reason::ReceiptOtherToken)));
        }
        // a receipt of the same entry and task for a token with other caveats
        let other = mint(r#"[{"kind":"depth","max":1}]"#, false);
        assert!(check(&answer(|_| {}, &other), 11).is_err());
    }

    #[test]
    fn the_request_proves_the_key_and_hides_the_secret_in_the_header() {
        let holder = HolderKey::of(11);
        let (headers, form) = request(&holder).encode(ISSUER, NOW);
        let fields: std::collections::BTreeMap<_, _> = form_urlencoded::parse(form.as_bytes()).into_owned().collect();
        let claims = HolderClaims { issuer: ISSUER, client: "plan:ner", subject_digest: Sha256::digest("login").into() };
        assert!(check_holder(&fields["holder_proof"], &claims, &holder.public(), NOW).is_ok());
        assert!(URL_SAFE_NO_PAD.decode(&fields["req_cnf"]).is_ok());
        let details = r#"[{"agent":"planner","caveats":[{"kind":"depth","max":2}],"tools":["crm.read"],"type":"narrows"}]"#;
        assert_eq!(fields["authorization_details"], details);
        let basic = headers[AUTHORIZATION].to_str().unwrap().strip_prefix("Basic ").unwrap();
        assert_eq!(STANDARD.decode(basic).unwrap(), b"plan%3Aner:se+cret%2B");
        assert!(headers[AUTHORIZATION].is_sensitive() && !form.contains("se+cret"));
        let signed =
            ExchangeRequest { client: ClientAuthentication::PrivateKeyJwt { client: "batch", assertion: "a.b.c" }, ..request(&holder) };
        let (headers, form) = signed.encode(ISSUER, NOW);
        assert!(!headers.contains_key(AUTHORIZATION) && form.contains("client_assertion=a.b.c") && form.contains("client_id=batch"));
    }
}
