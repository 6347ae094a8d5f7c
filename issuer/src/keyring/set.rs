//! The keys that sign tokens, where each stands in its life, and which step may follow: prepare, activate, retire, taint.
//!
//! One key signs at a time. Whatever is refused here changes nothing.

use std::{cmp::Ordering, path::PathBuf};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use narrows_verifier::{PublicKey, Reason, RootKey, RootState};
use serde::{Deserialize, Serialize};

use crate::keys::root_key_id;

/// All keys of the service's own, in the order in which they came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeySet {
    pub(super) keys: Vec<OwnKey>,
    /// The order that was answered last.
    pub(super) last: Option<Answer>,
}

/// One of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnKey {
    /// As verifiers have it. Its beginning is when it was published.
    pub root: RootKey,
    /// Where its private half is.
    pub file: PathBuf,
}

/// What became of an order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Answer {
    /// The order's id.
    pub order: String,
    /// The reason code of its refusal.
    pub refused: Option<String>,
}

/// One step in the life of one key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "verb", rename_all = "lowercase", deny_unknown_fields)]
pub enum Step {
    /// Publish a key of this file, so that verifiers know it before its first token.
    Prepare {
        /// The file of its private half.
        file: PathBuf,
    },
    /// Sign with it from now on; the key that signed so far is retired.
    Activate {
        /// Its number.
        kid: u32,
    },
    /// Publish it no longer, where nothing that it signed is needed.
    Retire {
        /// Its number.
        kid: u32,
    },
    /// Accept nothing that it signed, from now on.
    Taint {
        /// Its number.
        kid: u32,
        /// The index in the log below which the leaves of tokens lie that verifiers may spare.
        spare_below: Option<u64>,
    },
}

impl Step {
    /// Whether it takes authority away, and so waits for nothing.
    pub const fn gives_up(&self) -> bool {
        matches!(self, Self::Taint { .. })
    }
}

/// Times that the steps obey.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// Seconds for which a key is published before it signs.
    pub overlap_s: u64,
    /// Seconds within which a request that was signed with a key is over.
    pub request_s: u64,
    /// Seconds that a token lives at most.
    pub life_s: u64,
}

impl KeySet {
    /// The set of one key, which signs.
    pub(super) fn of(root: RootKey, file: PathBuf) -> Self {
        Self { keys: vec![OwnKey { root, file }], last: None }
    }

    /// The keys.
    pub fn keys(&self) -> &[OwnKey] {
        &self.keys
    }

    /// The key that signs, unless the last one was given up.
    pub fn signing(&self) -> Option<&OwnKey> {
        self.keys.iter().find(|key| key.root.state == RootState::Active)
    }

    /// What became of the order that was answered last.
    pub fn last(&self) -> Option<&Answer> {
        self.last.as_ref()
    }

    /// Publishes a key.
    pub(super) fn prepare(&mut self, key: PublicKey, file: PathBuf, now_s: u64) -> Result<(), Reason> {
        let id = root_key_id(key.as_bytes());
        if self.keys.iter().any(|known| known.root.id == id) {
            return Err(Reason::KeyState);
        }
        if self.keys.len() >= MAX_OWN_KEYS {
            return Err(Reason::KeySetFull);
        }
        let root = RootKey { state: RootState::Prepared, not_before: now_s, ..RootKey::active(id, key) };
        self.keys.push(OwnKey { root, file });
        Ok(())
    }

    /// Has a published key sign in place of the one that does. Where none does any more, no time of publication is waited for:
    /// verifiers that have not seen the key refuse for some minutes, and without it all do.
    pub(super) fn activate(&mut self, kid: u32, now_s: u64, pace: &Pace) -> Result<(), Reason> {
        let signs = self.signing().is_some();
        let next = self.known(kid)?;
        if next.root.state != RootState::Prepared {
            return Err(Reason::KeyState);
        }
        if signs && now_s < next.root.not_before.saturating_add(pace.overlap_s) {
            return Err(Reason::KeyTooFresh);
        }
        for former in self.keys.iter_mut().filter(|key| key.root.state == RootState::Active) {
            former.root.state = RootState::Retired;
            // A request that has begun is signed with it still.
            former.root.not_after = Some(last_signature(&former.root, now_s, pace));
        }
        self.known(kid)?.root.state = RootState::Active;
        Ok(())
    }

    /// Takes a key out of the set: one that never signed, or whose tokens are all over. A tainted one says so until then, and in
    /// the log for ever.
    pub(super) fn retire(&mut self, kid: u32, now_s: u64, pace: &Pace) -> Result<(), Reason> {
        let key = self.known(kid)?.root;
        match key.state {
            RootState::Active => Err(Reason::KeyState),
            RootState::Retired | RootState::Tainted if !is_over(&key, now_s, pace) => Err(Reason::KeyStillNeeded),
            RootState::Prepared | RootState::Retired | RootState::Tainted => {
                self.keys.retain(|own| own.root.id != kid);
                Ok(())
            }
        }
    }

    /// Gives a key up at once, whatever it did so far. Of one that is given up, fewer tokens can be spared than are, and never more:
    /// who was told that a token is refused has let go of it.
    pub(super) fn taint(&mut self, kid: u32, spare_below: Option<u64>, now_s: u64, pace: &Pace) -> Result<(), Reason> {
        let root = &mut self.known(kid)?.root;
        if root.state == RootState::Tainted {
            match spare_below.cmp(&root.spared_below) {
                Ordering::Equal => return Err(Reason::KeyState),
                Ordering::Greater => return Err(Reason::KeySpareRaised),
                Ordering::Less => {}
            }
        }
        root.state = RootState::Tainted;
        root.spared_below = spare_below;
        root.not_after = Some(root.not_after.unwrap_or(last_signature(root, now_s, pace)));
        Ok(())
    }

    /// The retired keys whose tokens are all over. Whoever still has one of them could write a long life into an old token, so they
    /// do not stay.
    pub(super) fn ended(&self, now_s: u64, pace: &Pace) -> Vec<u32> {
        let retired = self.keys.iter().map(|key| &key.root).filter(|root| root.state == RootState::Retired);
        retired.filter(|root| is_over(root, now_s, pace)).map(|root| root.id).collect()
    }

    /// The key of this number.
    pub(super) fn find(&self, kid: u32) -> Option<&OwnKey> {
        self.keys.iter().find(|key| key.root.id == kid)
    }

    fn known(&mut self, kid: u32) -> Result<&mut OwnKey, Reason> {
        self.keys.iter_mut().find(|key| key.root.id == kid).ok_or(Reason::KeyUnknown)
    }

    /// The text of the state file.
    pub(super) fn text(&self) -> String {
        let keys = self.keys.iter().map(Written::from).collect();
        let file = File { format: FORMAT.to_owned(), keys, last: self.last.clone() };
        // A struct of texts and numbers can always be written.
        serde_json::to_string_pretty(&file).map(|text| text + "\n").unwrap_or_default()
    }

    /// Reads that text.
    ///
    /// # Errors
    /// `KEY_SET_MALFORMED`, also where two keys sign.
    pub fn parse(text: &str) -> Result<Self, Reason> {
        let file: File = serde_json::from_str(text).map_err(|_| Reason::KeySetMalformed)?;
        let keys: Option<Vec<_>> = file.keys.iter().map(Written::read).collect();
        let set = Self { keys: keys.ok_or(Reason::KeySetMalformed)?, last: file.last };
        let signing = set.keys.iter().filter(|key| key.root.state == RootState::Active).count();
        let sound = file.format == FORMAT && signing <= 1 && set.keys.len() <= MAX_OWN_KEYS;
        if sound { Ok(set) } else { Err(Reason::KeySetMalformed) }
    }
}

/// When the last request is over that began while the key signed.
fn last_signature(root: &RootKey, now_s: u64, pace: &Pace) -> u64 {
    now_s.max(root.not_before).saturating_add(pace.request_s)
}

/// Whether no token that was rightly signed with the key can be alive.
fn is_over(root: &RootKey, now_s: u64, pace: &Pace) -> bool {
    root.not_after.is_some_and(|end| end.saturating_add(pace.life_s) < now_s)
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    format: String,
    keys: Vec<Written>,
    last: Option<Answer>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    public_key: String,
    state: String,
    not_before: u64,
    not_after: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    spared_below: Option<u64>,
    file: PathBuf,
}

impl From<&OwnKey> for Written {
    fn from(own: &OwnKey) -> Self {
        Self {
            public_key: URL_SAFE_NO_PAD.encode(own.root.key.as_bytes()),
            state: own.root.state.name().to_owned(),
            not_before: own.root.not_before,
            not_after: own.root.not_after,
            spared_below: own.root.spared_below,
            file: own.file.clone(),
        }
    }
}

impl Written {
    fn read(&self) -> Option<OwnKey> {
        let key = PublicKey::from_bytes(&URL_SAFE_NO_PAD.decode(&self.public_key).ok()?).ok()?;
        let root = RootKey {
            id: root_key_id(key.as_bytes()),
            key,
            state: RootState::from_name(&self.state)?,
            not_before: self.not_before,
            not_after: self.not_after,
            spared_below: self.spared_below,
        };
        Some(OwnKey { root, file: self.file.clone() })
    }
}

const FORMAT: &str = "narrows-issuer-keys/1";
/// A verifier takes 64, those of the configuration among them.
const MAX_OWN_KEYS: usize = 32;

#[cfg(test)]
mod tests {
    use narrows_verifier::public_key;

    use super::*;

    const PACE: Pace = Pace { overlap_s: 100, request_s: 30, life_s: 1_000 };

    fn id(seed: u8) -> u32 {
        root_key_id(public_key(&[seed; 32]).as_bytes())
    }

    fn set() -> KeySet {
        let root = RootKey { not_before: 1, ..RootKey::active(id(1), public_key(&[1; 32])) };
        let mut set = KeySet::of(root, "one.key".into());
        set.prepare(public_key(&[2; 32]), "two.key".into(), 50).unwrap();
        set
    }

    fn states(set: &KeySet) -> Vec<(RootState, u64, Option<u64>)> {
        set.keys.iter().map(|key| (key.root.state, key.root.not_before, key.root.not_after)).collect()
    }

    #[test]
    fn a_key_signs_after_its_time_of_publication_and_the_former_one_is_retired_with_an_end() {
        let mut set = set();
        assert_eq!(states(&set), [(RootState::Active, 1, None), (RootState::Prepared, 50, None)]);
        assert_eq!(set.activate(id(2), 149, &PACE), Err(Reason::KeyTooFresh));
        assert_eq!(set.activate(id(3), 149, &PACE), Err(Reason::KeyUnknown));
        set.activate(id(2), 150, &PACE).unwrap();
        assert_eq!(states(&set), [(RootState::Retired, 1, Some(180)), (RootState::Active, 50, None)]);
        assert_eq!(set.signing().unwrap().root.id, id(2));
        assert_eq!(set.activate(id(2), 300, &PACE), Err(Reason::KeyState));
        assert_eq!(set.activate(id(1), 300, &PACE), Err(Reason::KeyState));
    }

    #[test]
    fn a_retired_key_stays_until_its_longest_token_has_ended() {
        let mut set = set();
        set.activate(id(2), 150, &PACE).unwrap();
        assert_eq!(set.retire(id(1), 180 + 1_000, &PACE), Err(Reason::KeyStillNeeded));
        assert!(set.ended(180 + 1_000, &PACE).is_empty());
        assert_eq!(set.ended(180 + 1_001, &PACE), [id(1)]);
        set.retire(id(1), 180 + 1_001, &PACE).unwrap();
        assert_eq!(set.keys.len(), 1);
        assert_eq!(set.retire(id(2), 9_999, &PACE), Err(Reason::KeyState), "it signs");
    }

    #[test]
    fn a_prepared_key_is_given_up_at_once() {
        let mut set = set();
        set.retire(id(2), 51, &PACE).unwrap();
        assert_eq!(states(&set), [(RootState::Active, 1, None)]);
    }

    #[test]
    fn a_tainted_key_signs_nothing_and_the_next_one_need_not_wait() {
        let mut set = set();
        set.taint(id(1), None, 55, &PACE).unwrap();
        assert!(set.signing().is_none());
        assert_eq!(set.taint(id(1), None, 56, &PACE), Err(Reason::KeyState));
        assert_eq!(set.activate(id(1), 60, &PACE), Err(Reason::KeyState));
        set.activate(id(2), 60, &PACE).unwrap();
        assert_eq!(states(&set), [(RootState::Tainted, 1, Some(85)), (RootState::Active, 50, None)]);
    }

    #[test]
    fn a_tainted_key_stays_published_as_such_until_its_longest_token_has_ended() {
        let mut set = set();
        set.activate(id(2), 150, &PACE).unwrap();
        set.taint(id(2), None, 200, &PACE).unwrap();
        set.taint(id(1), None, 200, &PACE).unwrap();
        assert_eq!(states(&set), [(RootState::Tainted, 1, Some(180)), (RootState::Tainted, 50, Some(230))]);
        assert_eq!(set.retire(id(1), 180 + 1_000, &PACE), Err(Reason::KeyStillNeeded));
        assert_eq!(set.retire(id(2), 180 + 1_001, &PACE), Err(Reason::KeyStillNeeded));
        assert!(set.ended(9_999, &PACE).is_empty(), "only who gave it up says when it goes");
        set.retire(id(1), 180 + 1_001, &PACE).unwrap();
        assert_eq!(set.keys.len(), 1);
    }

    #[test]
    fn a_tainted_key_spares_fewer_tokens_and_never_more() {
        let mut set = set();
        set.taint(id(1), Some(7), 55, &PACE).unwrap();
        assert_eq!(set.taint(id(1), Some(7), 60, &PACE), Err(Reason::KeyState));
        assert_eq!(set.taint(id(1), Some(8), 60, &PACE), Err(Reason::KeySpareRaised));
        set.taint(id(1), Some(6), 60, &PACE).unwrap();
        assert_eq!(set.keys[0].root.spared_below, Some(6));
        assert_eq!(states(&set)[0], (RootState::Tainted, 1, Some(85)), "it ended when it was given up");
        set.taint(id(1), None, 60, &PACE).unwrap();
        assert_eq!(set.taint(id(1), Some(0), 60, &PACE), Err(Reason::KeySpareRaised));
    }

    #[test]
    fn a_key_is_in_the_set_once_and_the_set_has_a_bound() {
        let mut set = set();
        assert_eq!(set.prepare(public_key(&[2; 32]), "again.key".into(), 60), Err(Reason::KeyState));
        for seed in 3..=32 {
            set.prepare(public_key(&[seed; 32]), "more.key".into(), 60).unwrap();
        }
        assert_eq!(set.prepare(public_key(&[33; 32]), "more.key".into(), 60), Err(Reason::KeySetFull));
    }

    #[test]
    fn the_file_reads_back_and_anything_else_is_refused() {
        let mut set = set();
        set.last = Some(Answer { order: "aa".into(), refused: Some("KEY_STATE".into()) });
        set.taint(id(2), Some(7), 60, &PACE).unwrap();
        let text = set.text();
        assert_eq!(KeySet::parse(&text), Ok(set));
        let broken = [
            String::new(),
            text.replace("narrows-issuer-keys/1", "narrows-issuer-keys/2"),
            text.replace("tainted", "active"),
            text.replace("tainted", "gone"),
            text.replace("\"last\"", "\"lost\""),
            text.replace("\"public_key\": \"", "\"public_key\": \"A"),
        ];
        for text in broken {
            assert_eq!(KeySet::parse(&text), Err(Reason::KeySetMalformed), "{text}");
        }
    }
}
