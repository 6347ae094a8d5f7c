//! `narrows audit head`: where the log stands.

use clap::Args;
use narrows_issuer::log::utc;

use super::source::SourceArgs;

/// The flags of `narrows audit head`.
#[derive(Args)]
pub(in crate::cli) struct Head {
    #[command(flatten)]
    source: SourceArgs,
    /// Print the signed checkpoint alone, word for word, to be kept
    #[arg(long)]
    checkpoint: bool,
}

impl Head {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let (head, minimum_index, t_ms) = self.source.open()?.head()?;
        if self.checkpoint {
            print!("{}", head.note());
            return Ok(());
        }
        let checkpoint = head.checkpoint();
        println!("log           {}", checkpoint.origin);
        println!("leaves        {}", checkpoint.size);
        println!("root          {}", checkpoint.root.to_base64());
        println!("newest        {}", t_ms.parse().map_or_else(|_| "unknown".to_owned(), utc));
        println!("can be had    from leaf {minimum_index}");
        Ok(())
    }
}
