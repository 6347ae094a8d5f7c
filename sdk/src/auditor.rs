//! The log as an auditor reads it over HTTP: every proof is checked here, and what was seen once must stay true.

use core::time::Duration;

use base64::{Engine, engine::general_purpose::STANDARD};
use http::{
    HeaderMap, HeaderValue,
    header::{AUTHORIZATION, CONTENT_TYPE},
};
use narrows_verifier::{
    EntryId, Reason,
    json::{self, Limits},
    log::{
        Bundle, BundleRefusal, Checkpoint, Hash, Kept, LogRefusal, MAX_LEAF_BYTES, PackDigest, Receipt, Selection, TILE_WIDTH, TileKind,
        TilePath, VerifiedBundle, VerifierKey, verify, verify_inclusion,
    },
};
use serde::Deserialize;
use zeroize::Zeroizing;

use crate::http::{Http, Origin};
use crate::issuer::{IssuerError, success};

/// Reads one log under a pinned key. It keeps the largest checkpoint seen and refuses whatever contradicts it.
///
/// Answers are bounded to 8 MiB (a bundle of entries: what 256 leaves can be) and 20 seconds. No error text holds the credential.
pub struct AuditorClient {
    http: Http,
    credential: Option<Zeroizing<String>>,
    key: VerifierKey,
    kept: Option<Kept>,
}

/// Where a log stands, by its own word but for the signed checkpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogHead {
    /// The signed checkpoint, verified and consistent with all that was seen before.
    pub checkpoint: Kept,
    /// The first leaf that can still be had.
    pub minimum_index: u64,
    /// The time of the newest leaf in milliseconds since 1970.
    pub t_ms: String,
    /// The policy on what the log keeps: its text, which has the digest that the log gives.
    pub policy: Option<String>,
    /// The digest of the policy under which something has gone, where it has.
    pub applied: Option<PackDigest>,
}

/// A range of leaves that the service has recorded as being read, so that its bundles are handed out under that one record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogReading {
    /// The signed checkpoint up to whose size leaves are handed out, verified and consistent with all that was seen before.
    pub checkpoint: Kept,
    /// The first leaf that is handed out, by the service's word: the log's newest leaf of kind `retention` must say the same.
    pub minimum_index: u64,
    reading: Option<EntryId>,
    /// The first leaf that was not handed out yet.
    next: u64,
    /// The service no longer counts tiles as parts of this reading.
    forgotten: bool,
}

/// A question, as a path, with what the answer must be about.
#[derive(Clone, Debug)]
pub struct Question<'a> {
    /// The path below the issuer, such as `/v1/audit/search`.
    pub path: &'a str,
    /// The query.
    pub pairs: Vec<(&'static str, String)>,
    /// What the answer must say that it was asked for; `None` where the answer decides, as for one entry.
    pub selection: Option<&'a Selection>,
    /// True where the question names an earlier checkpoint itself, so that an older one is no rollback.
    pub earlier: bool,
}

/// Why the log gave nothing that an auditor accepts.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AuditError {
    /// The service refused, or no usable answer came.
    #[error(transparent)]
    Issuer(#[from] IssuerError),
    /// The evidence does not hold.
    #[error(transparent)]
    Evidence(#[from] BundleRefusal),
    /// The log contradicts what it signed before. Both notes together show it to anybody.
    #[error("{refusal}\n\nseen before:\n{kept}\nshown now:\n{shown}")]
    Contradiction {
        /// `AUDIT_ROLLBACK_DETECTED` or `SPLIT_VIEW`.
        refusal: LogRefusal,
        /// The note seen before.
        kept: String,
        /// The note shown now.
        shown: String,
    },
}

impl AuditorClient {
    /// A client of the log whose service is at this address, under the pinned `key`. `kept` is the note of an earlier
    /// session.
    ///
    /// # Errors
    /// `ADDRESS_REFUSED`, or why `kept` is no checkpoint of this log.
    pub fn new(issuer: &str, key: VerifierKey, credential: Option<Zeroizing<String>>, kept: Option<&str>) -> Result<Self, AuditError> {
        let http = Http::new(Origin::parse(issuer).map_err(IssuerError::from)?).map_err(IssuerError::from)?;
        let kept = kept.map(|note| Kept::new(note, std::slice::from_ref(&key))).transpose().map_err(BundleRefusal::from)?;
        Ok(Self { http, credential, key, kept })
    }

    /// The largest checkpoint seen, to be handed to the next session.
    pub const fn kept(&self) -> Option<&Kept> {
        self.kept.as_ref()
    }

    /// Where the log stands.
    ///
    /// # Errors
    /// As [`AuditorClient::ask`].
    pub async fn head(&mut self) -> Result<LogHead, AuditError> {
        let answer: HeadAnswer = self.get("/v1/audit/head").await?;
        let checkpoint = self.observe(&answer.checkpoint).await?;
        let (policy, applied) = match answer.retention {
            None => (None, None),
            Some(stated) => (Some(stated.checked()?), stated.applied),
        };
        Ok(LogHead { checkpoint, minimum_index: answer.minimum_index, t_ms: answer.t_ms, policy, applied })
    }

    /// Asks for evidence and checks all of it.
    ///
    /// # Errors
    /// The service's refusal; the first thing in the evidence that does not hold; a contradiction with what was seen.
    pub async fn ask(&mut self, question: &Question<'_>) -> Result<(Bundle, VerifiedBundle), AuditError> {
        let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(&question.pairs).finish();
        let path = if query.is_empty() { question.path.to_owned() } else { format!("{}?{query}", question.path) };
        let text = String::from_utf8(self.fetch(&path, HeaderMap::new(), MAX_ANSWER).await?)
            .map_err(|_| IssuerError::Answer(Reason::PeerAnswer))?;
        let bundle = Bundle::parse(&text).map_err(BundleRefusal::from)?;
        if question.selection.is_some_and(|asked| *asked != bundle.selection) {
            return Err(IssuerError::Answer(Reason::PeerAnswer).into());
        }
        let verified = bundle.verify(std::slice::from_ref(&self.key))?;
        if !question.earlier {
            self.observe(&bundle.checkpoint).await?;
        }
        Ok((bundle, verified))
    }

    /// A fresh receipt by index or entry id, and the hash of the leaf that it proves: compare it with that of a leaf you hold.
    ///
    /// # Errors
    /// As [`AuditorClient::ask`].
    pub async fn receipt(&mut self, place: LeafPlace<'_>) -> Result<(Hash, String), AuditError> {
        let path = match place {
            LeafPlace::Index(index) => format!("/v1/audit/proof?index={index}"),
            LeafPlace::Entry(entry) => format!("/v1/audit/proof?entry={entry}"),
        };
        let answer: ProofAnswer = self.get(&path).await?;
        let hash = Hash::from_base64(&answer.leaf_hash).ok_or(IssuerError::Answer(Reason::PeerAnswer))?;
        let receipt = Receipt::parse(&answer.receipt).map_err(BundleRefusal::from)?;
        if matches!(place, LeafPlace::Index(index) if index != receipt.index) {
            return Err(IssuerError::Answer(Reason::PeerAnswer).into());
        }
        let signed = self.observe(receipt.checkpoint).await?;
        let Checkpoint { size, root, .. } = signed.checkpoint();
        verify_inclusion(&hash, receipt.index, *size, &receipt.proof, root).map_err(BundleRefusal::from)?;
        Ok((hash, answer.receipt))
    }

    /// Announces a reading of the whole log.
    ///
    /// # Errors
    /// As [`AuditorClient::ask`].
    pub async fn read_all(&mut self) -> Result<LogReading, AuditError> {
        let answer: ReadingAnswer = self.get("/v1/audit/reading").await?;
        let checkpoint = self.observe(&answer.checkpoint).await?;
        let unread = || IssuerError::Answer(Reason::PeerAnswer);
        let reading = answer.reading.map(|id| EntryId::from_hex(&id).ok_or_else(unread)).transpose()?;
        Ok(LogReading { checkpoint, minimum_index: answer.minimum_index, reading, next: 0, forgotten: false })
    }

    /// Announces the rest of a reading anew: a service that was restarted has forgotten it. What was read so far stays good, since
    /// the log must still hold the very checkpoint that the reading is under.
    ///
    /// # Errors
    /// As [`AuditorClient::ask`].
    pub async fn resume(&mut self, reading: &mut LogReading) -> Result<(), AuditError> {
        // The newest checkpoint first: a log that came back shorter is to be called a rollback, not an unknown size.
        self.head().await?;
        let Checkpoint { size, .. } = reading.checkpoint.checkpoint();
        let answer: ReadingAnswer = self.get(&format!("/v1/audit/reading?first={}&size={size}", reading.next)).await?;
        let shown = Kept::new(&answer.checkpoint, std::slice::from_ref(&self.key)).map_err(BundleRefusal::from)?;
        reading.checkpoint.check(&shown, &[]).map_err(contradiction(&reading.checkpoint, &shown))?;
        reading.reading = answer.reading.map(|id| EntryId::from_hex(&id).ok_or(IssuerError::Answer(Reason::PeerAnswer))).transpose()?;
        reading.forgotten = false;
        Ok(())
    }

    /// The bytes of a tile of a reading, unchecked; no more of them than a tile of this kind and width can have.
    ///
    /// # Errors
    /// `PEER_UNREACHABLE`, `PEER_ANSWER`, or the service's refusal.
    pub async fn tile(&mut self, reading: &mut LogReading, path: &TilePath) -> Result<Vec<u8>, AuditError> {
        if path.kind() != TileKind::Entries {
            return self.fetch(&format!("/log/{path}"), HeaderMap::new(), most(path, 32)).await;
        }
        // Each tile would else be a reading of its own: a leaf, and a part of what this credential may ask for.
        if reading.forgotten {
            self.resume(reading).await?;
        }
        let mut headers = HeaderMap::new();
        let part = reading.reading.and_then(|part| HeaderValue::from_str(&part.to_string()).ok());
        if let Some(part) = &part {
            headers.insert(READING, part.clone());
        }
        let answer = self.http.get_with(&format!("/log/{path}"), self.authorized(headers)?, most(path, MAX_LEAF_BYTES + 2)).await;
        let answer = answer.map_err(IssuerError::from)?;
        reading.forgotten = answer.headers.get(READING) != part.as_ref();
        let bytes = success(answer)?;
        reading.next = (path.index() + 1) * u64::from(TILE_WIDTH);
        Ok(bytes)
    }

    /// Has everything erased that is disclosed about a person, by pseudonym, and gives the leaf that records it, with its
    /// verified receipt. It takes an administrator's credential.
    ///
    /// # Errors
    /// As [`AuditorClient::ask`]; `AUDIT_UNAVAILABLE` where it is to be asked again, until which the erasure is not finished.
    pub async fn erase(&mut self, subject: &str, basis: &str) -> Result<(Vec<u8>, String), AuditError> {
        let mut headers = self.authorized(HeaderMap::new())?;
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let body = serde_json::json!({ "subject": subject, "basis": basis }).to_string();
        let answer = self.http.post("/v1/audit/erasures", headers, body).await.map_err(IssuerError::from)?;
        let unread = || IssuerError::Answer(Reason::PeerAnswer);
        let answer: ErasureAnswer = serde_json::from_slice(&success(answer)?).map_err(|_| unread())?;
        let leaf = STANDARD.decode(&answer.leaf).map_err(|_| unread())?;
        verify(&answer.receipt, &leaf, std::slice::from_ref(&self.key)).map_err(BundleRefusal::from)?;
        self.observe(Receipt::parse(&answer.receipt).map_err(BundleRefusal::from)?.checkpoint).await?;
        Ok((leaf, answer.receipt))
    }

    /// The hashes that show the root of the tree of `to` leaves at the size `from`
    /// ([`narrows_verifier::log::prefix_path`]), unchecked: with them, two checkpoints can be compared.
    ///
    /// # Errors
    /// `PEER_UNREACHABLE`, `PEER_ANSWER`, or the service's refusal.
    pub async fn prefix_path(&self, from: u64, to: u64) -> Result<Vec<Hash>, AuditError> {
        hashes(&self.consistency(from, to).await?.path)
    }

    async fn consistency(&self, from: u64, to: u64) -> Result<ConsistencyAnswer, AuditError> {
        self.get(&format!("/v1/audit/consistency?from={from}&to={to}")).await
    }

    /// Believes a checkpoint only as a continuation of the largest one seen, and keeps it.
    async fn observe(&mut self, note: &str) -> Result<Kept, AuditError> {
        let shown = Kept::new(note, std::slice::from_ref(&self.key)).map_err(BundleRefusal::from)?;
        if let Some(kept) = &self.kept {
            let proof = match kept.needs_proof(&shown) {
                true => hashes(&self.consistency(kept.checkpoint().size, shown.checkpoint().size).await?.proof)?,
                false => Vec::new(),
            };
            kept.check(&shown, &proof).map_err(contradiction(kept, &shown))?;
        }
        self.kept = Some(shown.clone());
        Ok(shown)
    }

    async fn get<T: for<'a> Deserialize<'a>>(&self, path: &str) -> Result<T, AuditError> {
        let body = self.fetch(path, HeaderMap::new(), MAX_ANSWER).await?;
        serde_json::from_slice(&body).map_err(|_| IssuerError::Answer(Reason::PeerAnswer).into())
    }

    async fn fetch(&self, path: &str, headers: HeaderMap, most: usize) -> Result<Vec<u8>, AuditError> {
        let answer = self.http.get_with(path, self.authorized(headers)?, most).await.map_err(IssuerError::from)?;
        Ok(success(answer)?)
    }

    fn authorized(&self, mut headers: HeaderMap) -> Result<HeaderMap, AuditError> {
        if let Some(credential) = &self.credential {
            let bearer = Zeroizing::new(format!("Bearer {}", credential.as_str()));
            let mut value = HeaderValue::from_str(&bearer).map_err(|_| IssuerError::Answer(Reason::AuditorAuth))?;
            value.set_sensitive(true);
            headers.insert(AUTHORIZATION, value);
        }
        Ok(headers)
    }
}

/// How a leaf is named.
#[derive(Clone, Copy, Debug)]
pub enum LeafPlace<'a> {
    /// By its position.
    Index(u64),
    /// By its entry id.
    Entry(&'a EntryId),
}

impl AuditError {
    /// The stable reason; `None` when the service gave a code that this version does not know.
    pub fn reason(&self) -> Option<Reason> {
        match self {
            Self::Issuer(error) => error.reason(),
            Self::Evidence(error) => Some(error.refusal.reason),
            Self::Contradiction { refusal, .. } => Some(refusal.reason),
        }
    }

    /// True where the same question may get an answer later ([`IssuerError::is_passing`]): never where evidence does not hold.
    pub fn is_passing(&self) -> bool {
        matches!(self, Self::Issuer(error) if error.is_passing())
    }

    /// After how long the service says that it may be asked again.
    pub const fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Issuer(IssuerError::Refused(refusal)) => refusal.retry_after,
            _ => None,
        }
    }
}

fn contradiction(kept: &Kept, shown: &Kept) -> impl FnOnce(LogRefusal) -> AuditError {
    move |refusal| AuditError::Contradiction { refusal, kept: kept.note().to_owned(), shown: shown.note().to_owned() }
}

/// The most bytes of an answer: a tile of `each` bytes an entry, or a refusal, which may be longer than a short tile.
fn most(path: &TilePath, each: usize) -> usize {
    (usize::from(path.width()) * each).max(MAX_REFUSAL)
}

#[derive(Deserialize)]
struct HeadAnswer {
    checkpoint: String,
    minimum_index: u64,
    t_ms: String,
    retention: Option<StatedPolicy>,
}

#[derive(Deserialize)]
struct StatedPolicy {
    policy: String,
    digest: PackDigest,
    applied: Option<PackDigest>,
}

impl StatedPolicy {
    /// The text, which must be the one canonical text of its digest.
    fn checked(&self) -> Result<String, AuditError> {
        let value = json::parse(self.policy.as_bytes(), POLICY_LIMITS).ok();
        let stated = value.filter(|value| PackDigest(value.digest()) == self.digest && value.canonical() == self.policy);
        stated.map(|_| self.policy.clone()).ok_or(AuditError::Issuer(IssuerError::Answer(Reason::PeerAnswer)))
    }
}

#[derive(Deserialize)]
struct ReadingAnswer {
    reading: Option<String>,
    checkpoint: String,
    #[serde(default)]
    minimum_index: u64,
}

#[derive(Deserialize)]
struct ErasureAnswer {
    leaf: String,
    receipt: String,
}

#[derive(Deserialize)]
struct ProofAnswer {
    leaf_hash: String,
    receipt: String,
}

#[derive(Deserialize)]
struct ConsistencyAnswer {
    proof: Vec<String>,
    path: Vec<String>,
}

fn hashes(texts: &[String]) -> Result<Vec<Hash>, AuditError> {
    let hashes: Option<Vec<Hash>> = texts.iter().take(MAX_PROOF + 1).map(|text| Hash::from_base64(text)).collect();
    hashes.filter(|hashes| hashes.len() <= MAX_PROOF).ok_or(AuditError::Issuer(IssuerError::Answer(Reason::PeerAnswer)))
}

/// A page of evidence is smaller: the service hands out 2 MiB of leaves at most, with 256 proofs.
const MAX_ANSWER: usize = 8 << 20;
/// A refusal is a short JSON object, also where a tile would be shorter.
const MAX_REFUSAL: usize = 64 << 10;
/// Names the reading that a tile is part of, in the request, and in the answer where it was counted as one.
const READING: &str = "narrows-reading";
const POLICY_LIMITS: Limits = Limits { bytes: 16 << 10, depth: 4, values: 256 };
/// Twice the height of the largest tree.
const MAX_PROOF: usize = 128;
