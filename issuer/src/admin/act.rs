//! Every act of administration, in one table: what it is called, where it is, and which roles it takes.
//!
//! The router serves what stands here and nothing else, and the test of all routes with all roles reads the same table.

use crate::config::Role::{self, Custodian, Operator, Security, Viewer};

macro_rules! acts {
    ($($(#[$meaning:meta])* $variant:ident = $name:literal: $method:ident $path:literal [$($role:ident)+];)+) => {
        /// What an operator can do.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Act { $($(#[$meaning])* $variant,)+ }

        impl Act {
            /// Every act.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// Its name in leaves.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)+ }
            }

            /// The method of its route.
            pub const fn method(self) -> Method {
                match self { $(Self::$variant => Method::$method,)+ }
            }

            /// The path of its route, with parameters in braces.
            pub const fn path(self) -> &'static str {
                match self { $(Self::$variant => $path,)+ }
            }

            /// The roles of which an operator needs one. Who has none of them may not.
            pub const fn roles(self) -> &'static [Role] {
                match self { $(Self::$variant => &[$($role,)+],)+ }
            }
        }
    };
}

acts! {
    /// Lists clients.
    ListClients = "client.list": Get "/v1/clients" [Viewer Operator Security Custodian];
    /// Shows a client.
    ShowClient = "client.show": Get "/v1/clients/{id}" [Viewer Operator Security Custodian];
    /// Registers a client.
    AddClient = "client.add": Post "/v1/clients" [Operator];
    /// Disables a client.
    DisableClient = "client.disable": Delete "/v1/clients/{id}" [Operator Security];
    /// Gives a client one more secret.
    RotateSecret = "client.rotate": Post "/v1/clients/{id}/secrets" [Operator];
    /// Takes a secret from a client.
    ForgetSecret = "client.forget": Delete "/v1/clients/{id}/secrets/{secret}" [Operator Security];
    /// Lists the agents that clients may name.
    ListAgents = "agent.list": Get "/v1/agents" [Viewer Operator Security Custodian];
    /// Lists the trusted issuers.
    ListIssuers = "issuer.list": Get "/v1/issuers" [Viewer Operator Security Custodian];
    /// Shows the policy pack in force.
    ShowPacks = "pack.show": Get "/v1/packs" [Viewer Operator Security Custodian];
    /// Reads the policy pack's file again.
    ReloadPacks = "pack.reload": Post "/v1/packs/reload" [Operator Security];
    /// Lists the public halves of the keys.
    ListKeys = "key.list": Get "/v1/keys" [Viewer Operator Security Custodian];
    /// Makes a key and publishes it.
    PrepareKey = "key.prepare": Post "/v1/keys" [Custodian];
    /// Signs with a published key from now on.
    ActivateKey = "key.activate": Post "/v1/keys/{kid}/activate" [Custodian];
    /// Publishes a key no longer.
    RetireKey = "key.retire": Post "/v1/keys/{kid}/retire" [Custodian];
    /// Accepts nothing that a key signed, from now on.
    TaintKey = "key.taint": Post "/v1/keys/{kid}/taint" [Custodian Security];
    /// Lists tasks.
    ListTasks = "task.list": Get "/v1/tasks" [Viewer Operator Security Custodian];
    /// Shows a task.
    ShowTask = "task.show": Get "/v1/tasks/{id}" [Viewer Operator Security Custodian];
    /// Ends a task.
    RevokeTask = "task.revoke": Post "/v1/tasks/{id}/revoke" [Security];
    /// Holds a task or an agent for now.
    Pause = "pause": Post "/v1/pause" [Security];
    /// Lets go of it.
    Resume = "resume": Post "/v1/resume" [Security];
    /// Ends a block, or what was issued to a subject, an agent or a holder.
    Revoke = "revoke": Post "/v1/revoke" [Security];
}

/// The methods that routes have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// Only looks.
    Get,
    /// Makes or ends something.
    Post,
    /// Takes something away.
    Delete,
}

impl Act {
    /// Whether the leaf of what it changes says by whose word.
    pub const fn is_named_elsewhere(self) -> bool {
        !self.only_looks() && !matches!(self, Self::PrepareKey | Self::ActivateKey | Self::RetireKey | Self::TaintKey)
    }

    /// Whether it changes nothing.
    pub const fn only_looks(self) -> bool {
        matches!(self.method(), Method::Get)
    }
}
