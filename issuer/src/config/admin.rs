//! Administration: where it is listened for, and who may do what.

use std::collections::HashSet;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};

use serde::{Deserialize, Serialize};

use super::check::{Faults, add_secret_faults};
use super::{Config, Tls};
use crate::clients;

/// Administration over HTTP, on a listener of its own. Without operators nobody listens.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Admin {
    /// Address and port to listen on. An attacker who controls it exposes administration to networks it was not meant for.
    pub listen: SocketAddr,
    /// TLS on `listen`, without which it is an address of loopback: over plain HTTP, an attacker on the path reads operators'
    /// secrets, and administers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls: Option<Tls>,
    /// Requests a minute of one operator, refused ones included. An attacker who raises it can have a stolen secret fill the log.
    pub max_acts_per_minute: u32,
    /// Who may administer.
    pub operators: Vec<Operator>,
}

/// Somebody who may administer. An attacker who can add one does what its roles extend to, and each act is an entry.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Operator {
    /// The name under which acts are recorded: printable ASCII, at most 128 characters.
    pub name: String,
    /// One or two digests `sha256:<hex>` of generated secrets, two while one is being replaced. An attacker who adds one
    /// knows a working secret.
    pub secret_hashes: Vec<String>,
    /// What the operator may do; the roles add up. An attacker who adds one does as that.
    pub roles: Vec<Role>,
}

/// What an operator may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Look at everything that administration shows.
    Viewer,
    /// Look, and register, change and disable clients.
    Operator,
    /// Look, end authority, give keys up, and disable clients.
    Security,
    /// Look, and prepare, activate, retire and give up the keys that sign tokens.
    Custodian,
}

impl Role {
    /// Every role.
    pub const ALL: [Self; 4] = [Self::Viewer, Self::Operator, Self::Security, Self::Custodian];
}

impl Default for Admin {
    fn default() -> Self {
        let listen = SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::LOCALHOST, PORT));
        Self { listen, tls: None, max_acts_per_minute: 600, operators: Vec::new() }
    }
}

impl Config {
    pub(super) fn add_admin_faults(&self, faults: &mut Faults) {
        let admin = &self.admin;
        if !admin.listen.ip().is_loopback() && admin.tls.is_none() {
            faults.add("admin.listen", "is not loopback, so give administration a certificate by `[admin.tls]`");
        }
        if !admin.operators.is_empty() && admin.listen == self.listen {
            faults.add("admin.listen", "is the address of the service itself, and administration has a listener of its own");
        }
        if !(1..=MAX_RATE).contains(&admin.max_acts_per_minute) {
            faults.add("admin.max_acts_per_minute", format!("must be from 1 to {MAX_RATE}"));
        }
        if admin.operators.len() > MAX_OPERATORS {
            faults.add("admin.operators", format!("has more than {MAX_OPERATORS} entries"));
        }
        let (mut names, mut secrets) = (HashSet::new(), HashSet::new());
        for (index, operator) in admin.operators.iter().enumerate() {
            let at = |key: &str| format!("admin.operators[{index}].{key}");
            if !clients::is_client_id(&operator.name) {
                faults.add(&at("name"), "must be 1 to 128 printable ascii characters without a colon or a space");
            }
            if !names.insert(operator.name.as_str()) {
                faults.add(&at("name"), "is the name of an earlier operator too");
            }
            if !(1..=2).contains(&operator.secret_hashes.len()) {
                faults.add(&at("secret_hashes"), "must hold one or two digests");
            }
            add_secret_faults(faults, &at("secret_hashes"), &operator.secret_hashes);
            // a credential carries no name, so two operators of one secret could not be told apart
            if !operator.secret_hashes.iter().all(|digest| secrets.insert(digest)) {
                faults.add(&at("secret_hashes"), "holds a digest that is listed before");
            }
            if operator.roles.is_empty() {
                faults.add(&at("roles"), "is empty, so the operator could do nothing");
            }
        }
    }
}

const PORT: u16 = 8091;
const MAX_RATE: u32 = 100_000;
/// Each credential is compared with all of them.
const MAX_OPERATORS: usize = 64;

#[cfg(test)]
mod tests {
    use super::super::check::tests::faults;
    use super::super::tests::LEAST;
    use super::*;

    #[test]
    fn administration_stays_on_loopback_and_names_its_operators_once() {
        let hash = format!("sha256:{}", "0".repeat(64));
        let operator = format!("[[admin.operators]]\nname = \"ida\"\nsecret_hashes = [\"{hash}\"]\nroles = [\"viewer\"]\n");
        let with = |lines: &str| format!("{LEAST}{lines}");
        let config = Config::parse(&with(&operator)).unwrap();
        assert_eq!((config.admin.listen.to_string().as_str(), config.admin.operators.len()), ("127.0.0.1:8091", 1));
        for (lines, key) in [
            ("[admin]\nlisten = \"0.0.0.0:8091\"\n".to_owned(), "admin.listen"),
            (format!("[admin]\nlisten = \"127.0.0.1:8420\"\n{operator}"), "admin.listen"),
            ("[admin]\nmax_acts_per_minute = 0\n".to_owned(), "admin.max_acts_per_minute"),
            (format!("{operator}{operator}"), "admin.operators[1].name"),
            (format!("{operator}{}", operator.replace("ida", "ada")), "admin.operators[1].secret_hashes"),
            (operator.replace("[\"viewer\"]", "[]"), "admin.operators[0].roles"),
            (operator.replace(&hash, "secret"), "admin.operators[0].secret_hashes[0]"),
        ] {
            assert_eq!(faults(&with(&lines))[0].0, key, "{lines}");
        }
        let tls = "[admin.tls]\ncertificate = \"admin.pem\"\nkey = \"admin.key\"\n";
        assert!(Config::parse(&with(&format!("[admin]\nlisten = \"0.0.0.0:8091\"\n{tls}"))).is_ok());
        assert!(faults(&with("[admin]\ndanger_allow_remote = true\n"))[0].1.contains("unknown"), "there is no way around it");
        assert!(faults(&with(&operator.replace("viewer", "root")))[0].1.contains("unknown"));
    }
}
