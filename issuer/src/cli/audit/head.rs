//! `narrows audit head`: where the log stands.

use clap::Args;
use narrows::LogHead;
use narrows_issuer::log::utc;
use serde_json::json;

use super::source::SourceArgs;
use crate::cli::output;

/// The flags of `narrows audit head`.
#[derive(Args)]
pub(in crate::cli) struct Head {
    #[command(flatten)]
    source: SourceArgs,
    /// Print the signed checkpoint alone, word for word, to be kept
    #[arg(long)]
    checkpoint: bool,
    /// Print one JSON object
    #[arg(long, conflicts_with = "checkpoint")]
    json: bool,
}

impl Head {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let LogHead { checkpoint: head, minimum_index, t_ms, policy, applied } = self.source.open()?.head()?;
        if self.checkpoint {
            output::print(format_args!("{}", head.note()));
            return Ok(());
        }
        let checkpoint = head.checkpoint();
        if self.json {
            let root = checkpoint.root.to_base64();
            let head = json!({
                "origin": checkpoint.origin, "size": checkpoint.size, "root": root, "checkpoint": head.note(),
                "minimum_index": minimum_index, "t_ms": t_ms, "policy": policy, "applied": applied,
            });
            say!("{head}");
            return Ok(());
        }
        say!("log           {}", checkpoint.origin);
        say!("leaves        {}", checkpoint.size);
        say!("root          {}", checkpoint.root.to_base64());
        say!("newest        {}", t_ms.parse().map_or_else(|_| "unknown".to_owned(), utc));
        say!("can be had    from leaf {minimum_index}");
        applied.iter().for_each(|applied| say!("under policy  {applied}"));
        policy.iter().for_each(|policy| say!("policy now    {policy}"));
        Ok(())
    }
}
