//! The test vectors: their format, and every case with the answer that a verifier must give.
//!
//! Answers are written by hand or come from [`crate::tokens`]; none is what the verifier happened to say. The files lie in
//! `tests/vectors/`, whose README describes them for other languages.

mod accept;
mod arguments;
mod attacks;
mod bundle;
mod caveats;
mod costs;
mod decisions;
mod dpop;
mod feed;
mod guard;
mod kinds;
mod malformed;
mod matchers;
mod principals;
mod proofs;
mod sessions;
mod spared;
mod spellings;
mod stateful;
mod text_rules;
mod trust;
mod url_rule;

use std::{collections::BTreeMap, path::PathBuf};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use narrows_verifier::EarlierActor;
use serde::{Deserialize, Serialize};

pub use bundle::{BundleAnswer, BundleVector};
pub use caveats::documented;
pub use dpop::{DpopAnswer, DpopHolder, DpopRequest, DpopVector};
pub use sessions::{SessionAnswer, SessionCall, SessionSeeds, SessionVector};
pub use spared::{SparedAnswer, SparedVector};
pub use stateful::{DirectiveText, StateText};

use crate::tokens;

/// One case.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase", deny_unknown_fields)]
pub enum Vector {
    /// A token, and with a call what becomes of it.
    Token(TokenVector),
    /// The text of a call's arguments.
    Args(ArgsVector),
    /// The JSON of one caveat.
    Caveat(CaveatVector),
    /// A holder's statement of one of three kinds.
    Proof(ProofVector),
    /// The opening of a session, its acceptance, and proofs of calls.
    Session(SessionVector),
    /// A DPoP proof.
    Dpop(DpopVector),
    /// A snapshot of the revocation feed, and with a token whether it stands.
    Feed(FeedVector),
    /// A bundle of evidence.
    Bundle(BundleVector),
    /// A token of a key that was given up, with receipts of before.
    Spared(SparedVector),
}

/// A token, and with a call what becomes of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TokenVector {
    /// What the case shows.
    pub about: String,
    /// The token's text.
    pub token: String,
    /// The issuer keys that the verifier trusts.
    pub roots: Vec<Root>,
    /// The call to decide on; without one the case ends with the verified token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub call: Option<CallText>,
    /// The presenter's proof of possession for the call.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proof: Option<ProofText>,
    /// The answer.
    pub expect: TokenAnswer,
}

/// A trusted issuer key.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Root {
    /// Its number.
    pub id: u32,
    /// Its 32 bytes in hex.
    pub key: String,
    /// Where it stands in its life; active when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
    /// Seconds since the Unix epoch before which it signed nothing; the epoch when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_before: Option<u64>,
    /// Seconds since the Unix epoch after which it signed nothing; no end when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_after: Option<u64>,
    /// Of a tainted key: the index of the issuer's log below which tokens are spared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spared_below: Option<u64>,
}

/// A call as it arrives.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CallText {
    /// The tool's name.
    pub tool: String,
    /// The arguments' JSON text.
    pub arguments_text: String,
    /// Who decides.
    pub audience: String,
    /// Seconds since the Unix epoch.
    pub time: u64,
    /// What the verifier knows beside the call; nothing when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<StateText>,
}

/// A proof and when it is looked at.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProofText {
    /// The statement.
    pub text: String,
    /// Seconds since the Unix epoch.
    pub now: u64,
}

/// Yes or no.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// The verifier accepts.
    Allow,
    /// The verifier refuses.
    Deny,
}

/// What a verifier must answer to a token.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TokenAnswer {
    /// Yes or no.
    pub verdict: Verdict,
    /// The code of the refusal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The block to blame, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub block: Option<usize>,
    /// The ids of all blocks, when the chain verified, whatever became of the call.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub block_ids: Vec<String>,
    /// The newest holder's key in hex, when the chain verified and names one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub holder: Option<String>,
    /// The thumbprint of the newest holder's key in hex, when the chain verified and names that alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub holder_jkt: Option<String>,
    /// Whether it is bound to no key, when the chain verified.
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    pub bearer: bool,
    /// Those through whom the subject's authority came, when the chain verified.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub actors: Vec<ActorText>,
    /// The ids of the blocks that the token says it was made from, when the chain verified.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lineage: Vec<String>,
}

/// Somebody through whom an authority came: whose name the issuer attests, or a delegator chose.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum ActorText {
    /// By the issuer's word.
    Attested(String),
    /// By the word of whoever comes before.
    Named {
        /// The name.
        named: String,
    },
}

impl From<&EarlierActor> for ActorText {
    fn from(actor: &EarlierActor) -> Self {
        let name = actor.name.clone();
        if actor.attested { Self::Attested(name) } else { Self::Named { named: name } }
    }
}

/// The text of a call's arguments.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ArgsVector {
    /// What the case shows.
    pub about: String,
    /// The JSON text.
    pub text: String,
    /// The answer.
    pub expect: ArgsAnswer,
}

/// What becomes of an arguments text.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged, deny_unknown_fields)]
pub enum ArgsAnswer {
    /// It is read.
    Read {
        /// The canonical text.
        canonical: String,
        /// SHA-256 over the canonical text, in hex.
        digest: String,
    },
    /// It is refused.
    Refused {
        /// The code of the refusal.
        reason: String,
    },
}

/// The JSON of one caveat.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CaveatVector {
    /// What the case shows.
    pub about: String,
    /// The caveat's JSON text.
    pub json: String,
    /// The answer.
    pub expect: CaveatAnswer,
}

/// What becomes of a caveat's text.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged, deny_unknown_fields)]
pub enum CaveatAnswer {
    /// It is read.
    Read {
        /// Its canonical JSON.
        canonical: String,
        /// The Datalog check that a block carries for it.
        check: String,
        /// The sentence for people.
        sentence: String,
    },
    /// It is refused.
    Refused {
        /// The code of the refusal.
        reason: String,
    },
}

/// A holder's statement.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProofVector {
    /// What the case shows.
    pub about: String,
    /// The statement.
    pub text: String,
    /// When it is looked at, in seconds since the Unix epoch.
    pub now: u64,
    /// The keys that may have signed, in hex: one, or two for a report.
    pub signers: Vec<String>,
    /// What the verifier at hand expects it to say.
    pub claims: Claims,
    /// The answer.
    pub expect: ProofAnswer,
}

/// What a statement must say, by its kind.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "of", rename_all = "lowercase", deny_unknown_fields)]
pub enum Claims {
    /// Proof of possession for one call.
    Possession {
        /// The newest block's id in hex.
        block: String,
        /// The tool's name.
        tool: String,
        /// The digest of the arguments in hex.
        args_digest: String,
        /// Who decides.
        audience: String,
    },
    /// Proof of the holder's key in a token request.
    Holder {
        /// The issuer's identifier.
        issuer: String,
        /// The client's id.
        client: String,
        /// SHA-256 over the subject token in hex.
        subject_digest: String,
    },
    /// Proof of the origin of a reported hop.
    Report {
        /// The issuer's identifier.
        issuer: String,
        /// The newest block's id in hex.
        block: String,
    },
    /// Consent to a narrower token made by the service.
    Narrow {
        /// The issuer's identifier.
        issuer: String,
        /// The client's id.
        client: String,
        /// The newest block's id in hex.
        block: String,
        /// The thumbprint of the new holder's key in hex.
        new_holder: String,
        /// The request's parameters in order, names and values.
        parameters: Vec<(String, String)>,
    },
    /// Proof that the holder, or the delegator, wants a hop to end.
    Revoke {
        /// The issuer's identifier.
        issuer: String,
        /// The hop's block id in hex.
        block: String,
    },
}

/// What becomes of a statement.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged, deny_unknown_fields)]
pub enum ProofAnswer {
    /// It is accepted.
    Accepted {
        /// The key under which it is remembered, in hex.
        replay_key: String,
        /// Until when it is remembered.
        forget_after: u64,
    },
    /// It is refused.
    Refused {
        /// The code of the refusal.
        reason: String,
    },
}

/// A snapshot of the revocation feed, and with a token whether it stands.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FeedVector {
    /// What the case shows.
    pub about: String,
    /// The snapshot's text.
    pub text: String,
    /// The issuer's feed key in hex.
    pub feed_key: String,
    /// The issuer that the verifier asked.
    pub issuer: String,
    /// The text of the snapshot that the verifier trusts so far.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous: Option<String>,
    /// When it is loaded, in seconds since the Unix epoch.
    pub now: u64,
    /// A token to look up; without one the case ends with the loaded snapshot.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub check: Option<FeedCheck>,
    /// The answer.
    pub expect: FeedAnswer,
}

/// A token that verifies and is looked up in a snapshot.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FeedCheck {
    /// The token's text.
    pub token: String,
    /// The issuer keys that the verifier trusts.
    pub roots: Vec<Root>,
    /// The class of the tool that is called.
    pub class: String,
    /// When, in seconds since the Unix epoch.
    pub now: u64,
}

/// What becomes of a snapshot or of the token under it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FeedAnswer {
    /// Yes or no.
    pub verdict: Verdict,
    /// The code of the refusal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// Every case by the name of its file, without `.json`.
pub fn all() -> BTreeMap<String, Vector> {
    let mut cases = Cases::default();
    accept::cases(&mut cases);
    decisions::cases(&mut cases);
    costs::cases(&mut cases);
    kinds::cases(&mut cases);
    matchers::cases(&mut cases);
    text_rules::cases(&mut cases);
    url_rule::cases(&mut cases);
    stateful::cases(&mut cases);
    attacks::cases(&mut cases);
    guard::cases(&mut cases);
    arguments::cases(&mut cases);
    caveats::cases(&mut cases);
    spellings::cases(&mut cases);
    malformed::cases(&mut cases);
    proofs::cases(&mut cases);
    sessions::cases(&mut cases);
    dpop::cases(&mut cases);
    trust::cases(&mut cases);
    principals::cases(&mut cases);
    feed::cases(&mut cases);
    bundle::cases(&mut cases);
    spared::cases(&mut cases);
    cases.0
}

/// The text of a vector's file.
pub fn file_text(vector: &Vector) -> String {
    serde_json::to_string_pretty(vector).unwrap() + "\n"
}

/// Where the files lie.
pub fn folder() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/vectors"))
}

/// Cases as they are collected; a name is used once.
#[derive(Default)]
struct Cases(BTreeMap<String, Vector>);

impl Cases {
    fn add(&mut self, name: &str, vector: Vector) {
        assert!(self.0.insert(name.to_owned(), vector).is_none(), "two cases are called `{name}`");
    }

    /// A token that verifies, for the holder that it must name.
    fn verified(&mut self, name: &str, about: &str, token: &[u8], holder: &tokens::Party) {
        self.add(name, Vector::Token(token_vector(about, token, answer(Verdict::Allow).of(token, holder))));
    }

    /// A token that is refused before any call is looked at.
    fn refused(&mut self, name: &str, about: &str, token: &[u8], reason: &str, block: Option<usize>) {
        self.add(name, Vector::Token(token_vector(about, token, answer(Verdict::Deny).because(reason, block))));
    }

    /// A call that a token permits.
    fn permitted(&mut self, name: &str, about: &str, token: &[u8], holder: &tokens::Party, call: CallText) {
        let vector = token_vector(about, token, answer(Verdict::Allow).of(token, holder));
        self.add(name, Vector::Token(TokenVector { call: Some(call), ..vector }));
    }

    /// A call that a verified token does not permit.
    fn denied(
        &mut self,
        name: &str,
        about: &str,
        token: &[u8],
        holder: &tokens::Party,
        call: CallText,
        (reason, block): (&str, Option<usize>),
    ) {
        let vector = token_vector(about, token, answer(Verdict::Deny).because(reason, block).of(token, holder));
        self.add(name, Vector::Token(TokenVector { call: Some(call), ..vector }));
    }
}

impl FeedAnswer {
    /// The snapshot is loaded, and the token stands.
    pub const ACCEPTED: FeedAnswer = FeedAnswer { verdict: Verdict::Allow, reason: None };

    /// A refusal with this code.
    pub fn refused(reason: &str) -> Self {
        Self { verdict: Verdict::Deny, reason: Some(reason.to_owned()) }
    }
}

impl Root {
    fn active(id: u32, key: String) -> Self {
        Self { id, key, state: None, not_before: None, not_after: None, spared_below: None }
    }
}

impl TokenAnswer {
    fn because(self, reason: &str, block: Option<usize>) -> Self {
        Self { reason: Some(reason.to_owned()), block, ..self }
    }

    fn of(self, token: &[u8], holder: &tokens::Party) -> Self {
        Self { block_ids: tokens::block_ids(token), holder: Some(holder.hex()), ..self }
    }
}

fn answer(verdict: Verdict) -> TokenAnswer {
    TokenAnswer {
        verdict,
        reason: None,
        block: None,
        block_ids: Vec::new(),
        holder: None,
        holder_jkt: None,
        bearer: false,
        actors: Vec::new(),
        lineage: Vec::new(),
    }
}

fn token_vector(about: &str, token: &[u8], expect: TokenAnswer) -> TokenVector {
    let roots = tokens::roots().keys().iter().map(|root| Root::active(root.id, tokens::hex(root.key.as_bytes()))).collect();
    TokenVector { about: about.to_owned(), token: URL_SAFE_NO_PAD.encode(token), roots, call: None, proof: None, expect }
}

/// A call at the sample audience, an hour before the sample tokens expire.
fn call(tool: &str, arguments: &str) -> CallText {
    let (tool, arguments_text, audience) = (tool.to_owned(), arguments.to_owned(), tokens::AUDIENCE.to_owned());
    CallText { tool, arguments_text, audience, time: tokens::NOW, state: None }
}
