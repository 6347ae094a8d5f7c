//! What a client asks to be minted, and the facts that conditions see of it.

use std::collections::{BTreeMap, BTreeSet};

use narrows_verifier::{
    Caveat, Reason,
    caveat::Tools,
    datalog::{Facts, Predicate, Term},
};

use crate::condition::REQUEST_FACTS;

/// A request for a token, after client and subject have been authenticated.
///
/// It has no `Debug`: subject and claims are personal data, and a log line is where they would end up.
#[derive(Clone)]
pub struct MintRequest {
    /// The authenticated client.
    pub client: String,
    /// The name that the token gives to the first agent.
    pub agent: String,
    /// Who vouches for the subject: the issuer of the subject token.
    pub subject_issuer: String,
    /// The subject, as that issuer names it.
    pub subject: String,
    /// Claims of the verified subject token, by name.
    pub claims: BTreeMap<String, Claim>,
    /// Every audience that the token is to be accepted at.
    pub audiences: BTreeSet<String>,
    /// The tools asked for.
    pub tools: Tools,
    /// Further caveats that the client itself puts on the token. At most 16.
    pub caveats: Vec<Caveat>,
    /// The life asked for, in seconds; `None` leaves it to the policy.
    pub requested_life_seconds: Option<u64>,
    /// The depth asked for; `None` leaves it to the policy.
    pub requested_depth: Option<u32>,
    /// When the subject token expires, in seconds since the Unix epoch.
    pub subject_expires_s: Option<u64>,
}

/// The value of a claim that conditions can see.
#[derive(Clone, PartialEq, Eq)]
pub enum Claim {
    /// One fact `claim(name, text)`.
    Text(String),
    /// One fact `claim(name, text)` each.
    Texts(BTreeSet<String>),
    /// One fact `claim_int(name, integer)`.
    Integer(i64),
    /// One fact `claim_flag(name, flag)`.
    Flag(bool),
}

impl MintRequest {
    /// Refuses what no token could hold, before anything is compared with a pack.
    pub(crate) fn bounded(&self) -> Result<(), Reason> {
        if self.caveats.len() > MAX_CAVEATS {
            return Err(Reason::TooManyChecks);
        }
        if self.audiences.is_empty() {
            return Err(Reason::AudienceEmpty);
        }
        let own = [Caveat::Tools(self.tools.clone()), Caveat::Audience(self.audiences.clone())];
        // a client's own Datalog would travel under the issuer's signature
        if self.caveats.iter().any(|caveat| matches!(caveat, Caveat::Datalog(_))) {
            return Err(Reason::CaveatMalformed);
        }
        own.iter().chain(&self.caveats).try_for_each(|caveat| Caveat::from_json(&caveat.to_json()).map(drop))
    }

    /// The facts over [`REQUEST_FACTS`].
    ///
    /// # Errors
    /// `POLICY_COST` when there are too many.
    pub(crate) fn facts(&self) -> Result<Facts, Reason> {
        let mut facts = Facts::new(REQUEST_FACTS);
        for (name, value) in
            [("client", &self.client), ("agent", &self.agent), ("subject_issuer", &self.subject_issuer), ("subject", &self.subject)]
        {
            facts.add(Predicate::new(name, [Term::text(value)]))?;
        }
        for audience in &self.audiences {
            facts.add(Predicate::new("audience", [Term::text(audience)]))?;
        }
        let values: usize = self.claims.values().map(Claim::count).sum();
        if values > MAX_CLAIMS {
            return Err(Reason::PolicyCost);
        }
        for (name, claim) in &self.claims {
            let fact = |predicate, value| Predicate::new(predicate, [Term::text(name), value]);
            match claim {
                Claim::Text(text) => facts.add(fact("claim", Term::text(text)))?,
                Claim::Texts(texts) => texts.iter().try_for_each(|text| facts.add(fact("claim", Term::text(text))))?,
                Claim::Integer(number) => facts.add(fact("claim_int", Term::Integer(*number)))?,
                Claim::Flag(flag) => facts.add(fact("claim_flag", Term::Flag(*flag)))?,
            }
        }
        Ok(facts)
    }
}

impl Claim {
    fn count(&self) -> usize {
        match self {
            Claim::Texts(texts) => texts.len(),
            Claim::Text(_) | Claim::Integer(_) | Claim::Flag(_) => 1,
        }
    }
}

/// As many as a block holds; the grant is counted again once the ceilings are in.
pub(crate) const MAX_CAVEATS: usize = 16;
/// A directory that lists hundreds of groups in a login still fits.
const MAX_CLAIMS: usize = 1024;
