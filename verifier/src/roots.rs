//! The issuer keys that a verifier trusts, and what each may have signed at which time.

use sha2::{Digest, Sha256};

use crate::{PublicKey, Reason, VerifiedToken};

/// A key that signs authority blocks, with its state and the times at which it may have done so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RootKey {
    /// The key's number, which tokens carry as `rootKeyId`.
    pub id: u32,
    /// The public key.
    pub key: PublicKey,
    /// Where the key stands in its life.
    pub state: RootState,
    /// Seconds since the Unix epoch before which it signed no token.
    pub not_before: u64,
    /// Seconds since the Unix epoch after which it signed no token; `None` while no end is set.
    pub not_after: Option<u64>,
    /// Of a tainted key: the index in the issuer's log below which the leaves of its good tokens lie. Whoever shows by witnessed
    /// receipts that a token was made before is spared; see [`verify_spared`](crate::log::verify_spared).
    pub spared_below: Option<u64>,
}

/// Where a root key stands in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RootState {
    /// Published ahead, so that verifiers know it before its first use.
    Prepared,
    /// Signing.
    Active,
    /// No longer signing; what it signed lives out its own expiry. It has an end.
    Retired,
    /// Perhaps in other hands: nothing that it signed is accepted, however old the token says it is.
    Tainted,
}

/// A bounded set of root keys, one number and one key each.
///
/// It never changes; rotation replaces it as a whole, and then [`Roots::epoch`] differs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Roots {
    /// In the order of their numbers.
    keys: Vec<RootKey>,
    epoch: u64,
}

impl RootKey {
    /// An active key without bounds in time.
    ///
    /// For a key that is pinned by hand and for tests; a published key has a beginning.
    pub fn active(id: u32, key: PublicKey) -> Self {
        Self { id, key, state: RootState::Active, not_before: 0, not_after: None, spared_below: None }
    }

    /// Whether the key may have signed a token that says it was issued then.
    ///
    /// The time is the signer's word. So this bounds honest issuers, and against a thief of the key only `Tainted` helps.
    pub(crate) fn accepts(&self, issued: u64) -> Result<(), Reason> {
        let within = self.not_before <= issued && self.not_after.is_none_or(|end| issued <= end);
        match self.state {
            RootState::Tainted => Err(Reason::RootTainted),
            RootState::Prepared | RootState::Active | RootState::Retired if within => Ok(()),
            RootState::Prepared | RootState::Active | RootState::Retired => Err(Reason::RootNotValid),
        }
    }
}

impl RootState {
    /// The name in `/.well-known/narrows-keys`.
    pub const fn name(self) -> &'static str {
        match self {
            RootState::Prepared => "prepared",
            RootState::Active => "active",
            RootState::Retired => "retired",
            RootState::Tainted => "tainted",
        }
    }

    /// The state of this name.
    pub fn from_name(name: &str) -> Option<Self> {
        [RootState::Prepared, RootState::Active, RootState::Retired, RootState::Tainted].into_iter().find(|state| state.name() == name)
    }
}

impl Roots {
    /// The set of these keys, in any order. An empty set accepts no token.
    ///
    /// # Errors
    /// `ROOT_SET` for more than 64 keys, for a number or a key that occurs twice, for an end before the beginning and for
    /// a retired key without an end, and for tokens that are spared though the key is not tainted.
    pub fn new(mut keys: Vec<RootKey>) -> Result<Self, Reason> {
        if keys.len() > MAX_KEYS {
            return Err(Reason::RootSet);
        }
        keys.sort_by_key(|root| root.id);
        let ordered = keys.is_sorted_by(|one, next| one.id < next.id);
        // a token's `rootKeyId` is not signed: under a second number a tainted key would be good again
        let distinct = keys.iter().enumerate().all(|(index, root)| keys.iter().take(index).all(|other| other.key != root.key));
        let sound = keys.iter().all(|root| match root.not_after {
            Some(end) => root.not_before <= end,
            None => root.state != RootState::Retired,
        });
        let sound = sound && keys.iter().all(|root| root.spared_below.is_none() || root.state == RootState::Tainted);
        if ordered && distinct && sound { Ok(Self { epoch: epoch(&keys), keys }) } else { Err(Reason::RootSet) }
    }

    /// The keys in the order of their numbers.
    pub fn keys(&self) -> &[RootKey] {
        &self.keys
    }

    /// Names the content of the set: equal for equal sets on every machine, and another one after any change.
    ///
    /// A cache of verified tokens keeps it with each entry. It is 64 bits of a hash over keys that the verifier's operator
    /// trusts, so it tells changes apart and is no defence against someone who chooses the keys.
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// Whether a token that was verified under another set would verify under this one. Costs no cryptography.
    ///
    /// For whoever keeps verified tokens, or takes long between verification and decision: a key may have been tainted
    /// meanwhile.
    ///
    /// # Errors
    /// `UNKNOWN_ROOT`, `ROOT_TAINTED` or `ROOT_NOT_VALID`.
    pub fn admit(&self, token: &VerifiedToken) -> Result<(), Reason> {
        let root = self.find(token.root.id)?;
        if root.key == token.root.key { root.accepts(token.authority.issued) } else { Err(Reason::UnknownRoot) }
    }

    /// The key of this number, unless nothing of it is accepted at all. Costs no cryptography.
    pub(crate) fn find(&self, id: u32) -> Result<&RootKey, Reason> {
        let found = self.keys.binary_search_by_key(&id, |root| root.id).ok();
        let root = found.and_then(|index| self.keys.get(index)).ok_or(Reason::UnknownRoot)?;
        if root.state == RootState::Tainted { Err(Reason::RootTainted) } else { Ok(root) }
    }
}

impl From<RootKey> for Roots {
    /// The set of one key; of a retired key without an end or one whose end precedes its beginning, the empty set.
    fn from(root: RootKey) -> Self {
        Self::new(vec![root]).unwrap_or_default()
    }
}

fn epoch(keys: &[RootKey]) -> u64 {
    let mut hash = Sha256::new();
    hash.update(EPOCH_TAG);
    for root in keys {
        // every part has a fixed length
        hash.update(root.id.to_be_bytes());
        hash.update(root.key.as_bytes());
        hash.update([root.state as u8]);
        hash.update(root.not_before.to_be_bytes());
        hash.update([u8::from(root.not_after.is_some())]);
        hash.update(root.not_after.unwrap_or(0).to_be_bytes());
        hash.update([u8::from(root.spared_below.is_some())]);
        hash.update(root.spared_below.unwrap_or(0).to_be_bytes());
    }
    let digest: [u8; 32] = hash.finalize().into();
    let [a, b, c, d, e, f, g, h, ..] = digest;
    u64::from_be_bytes([a, b, c, d, e, f, g, h])
}

const MAX_KEYS: usize = 64;
const EPOCH_TAG: &[u8] = b"narrows/roots/1";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::public_key;

    fn root(id: u32) -> RootKey {
        let mut seed = [0; 32];
        seed[..4].copy_from_slice(&id.to_be_bytes());
        RootKey { not_before: 100, not_after: Some(200), ..RootKey::active(id, public_key(&seed)) }
    }

    #[test]
    fn a_key_accepts_only_what_was_issued_within_its_bounds() {
        for state in [RootState::Prepared, RootState::Active, RootState::Retired] {
            let root = RootKey { state, ..root(1) };
            for (issued, answer) in [(99, Err(Reason::RootNotValid)), (100, Ok(())), (200, Ok(())), (201, Err(Reason::RootNotValid))] {
                assert_eq!(root.accepts(issued), answer, "{state:?} {issued}");
            }
        }
        let endless = RootKey { not_after: None, ..root(1) };
        assert_eq!(endless.accepts(u64::MAX), Ok(()));
    }

    #[test]
    fn a_tainted_key_accepts_nothing() {
        let tainted = RootKey { state: RootState::Tainted, ..root(1) };
        assert_eq!(tainted.accepts(150), Err(Reason::RootTainted));
        assert_eq!(Roots::from(tainted).find(1), Err(Reason::RootTainted));
        let sparing = RootKey { spared_below: Some(9), ..tainted };
        assert_eq!(sparing.accepts(150), Err(Reason::RootTainted), "without the receipts");
        assert_eq!(Roots::from(sparing).find(1), Err(Reason::RootTainted), "without the receipts");
    }

    #[test]
    fn an_unknown_number_finds_no_key() {
        assert_eq!(Roots::default().find(1), Err(Reason::UnknownRoot));
        assert_eq!(Roots::from(root(1)).find(2), Err(Reason::UnknownRoot));
        assert_eq!(Roots::from(root(1)).find(1), Ok(&root(1)));
    }

    #[test]
    fn a_set_with_two_readings_or_without_bound_is_refused() {
        let twin = RootKey { key: root(1).key, ..root(2) };
        let backwards = RootKey { not_before: 201, ..root(1) };
        let endless = RootKey { state: RootState::Retired, not_after: None, ..root(1) };
        let sparing = RootKey { spared_below: Some(5), ..root(1) };
        for keys in
            [vec![sparing], vec![root(1), root(1)], vec![root(1), twin], vec![backwards], vec![endless], (0..65).map(root).collect()]
        {
            assert_eq!(Roots::new(keys).err(), Some(Reason::RootSet));
        }
        assert_eq!(Roots::new((0..64).map(root).collect()).map(|roots| roots.keys().len()), Ok(64));
        assert_eq!(Roots::from(endless), Roots::default());
    }

    #[test]
    fn the_epoch_is_equal_for_equal_sets_and_differs_after_every_change() {
        let set = |keys: &[RootKey]| Roots::new(keys.to_vec()).unwrap();
        assert_eq!(set(&[root(1), root(2)]), set(&[root(2), root(1)]));
        let variants = [
            set(&[]),
            set(&[root(1)]),
            set(&[root(1), root(2)]),
            set(&[RootKey { id: 3, ..root(1) }]),
            set(&[RootKey { key: root(3).key, ..root(1) }]),
            set(&[RootKey { state: RootState::Prepared, ..root(1) }]),
            set(&[RootKey { state: RootState::Retired, ..root(1) }]),
            set(&[RootKey { state: RootState::Tainted, ..root(1) }]),
            set(&[RootKey { state: RootState::Tainted, spared_below: Some(0), ..root(1) }]),
            set(&[RootKey { state: RootState::Tainted, spared_below: Some(1), ..root(1) }]),
            set(&[RootKey { not_before: 0, ..root(1) }]),
            set(&[RootKey { not_after: None, ..root(1) }]),
            set(&[RootKey { not_after: Some(201), ..root(1) }]),
        ];
        let mut epochs: Vec<_> = variants.iter().map(Roots::epoch).collect();
        epochs.sort_unstable();
        epochs.dedup();
        assert_eq!(epochs.len(), variants.len());
    }

    #[test]
    fn a_state_has_one_name() {
        for state in [RootState::Prepared, RootState::Active, RootState::Retired, RootState::Tainted] {
            assert_eq!(RootState::from_name(state.name()), Some(state));
        }
        assert_eq!(RootState::from_name("retiring"), None);
    }
}
