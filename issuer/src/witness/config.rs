//! What an administrator says about the witnesses of the log.

use narrows_verifier::log::{Policy, VerifierKey, WitnessKey};
use serde::{Deserialize, Serialize};

use crate::egress::{EgressError, EgressRules, Reach};

/// One witness of our log. An attacker who can add one, or swap a key, satisfies the quorum with witnesses of their own.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Witness {
    /// The witness's public key, as its operator published it (C2SP tlog-cosignature, Ed25519).
    pub vkey: String,
    /// The address to which `/add-checkpoint` is added. Whoever answers there can't make cosignatures, but can withhold them,
    /// and can stop the log by saying that it was rolled back; see `trusted_to_halt`.
    pub url: String,
    /// The address at which it shows the checkpoints that it cosigned (its monitoring prefix), where that is another than `url`.
    /// Whoever answers there can hide the proof of a rollback, and can prove none that the log's own key did not sign.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub monitoring_url: Option<String>,
    /// Whether the address may be plain http on loopback. Any local process that gets the port can then withhold and stop so.
    #[serde(default)]
    pub allow_loopback_http: bool,
    /// Whether the host may have a private address. Whoever controls its name can then make this service send checkpoints
    /// inside the private network.
    #[serde(default)]
    pub allow_private_address: bool,
    /// Whether the log stops when this witness says that it was rolled back and shows no checkpoint of the log. With its
    /// checkpoint as proof the log stops in any case. False only for a witness that shows its checkpoints: of another one, a
    /// thief who brings back an old log would then be given away by nothing but a metric.
    #[serde(default = "trusted")]
    pub trusted_to_halt: bool,
}

const fn trusted() -> bool {
    true
}

/// What happens while too few witnesses answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum WitnessMode {
    /// Issuing goes on, the newest checkpoint is published without the quorum, and a metric counts that.
    #[default]
    Prefer,
    /// Nothing leaves before a quorum has cosigned a checkpoint that holds its entry.
    Require,
}

impl Witness {
    /// The witness's key.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn key(&self) -> Result<WitnessKey, &'static str> {
        WitnessKey::parse(&self.vkey).map_err(|refusal| refusal.detail)
    }

    /// Adds to the rules what this witness may be reached by, and checks its addresses against them: the key at fault, and why.
    pub(crate) fn allow(&self, rules: &mut EgressRules) -> Result<(), (&'static str, EgressError)> {
        for (key, url) in [("url", Some(&self.url)), ("monitoring_url", self.monitoring_url.as_ref())] {
            let Some(url) = url else { continue };
            rules.allow(url, Reach::configured(url, self.allow_loopback_http, self.allow_private_address)).map_err(|error| (key, error))?;
        }
        Ok(())
    }
}

/// The policy that `quorum` of these witnesses, and our log, have to be on a checkpoint.
pub(super) fn policy(log: &VerifierKey, witnesses: &[WitnessKey], quorum: usize) -> Option<Policy> {
    let mut text = format!("log {log}\n");
    let mut members = String::new();
    for (number, key) in witnesses.iter().enumerate() {
        text.push_str(&format!("witness w{number} {key}\n"));
        members.push_str(&format!(" w{number}"));
    }
    text.push_str(&format!("group quorum {quorum}{members}\nquorum quorum\n"));
    Policy::parse(text.as_bytes()).ok()
}

/// A note may have 16 signatures, and one is the log's own.
pub(crate) const MAX_WITNESSES: usize = 15;
