//! The policy pack's file is read again while the service runs.

use narrows::HolderKey;
use narrows_issuer::admin::Method;
use narrows_tests::{
    issuer::{PACK, evidence},
    program::Ran,
};
use narrows_verifier::log::Leaf;
use serde_json::Value;

use super::{Bench, secret_of};

impl Bench {
    fn write_pack(&self, text: &str) {
        std::fs::write(self.issuer.data().join("policy.toml"), text).unwrap();
    }

    async fn digest(&self) -> String {
        digest(&self.by("vera", Method::Get, "/v1/packs").await.granted())
    }

    fn reload_by_command(&self, name: &str) -> Ran {
        let secret = self.issuer.keep("operator", secret_of(name));
        self.issuer.run(&["admin", "--url", &self.address, "--secret", &secret.to_string_lossy(), "pack", "reload"])
    }
}

fn digest(packs: &Value) -> String {
    packs["packs"][0]["digest"].as_str().unwrap().to_owned()
}

/// The digest of the pack that decided, by the leaf.
fn decided_by(granted: &Value) -> String {
    Leaf::parse(&evidence(granted).1).unwrap().pack.unwrap().to_string()
}

#[tokio::test]
async fn a_new_pack_decides_from_the_answer_on_and_a_bad_one_leaves_the_old_in_force() {
    let mut bench = Bench::new("").await;
    let granted = async |bench: &Bench| bench.issuer.granted(&HolderKey::generate(), &bench.provider.login("alice")).await;
    let first = bench.digest().await;
    assert_eq!(decided_by(&granted(&bench).await), first);

    // written and not loaded: nothing changes
    bench.write_pack(&PACK.replace("max_life_seconds = 900", "max_life_seconds = 60"));
    assert_eq!((bench.digest().await, decided_by(&granted(&bench).await)), (first.clone(), first.clone()));
    let loaded = bench.by("otto", Method::Post, "/v1/packs/reload").await.granted();
    let second = digest(&loaded);
    let leaf = Leaf::parse(&evidence(&loaded).1).unwrap();
    assert_eq!((leaf.kind.as_str(), leaf.pack.unwrap().to_string(), second == first), ("policy.load", second.clone(), false));
    let token = granted(&bench).await;
    assert_eq!((decided_by(&token), token["expires_in"].as_u64() <= Some(60)), (second.clone(), true));

    for (text, reason) in [
        ("rules".to_owned(), "PACK_MALFORMED"),
        (PACK.replace("client(", "nobody("), "PACK_CONDITION"),
        (format!("# {}\n{PACK}", "x".repeat(65_536)), "CONFIG_INVALID"),
    ] {
        bench.write_pack(&text);
        bench.by("sam", Method::Post, "/v1/packs/reload").await.refused(409, reason, reason);
        assert_eq!((bench.digest().await, decided_by(&granted(&bench).await)), (second.clone(), second.clone()));
    }
    std::fs::remove_file(bench.issuer.data().join("policy.toml")).unwrap();
    bench.reload_by_command("otto").refused("CONFIG_INVALID");
    bench.write_pack(PACK);
    assert!(bench.reload_by_command("otto").succeeded().contains(&first));
    bench.reload_by_command("kim").refused("ADMIN_ROLE");
    bench.issuer.stop();
    bench.issuer.audit(&[]).succeeded();
    bench.issuer.start().await;
    assert_eq!(bench.digest().await, first);
}
