//! The table of kinds as a JSON Schema and as a table for people, both printed into `docs/audit-log.md`.

use narrows_verifier::log::{Kind, KindSpec, Plane, Point, Presence, Verdict};
use serde_json::{Map, Value, json};

/// The schema of a leaf (draft 2020-12): the envelope for every kind, and what each known kind adds to it.
pub(super) fn schema() -> Value {
    let mut definitions = shared();
    definitions.extend(Kind::ALL.iter().map(|kind| (kind.as_str().to_owned(), of_kind(&kind.spec().unwrap()))));
    let by_kind: Vec<Value> = Kind::ALL.iter().map(|kind| by_name(kind.as_str())).collect();
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": "urn:narrows:leaf:1",
        "$ref": "#/$defs/leaf",
        "allOf": by_kind,
        "$defs": definitions,
    })
}

/// The schema with one definition a line.
pub(super) fn schema_text() -> String {
    let schema = schema();
    let definitions = schema["$defs"].as_object().unwrap().iter().map(|(name, it)| format!(" {}:{it}", json!(name)));
    let by_kind = schema["allOf"].as_array().unwrap().iter().map(|it| format!(" {it}"));
    format!(
        "{{\"$schema\":{},\n\"$id\":{},\n\"$ref\":{},\n\"allOf\":[\n{}],\n\"$defs\":{{\n{}}}}}",
        schema["$schema"],
        schema["$id"],
        schema["$ref"],
        by_kind.collect::<Vec<_>>().join(",\n"),
        definitions.collect::<Vec<_>>().join(",\n"),
    )
}

pub(super) fn table() -> String {
    let rows = Kind::ALL.iter().map(|kind| {
        let spec = kind.spec().unwrap();
        let (always, at_times) = members(&spec);
        let verdicts: Vec<_> = spec.verdicts.iter().map(|verdict| code(verdict.as_str())).collect();
        let verdicts = if spec.verdicts == Verdict::ALL { "any".to_owned() } else { verdicts.join(" ") };
        let mut commitments: Vec<_> = spec.required.iter().map(|name| format!("**`{name}`**")).collect();
        commitments.extend(spec.allowed.iter().map(|name| code(name)));
        format!("| `{}` | {} | {verdicts} | {} | {} | {} |", kind.as_str(), spec.meaning, always, at_times, commitments.join(" "))
    });
    let head = "| kind | records that | `verdict` | has | may have | `c` (bold: must have) |\n|---|---|---|---|---|---|";
    format!("{head}\n{}", rows.collect::<Vec<_>>().join("\n"))
}

fn members(spec: &KindSpec) -> (String, String) {
    let (mut always, mut at_times) = (Vec::new(), Vec::new());
    for (name, presence) in spec.members() {
        match presence {
            Presence::Absent => {}
            Presence::Allowed => at_times.push(code(name)),
            Presence::Required => always.push(code(name)),
            Presence::UnlessBlocked => always.push(format!("`{name}`¹")),
            Presence::WhenMade => always.push(format!("`{name}`²")),
        }
    }
    (always.join(" "), at_times.join(" "))
}

fn code(text: &str) -> String {
    format!("`{text}`")
}

fn by_name(kind: &str) -> Value {
    json!({"if": {"properties": {"kind": {"const": kind}}}, "then": {"$ref": format!("#/$defs/{kind}")}})
}

fn of_kind(spec: &KindSpec) -> Value {
    let mut rules: Vec<Value> = Vec::new();
    for (name, presence) in spec.members() {
        match presence {
            Presence::Absent => rules.push(absent(name)),
            Presence::Allowed => {}
            Presence::Required => rules.push(present(name)),
            Presence::UnlessBlocked => rules.push(json!({"if": blocked(), "else": present(name)})),
            Presence::WhenMade => rules.push(json!({"if": blocked(), "then": absent(name), "else": present(name)})),
        }
    }
    if spec.verdicts != [Verdict::Allow] {
        rules.push(json!({"$ref": "#/$defs/reasoned"}));
    }
    let names: Map<String, Value> = spec.required.iter().chain(spec.allowed).map(|name| ((*name).to_owned(), Value::Bool(true))).collect();
    let verdicts: Vec<_> = spec.verdicts.iter().map(|verdict| verdict.as_str()).collect();
    json!({
        "properties": {
            "verdict": {"enum": verdicts},
            "c": {"properties": names, "additionalProperties": false, "required": spec.required},
        },
        "allOf": rules,
    })
}

/// A member that leaves of one kind have, and no others.
fn only(kind: &str, member: &str) -> Value {
    json!({
        "if": {"properties": {"kind": {"const": kind}}},
        "then": {"required": [member]},
        "else": {"properties": {member: false}},
    })
}

fn blocked() -> Value {
    json!({"properties": {"verdict": {"const": "block"}}})
}

fn present(name: &str) -> Value {
    match name {
        "blocks" | "chain" | "parents" => json!({"properties": {name: {"minItems": 1}}}),
        "pack" | "task" => json!({"properties": {name: {"type": "string"}}}),
        _ => json!({"required": [name]}),
    }
}

fn absent(name: &str) -> Value {
    match name {
        "blocks" | "chain" | "parents" => json!({"properties": {name: {"maxItems": 0}}}),
        "pack" | "task" => json!({"properties": {name: {"type": "null"}}}),
        _ => json!({"properties": {name: false}}),
    }
}

fn shared() -> Map<String, Value> {
    let text = |pattern: &str| json!({"type": "string", "pattern": pattern});
    let list = |of: &str| json!({"type": "array", "items": {"$ref": format!("#/$defs/{of}")}});
    let or_null = |of: &str| json!({"anyOf": [{"type": "null"}, {"$ref": format!("#/$defs/{of}")}]});
    let verdicts: Vec<_> = Verdict::ALL.iter().map(|it| it.as_str()).collect();
    let planes: Vec<_> = Plane::ALL.iter().map(|it| it.as_str()).collect();
    let points: Vec<_> = Point::ALL.iter().map(|it| it.as_str()).collect();
    let leaf = json!({
        "type": "object",
        "properties": {
            "blocks": list("block-id"),
            "c": {
                "type": "object",
                "propertyNames": {"pattern": "^(?!chain/)[a-z0-9._/-]{1,64}$"},
                "additionalProperties": {"$ref": "#/$defs/commitment"},
            },
            "chain": list("commitment"),
            "dev": {"const": true},
            "id": {"$ref": "#/$defs/id"},
            "kind": text("^[a-z0-9._/-]{1,32}$"),
            "of": {"$ref": "#/$defs/id"},
            "origin": {"type": "string"},
            "pack": or_null("pack-digest"),
            "parents": list("block-id"),
            "plane": {"enum": planes},
            "point": {"enum": points},
            "reasons": {"type": "array", "items": text("^[A-Z0-9_]{1,64}$")},
            "retention": {"$ref": "#/$defs/kept"},
            "t_ms": text("^(0|[1-9][0-9]{0,19})$"),
            "task": or_null("id"),
            "trace": {"$ref": "#/$defs/id"},
            "v": {"const": 1},
            "verdict": {"enum": verdicts},
        },
        "required": ["blocks", "c", "chain", "id", "kind", "pack", "parents", "reasons", "t_ms", "task", "trace", "v", "verdict"],
        "additionalProperties": false,
        "allOf": [only("log.open", "origin"), only("retention", "retention")],
    });
    let decimal = text("^(0|[1-9][0-9]{0,18})$");
    let kept = json!({
        "type": "object",
        "properties": {
            "announced_ms": text("^(0|[1-9][0-9]{0,19})$"),
            "deleted": decimal,
            "expired": {
                "type": "object",
                "propertyNames": {"pattern": "^([*]|[a-z0-9._/-]{1,32})$"},
                "additionalProperties": decimal,
                "maxProperties": 64,
            },
            "minimum": decimal,
            "policy": {"$ref": "#/$defs/pack-digest"},
        },
        "required": ["announced_ms", "deleted", "expired", "minimum", "policy"],
        "additionalProperties": false,
    });
    [
        ("id", text("^[0-9a-f]{32}$")),
        ("block-id", text("^[0-9a-f]{64}$")),
        ("commitment", text("^[A-Za-z0-9_-]{43}$")),
        ("pack-digest", text("^sha256:[0-9a-f]{64}$")),
        ("kept", kept),
        ("leaf", leaf),
        ("reasoned", json!({"if": {"properties": {"verdict": {"const": "allow"}}}, "else": {"properties": {"reasons": {"minItems": 1}}}})),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into_iter()
    .collect()
}
