//! What a client asks to be minted, and the facts that conditions see of it.

use std::collections::{BTreeMap, BTreeSet};

use narrows_verifier::{
    Caveat, Reason,
    caveat::Tools,
    datalog::{Facts, Predicate, Term},
};

use crate::{Ceiling, condition::REQUEST_FACTS};

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
    /// Who acts for the subject: the first agent of the token that is asked for.
    pub actor: Actor,
    /// The grant by which the request came.
    pub grant: GrantType,
    /// What form of token is asked for.
    pub requested_type: RequestedType,
    /// Whether the token is to be bound to no key. Without a rule that says so there is no such token.
    pub bearer: bool,
    /// Every audience that the token is to be accepted at.
    pub audiences: BTreeSet<String>,
    /// The scopes asked for, which are names of the pack for tools; see [`parse_scopes`](crate::parse_scopes).
    pub scopes: BTreeSet<String>,
    /// The tools asked for by name. Without these and without scopes, the rule that decides says what there is to have.
    pub tools: Option<Tools>,
    /// Further caveats that the client itself puts on the token. At most 128.
    pub caveats: Vec<Caveat>,
    /// What the request may not exceed, whatever the pack says. At most 8.
    pub ceilings: Vec<Ceiling>,
    /// The life asked for, in seconds; `None` leaves it to the policy.
    pub requested_life_seconds: Option<u64>,
    /// The depth asked for; `None` leaves it to the policy.
    pub requested_depth: Option<u32>,
    /// When the subject token expires, in seconds since the Unix epoch.
    pub subject_expires_s: Option<u64>,
}

/// Who acts: the subject of the actor token, or the authenticated client where there is none.
#[derive(Clone)]
pub struct Actor {
    /// Who vouches for the actor: the issuer of the actor token, or this service for its own client.
    pub issuer: String,
    /// The actor, as that issuer names it.
    pub name: String,
}

/// A grant of the token endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GrantType {
    /// RFC 8693.
    TokenExchange,
    /// RFC 6749 §4.4: the client is the subject.
    ClientCredentials,
    /// RFC 7523 §2.1, by which identity assertions arrive.
    JwtBearer,
}

/// The form of token that is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestedType {
    /// An access token, which is a capability that the client need not understand.
    AccessToken,
    /// The same, asked for as what it is.
    Biscuit,
    /// A view for resource servers that read JWTs alone.
    Jwt,
}

impl GrantType {
    /// As conditions and cases name it.
    pub const fn name(self) -> &'static str {
        match self {
            GrantType::TokenExchange => "token_exchange",
            GrantType::ClientCredentials => "client_credentials",
            GrantType::JwtBearer => "jwt_bearer",
        }
    }

    /// Every grant.
    pub const ALL: [GrantType; 3] = [GrantType::TokenExchange, GrantType::ClientCredentials, GrantType::JwtBearer];
}

impl RequestedType {
    /// As conditions and cases name it.
    pub const fn name(self) -> &'static str {
        match self {
            RequestedType::AccessToken => "access_token",
            RequestedType::Biscuit => "biscuit",
            RequestedType::Jwt => "jwt",
        }
    }

    /// Every form.
    pub const ALL: [RequestedType; 3] = [RequestedType::AccessToken, RequestedType::Biscuit, RequestedType::Jwt];
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
        if self.caveats.len() > MAX_CAVEATS || self.ceilings.len() > MAX_CEILINGS {
            return Err(Reason::TooManyChecks);
        }
        if self.audiences.is_empty() {
            return Err(Reason::AudienceEmpty);
        }
        let tools = self.tools.iter().map(|tools| Caveat::Tools(tools.clone()));
        let own: Vec<_> = tools.chain([Caveat::Audience(self.audiences.clone())]).collect();
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
        for (name, value) in [
            ("client", self.client.as_str()),
            ("agent", &self.agent),
            ("subject_issuer", &self.subject_issuer),
            ("subject", &self.subject),
            ("actor_issuer", &self.actor.issuer),
            ("actor", &self.actor.name),
            ("grant", self.grant.name()),
            ("requested_type", self.requested_type.name()),
        ] {
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
pub(crate) const MAX_CAVEATS: usize = 128;
const MAX_CEILINGS: usize = 8;
/// A directory that lists hundreds of groups in a login still fits.
const MAX_CLAIMS: usize = 1024;
