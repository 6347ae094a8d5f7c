//! Who may import whom.

use super::sources::{SHIPPED, assert_none, required_text, shipped};

/// Crate folder, library name, and the folders it may depend on.
const ALLOWED: [(&str, &str, &[&str]); 7] = [
    ("verifier", "narrows_verifier", &[]),
    ("policies", "narrows_policies", &["verifier"]),
    ("issuer", "narrows_issuer", &["verifier", "policies", "sdk"]),
    ("sdk", "narrows", &["verifier"]),
    ("examples", "narrows_examples", &SHIPPED),
    ("tests", "narrows_tests", &["verifier", "policies", "issuer", "sdk", VFS]),
    (VFS, "narrows_vfs", &[]),
];

/// The disk that forgets, for tests alone: the one crate with unsafe code.
const VFS: &str = "tests/vfs";

/// The one part of the issuer that plays an agent or a tool; the service meets them over HTTP alone.
const MAY_USE_THE_SDK: &str = "issuer/src/cli/";

#[test]
fn crates_depend_only_in_the_direction_of_the_design() {
    let mut offences = Vec::new();
    for (folder, _, allowed) in ALLOWED {
        let manifest: toml::Table = required_text(&format!("{folder}/Cargo.toml")).parse().unwrap();
        for dependency in dependencies(&manifest) {
            let ours = ALLOWED.iter().find(|(_, library, _)| dependency.replace('-', "_") == **library);
            if let Some((target, ..)) = ours.filter(|(target, ..)| !allowed.contains(target)) {
                offences.push(format!("{folder}/Cargo.toml: {folder} must not depend on {target}"));
            }
        }
    }
    assert_none("dependency direction", &offences);
}

#[test]
fn every_workspace_member_has_a_place_in_the_direction() {
    let manifest: toml::Table = required_text("Cargo.toml").parse().unwrap();
    let members = manifest["workspace"]["members"].as_array().unwrap();
    let unknown = members.iter().map(|member| member.as_str().unwrap().to_owned());
    let unknown: Vec<_> = unknown.filter(|member| !ALLOWED.iter().any(|(folder, ..)| folder == member)).collect();
    assert_none("members without a rule", &unknown);
}

#[test]
fn sources_name_only_crates_that_they_may_use() {
    let mut offences = Vec::new();
    for source in shipped() {
        let (folder, own, allowed) = ALLOWED.iter().find(|(folder, ..)| source.file.starts_with(&format!("{folder}/"))).unwrap();
        for (target, library, _) in ALLOWED.iter().filter(|(_, library, _)| library != own) {
            let sdk_outside_cli = *folder == "issuer" && *target == "sdk" && !source.file.starts_with(MAY_USE_THE_SDK);
            if !allowed.contains(target) || sdk_outside_cli {
                let lines = source.references(library);
                offences.extend(lines.iter().map(|line| format!("{}:{line} uses {library}", source.file)));
            }
        }
    }
    assert_none("dependency direction", &offences);
}

#[test]
fn unsafe_code_is_forbidden_everywhere_but_in_the_disk_of_the_tests() {
    let forbids = |manifest: &toml::Table| {
        let lints = manifest.get("lints");
        let own = lints.and_then(|lints| lints.get("rust")?.get("unsafe_code")?.as_str());
        own == Some("forbid") || lints.and_then(|lints| lints.get("workspace")?.as_bool()) == Some(true)
    };
    let workspace: toml::Table = required_text("Cargo.toml").parse().unwrap();
    assert_eq!(workspace["workspace"]["lints"]["rust"]["unsafe_code"].as_str(), Some("forbid"));
    let members = ALLOWED.iter().map(|(folder, ..)| *folder).filter(|folder| *folder != VFS);
    let open = members.filter(|folder| !forbids(&required_text(&format!("{folder}/Cargo.toml")).parse().unwrap()));
    assert_none("crates that allow unsafe code", &open.map(str::to_owned).collect::<Vec<_>>());
}

/// The names under every kind of dependency table, those of single targets included.
fn dependencies(manifest: &toml::Table) -> Vec<String> {
    let targets = manifest.get("target").and_then(toml::Value::as_table).into_iter().flat_map(|targets| targets.values());
    let tables = std::iter::once(manifest).chain(targets.filter_map(toml::Value::as_table));
    let kinds = ["dependencies", "dev-dependencies", "build-dependencies"];
    let named = tables.flat_map(|table| kinds.iter().filter_map(|kind| table.get(*kind)?.as_table()));
    named.flat_map(|kind| kind.iter().map(real_name)).collect()
}

/// A renamed dependency is known by its package.
fn real_name((name, details): (&String, &toml::Value)) -> String {
    details.get("package").and_then(toml::Value::as_str).unwrap_or(name).to_owned()
}
