//! Why a JWT is refused, and at which member: the reason is for everybody, the member for whoever operates the service.

use core::fmt;

use narrows_verifier::Reason;

/// A refusal, with the member of header, claims or key at which it happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The stable reason.
    pub reason: Reason,
    /// The member's name, where it is one member.
    pub member: Option<&'static str>,
}

impl Fault {
    pub(crate) const fn at(member: &'static str, reason: Reason) -> Self {
        Self { reason, member: Some(member) }
    }
}

impl From<Reason> for Fault {
    fn from(reason: Reason) -> Self {
        Self { reason, member: None }
    }
}

impl From<Fault> for Reason {
    fn from(fault: Fault) -> Self {
        fault.reason
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.member {
            Some(member) => write!(formatter, "{} at `{member}`", self.reason),
            None => write!(formatter, "{}", self.reason),
        }
    }
}
