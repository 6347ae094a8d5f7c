//! Operators: how they prove who they are, what they may do, and how often they may ask.

use std::sync::Arc;

use narrows_verifier::Reason;

use super::Act;
use crate::{
    clients::{SecretHashes, owner_of_bearer},
    config::{self, Role},
    digest,
    rate::Rate,
};

/// The operators of the configuration.
pub struct Operators {
    all: Vec<Arc<Operator>>,
    rate: Rate,
}

/// Somebody who may administer. No Debug: it holds digests of secrets.
pub struct Operator {
    name: String,
    roles: Vec<Role>,
    secrets: SecretHashes,
}

impl Operators {
    /// Takes the operators of a configuration that was checked.
    pub fn new(config: &config::Admin) -> Self {
        let operator = |operator: &config::Operator| {
            let secrets = SecretHashes::new(&operator.secret_hashes);
            Arc::new(Operator { name: operator.name.clone(), roles: operator.roles.clone(), secrets })
        };
        Self { all: config.operators.iter().map(operator).collect(), rate: Rate::new(config.max_acts_per_minute) }
    }

    /// Finds the operator whose credential an `Authorization: Bearer` header carries.
    ///
    /// # Errors
    /// `ADMIN_AUTH`, whatever was wrong.
    pub fn authenticate(&self, authorization: &[u8]) -> Result<Arc<Operator>, Reason> {
        let place = owner_of_bearer(authorization, self.all.iter().map(|operator| &operator.secrets));
        place.and_then(|place| self.all.get(place)).cloned().ok_or(Reason::AdminAuth)
    }

    /// Takes one act from the operator's rate. Each act is a leaf, so this also bounds how fast an operator grows the log.
    ///
    /// # Errors
    /// The seconds until there is one again.
    pub fn take_turn(&self, operator: &Operator, now_ms: u64) -> Result<(), u32> {
        self.rate.take(&digest::of_parts(&["operator", &operator.name]), now_ms)
    }
}

impl Operator {
    /// The name under which acts are recorded.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// As the leaves of what it changes commit to it.
    pub fn word(&self) -> String {
        format!("administrator {}", self.name)
    }

    /// Whether one of its roles extends to this act.
    pub fn may(&self, act: Act) -> bool {
        act.roles().iter().any(|role| self.has(*role))
    }

    /// Whether it has this role.
    pub fn has(&self, role: Role) -> bool {
        self.roles.contains(&role)
    }
}
