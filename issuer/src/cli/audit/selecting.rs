//! The flags of every verb that looks for leaves.

use clap::Args;
use narrows_issuer::audit::Query;
use narrows_verifier::log::Selection;

/// What to look for: everything that is given must hold.
#[derive(Args)]
pub(in crate::cli) struct Selecting {
    /// The subject, as disclosed
    #[arg(long, value_name = "NAME")]
    principal: Option<String>,
    /// An agent of the chain, as disclosed
    #[arg(long, value_name = "NAME")]
    agent: Option<String>,
    /// A tool, as disclosed
    #[arg(long, value_name = "NAME")]
    tool: Option<String>,
    /// allow, block, …
    #[arg(long)]
    verdict: Option<String>,
    /// A reason code
    #[arg(long, value_name = "CODE")]
    reason: Option<String>,
    /// mint, hop, …
    #[arg(long)]
    kind: Option<String>,
    /// A task id
    #[arg(long, value_name = "ID")]
    task: Option<String>,
    /// A request's trace id
    #[arg(long, value_name = "ID")]
    trace: Option<String>,
    /// A block id among those of the leaf's token
    #[arg(long, value_name = "ID")]
    block: Option<String>,
    /// A block id that something was derived from
    #[arg(long, value_name = "ID")]
    parent: Option<String>,
    /// Not before this time (RFC 3339, or milliseconds since 1970)
    #[arg(long, value_name = "TIME")]
    from: Option<String>,
    /// Before this time
    #[arg(long, value_name = "TIME")]
    to: Option<String>,
    /// Behind this index
    #[arg(long, value_name = "INDEX")]
    after: Option<String>,
    /// Before this index
    #[arg(long, value_name = "INDEX")]
    before: Option<String>,
}

impl Selecting {
    /// The selection, read by the same rules as a query of the service.
    pub(super) fn selection(&self) -> anyhow::Result<Selection> {
        let given = [
            ("principal", &self.principal),
            ("agent", &self.agent),
            ("tool", &self.tool),
            ("verdict", &self.verdict),
            ("reason", &self.reason),
            ("kind", &self.kind),
            ("task", &self.task),
            ("trace", &self.trace),
            ("block", &self.block),
            ("parent", &self.parent),
            ("from", &self.from),
            ("to", &self.to),
            ("after", &self.after),
            ("before", &self.before),
        ];
        let pairs = given.iter().filter_map(|(name, value)| Some((*name, value.as_deref()?)));
        Ok(Query::parse(pairs)?.selection)
    }
}
