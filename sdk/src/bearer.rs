//! A token that is bound to no key, for tools that take such.

use core::fmt;

use narrows_verifier::{Holder, Reason, Refusal, Roots, UnverifiedToken, VerifiedToken, json::Value};
use zeroize::Zeroizing;

use crate::{Presentation, ProofKind};

/// A verified bearer token. Whoever has its text has all of its authority, so it goes nowhere but to its tools.
pub struct BearerToken {
    text: Zeroizing<String>,
    token: VerifiedToken,
}

impl BearerToken {
    /// Verifies a token under the issuer's keys.
    ///
    /// # Errors
    /// What the verifier refuses, and `BEARER_BOUND` when it is bound to a key: then it is for [`Held`](crate::Held).
    pub fn new(token: &str, roots: &Roots) -> Result<Self, Refusal> {
        let verified = UnverifiedToken::from_text(token)?.verify(roots)?;
        match verified.holder {
            Holder::Bearer => Ok(Self { text: Zeroizing::new(token.to_owned()), token: verified }),
            Holder::Key(_) | Holder::Thumbprint(_) => Err(Reason::BearerBound.into()),
        }
    }

    /// The verified contents.
    pub fn inspect(&self) -> &VerifiedToken {
        &self.token
    }

    /// One call as a tool is to receive it. Nothing proves that it was asked for, so a tool takes it where its manifest says so.
    pub fn present(&self, tool: &str, arguments: &Value) -> Presentation {
        Presentation {
            token: self.text.as_str().to_owned(),
            receipts: String::new(),
            kind: ProofKind::Bearer,
            proof: String::new(),
            tool: tool.to_owned(),
            arguments: arguments.canonical(),
        }
    }
}

impl fmt::Debug for BearerToken {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "BearerToken(block {})", self.token.newest())
    }
}
