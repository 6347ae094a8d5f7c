//! `narrows audit`: checking and reading the log. One file per verb.

mod compare;
mod erase;
mod export;
mod fsck;
mod head;
mod index;
mod line;
mod patience;
mod prove;
mod recover;
mod report;
mod retain;
mod search;
mod selecting;
mod show;
mod source;
mod task;
mod verify;
mod witness;

use clap::Subcommand;

/// The verbs of `narrows audit`.
#[derive(Subcommand)]
pub(super) enum Audit {
    /// Show where the log stands
    Head(head::Head),
    /// Show the newest leaves
    Tail(search::Tail),
    /// Find leaves; each is proven to be in the log
    Search(Box<search::Search>),
    /// Show one leaf in full
    Show(show::Show),
    /// Rebuild a task from its leaves, and say what is missing
    Task(task::Task),
    /// Make a fresh receipt for a leaf
    Prove(prove::Prove),
    /// Check a receipt or exported evidence; or recompute the whole log of a data directory
    Verify(verify::Verify),
    /// Erase what is disclosed about a person; the leaves stay
    Erase(erase::Erase),
    /// Tell the pseudonym of a person
    Pseudonym(erase::NameOf),
    /// Prune leaves and let disclosures expire at once, as far as the configured policy says; the service must not run
    Retain(retain::Retain),
    /// Recover a log that was rolled back or lost: replay what is missing, or begin a new log that says so
    Recover(recover::Recover),
    /// Be a witness for other logs: cosign each checkpoint that follows from the ones before
    Witness(witness::Witness),
    /// Recompute the whole log and check its checkpoints, disclosures and search index
    Fsck(fsck::Fsck),
    /// Say whether two signed checkpoints are of one history
    Compare(compare::Compare),
    /// Write evidence to a file that can be checked anywhere
    Export(Box<export::Export>),
    /// Compare the search index with the leaves, or make it anew
    #[command(subcommand)]
    Index(index::Index),
}

impl Audit {
    pub(super) fn run(self) -> anyhow::Result<()> {
        match self {
            Self::Head(head) => head.run(),
            Self::Tail(tail) => tail.run(),
            Self::Search(search) => search.run(),
            Self::Show(show) => show.run(),
            Self::Task(task) => task.run(),
            Self::Prove(prove) => prove.run(),
            Self::Verify(verify) => verify.run(),
            Self::Erase(erase) => erase.run(),
            Self::Pseudonym(name) => name.run(),
            Self::Retain(retain) => retain.run(),
            Self::Recover(recover) => recover.run(),
            Self::Witness(witness) => witness.run(),
            Self::Fsck(fsck) => fsck.run(),
            Self::Compare(compare) => compare.run(),
            Self::Export(export) => export.run(),
            Self::Index(index) => index.run(),
        }
    }
}
