//! Leaves of every kind, made from the table of kinds.

use narrows_verifier::{
    BlockId, EntryId, Reason, TaskId,
    json::Value,
    log::{Kind, KindSpec, Leaf, OTHER_KINDS, PackDigest, Plane, Point, Presence, Retention, Salt, TraceId, Verdict, commit},
};

/// A leaf of this kind and verdict with everything that its kind demands, and where `full` with everything that it may have.
///
/// # Panics
/// For a kind that this version does not know.
pub fn example(kind: &Kind, verdict: Verdict, full: bool) -> Leaf {
    let spec = kind.spec().expect("a known kind");
    let has = |presence| has(presence, verdict, full);
    let hidden = |name: &str| commit(&Salt::new([3; 16]), name, &Value::Text("x".to_owned()));
    let mut leaf = Leaf::draft(kind.clone(), EntryId::new([1; 16]), TraceId::new([2; 16]));
    if verdict != Verdict::Allow {
        leaf = leaf.because(verdict, Reason::PolicyDenied);
    }
    leaf.t_ms = 1_763_700_000_000;
    leaf.origin = (*kind == Kind::LogOpen).then(|| "log.example/narrows".to_owned());
    leaf.retention = (*kind == Kind::Retention).then(|| Retention {
        announced_ms: 1_763_600_000_000,
        deleted: 256,
        expired: [(OTHER_KINDS.to_owned(), 700), ("erasure".to_owned(), 0)].into(),
        minimum: 512,
        policy: PackDigest([9; 32]),
    });
    leaf.task = has(spec.task).then_some(TaskId::new([4; 16]));
    leaf.pack = has(spec.pack).then_some(PackDigest([5; 32]));
    leaf.of = has(spec.of).then_some(EntryId::new([6; 16]));
    leaf.plane = has(spec.plane).then_some(Plane::Identity);
    leaf.point = has(spec.point).then_some(Point::ToolCall);
    leaf.chain = if has(spec.chain) { vec![hidden("chain/0"), hidden("chain/1")] } else { Vec::new() };
    leaf.blocks = if has(spec.blocks) { vec![BlockId::new([7; 32]), BlockId::new([8; 32])] } else { Vec::new() };
    leaf.parents = if has(spec.parents) { vec![BlockId::new([7; 32])] } else { Vec::new() };
    let names = spec.required.iter().chain(spec.allowed.iter().filter(|_| full));
    leaf.fields = names.map(|name| ((*name).to_owned(), hidden(name))).collect();
    leaf
}

/// Every kind with every verdict that it can have.
pub fn kinds_and_verdicts() -> impl Iterator<Item = (&'static Kind, KindSpec, Verdict)> {
    let specs = Kind::ALL.iter().filter_map(|kind| Some((kind, kind.spec()?)));
    specs.flat_map(|(kind, spec)| spec.verdicts.iter().map(move |verdict| (kind, spec, *verdict)))
}

fn has(presence: Presence, verdict: Verdict, full: bool) -> bool {
    match presence {
        Presence::Absent => false,
        Presence::Allowed => full,
        Presence::Required => true,
        Presence::UnlessBlocked => full || verdict != Verdict::Block,
        Presence::WhenMade => verdict != Verdict::Block,
    }
}
