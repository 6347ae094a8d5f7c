//! Callers that append in a closed loop, and the entries that they append.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use narrows_issuer::log::{Log, Outcome, SideRow};
use narrows_issuer::{app::timed_id, clock::system_clock};
use narrows_verifier::{
    BlockId, EntryId, Reason, TaskId,
    json::Value,
    log::{Disclosure, Kind, Leaf, PackDigest, Salt, TraceId, commit},
};
use rand_core::{OsRng, RngCore};

/// What one entry brings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Load {
    /// A leaf alone, as most decisions are.
    Leaf,
    /// A leaf with all that an exchange stores beside it: six disclosures, a task, a proof spent once.
    Mint,
}

impl Load {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Leaf => "leaf alone",
            Self::Mint => "mint",
        }
    }
}

/// Durations of single appends, and how long all took together.
pub(super) struct Measured {
    pub(super) took: Duration,
    /// Sorted.
    pub(super) each: Vec<Duration>,
}

impl Measured {
    pub(super) fn per_second(&self) -> f64 {
        self.each.len() as f64 / self.took.as_secs_f64()
    }

    /// The duration that `part` of a hundred stay below.
    pub(super) fn percentile(&self, part: usize) -> Duration {
        let place = self.each.len().saturating_sub(1) * part / 100;
        self.each.get(place).copied().unwrap_or_default()
    }
}

/// Has `callers` append, each the next when its last was answered with a receipt, until there are `count`.
pub(super) async fn append(log: &Arc<Log>, load: Load, callers: usize, count: usize) -> anyhow::Result<Measured> {
    let started = Instant::now();
    let mut running = tokio::task::JoinSet::new();
    for caller in 0..callers {
        let (log, now_ms, count) = (Arc::clone(log), system_clock(), count / callers + usize::from(caller < count % callers));
        running.spawn(async move {
            let mut each = Vec::with_capacity(count);
            for _ in 0..count {
                let (leaf, rows) = entry(load, now_ms());
                let started = Instant::now();
                match log.append(leaf, rows).await? {
                    Outcome::Appended { .. } => each.push(started.elapsed()),
                    other => bail!("an entry was not appended: {other:?}"),
                }
            }
            Ok(each)
        });
    }
    let mut each = Vec::with_capacity(count);
    while let Some(done) = running.join_next().await {
        each.extend(done.context("a caller ended early")??);
    }
    let took = started.elapsed();
    each.sort_unstable();
    Ok(Measured { took, each })
}

fn entry(load: Load, now_ms: u64) -> (Leaf, Vec<SideRow>) {
    let mut disclosures = Vec::new();
    let mut commitment = |name: &str, value: &str| {
        let disclosure = Disclosure { name: name.to_owned(), salt: Salt::new(random()), value: Value::Text(value.to_owned()) };
        let commitment = commit(&disclosure.salt, name, &disclosure.value);
        disclosures.push(disclosure);
        commitment
    };
    let (task, block) = (TaskId::new(timed_id(now_ms, random())), BlockId::new(random()));
    let leaf = Leaf {
        task: Some(task),
        pack: Some(PackDigest([7; 32])),
        chain: vec![commitment("chain/0", "alice at the login service"), commitment("chain/1", "planner")],
        fields: ["audience", "caveats", "client", "tools"]
            .map(|name| (name.to_owned(), commitment(name, SOME_TEXT)))
            .into_iter()
            .collect::<BTreeMap<_, _>>(),
        blocks: vec![block],
        ..Leaf::draft(Kind::Mint, EntryId::new(timed_id(now_ms, random())), TraceId::new(random()))
    };
    if load == Load::Leaf {
        return (leaf, Vec::new());
    }
    let mut rows = vec![
        SideRow::SingleUse { key: random(), expires_s: now_ms / 1000 + 60, reason: Reason::ProofReplayed },
        SideRow::NewTask { task, expires_s: now_ms / 1000 + 900, max_hops: 64 },
    ];
    rows.extend(disclosures.into_iter().map(SideRow::disclosure));
    (leaf, rows)
}

pub(super) fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    OsRng.fill_bytes(&mut bytes);
    bytes
}

const SOME_TEXT: &str = "https://payments.example, and what a list of caveats has";
