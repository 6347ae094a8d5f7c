//! Administration over TLS, and nowhere but on loopback without it.

use narrows_issuer::clients::secret_hash;
use narrows_tests::{
    http::{get, send, try_send},
    issuer::{Issuer, PACK, free_address, now},
    scratch::Scratch,
    tls::Authority,
};

use super::secret_of;

fn operated(listen: &str, tls: &str) -> String {
    let hash = secret_hash(&secret_of("vera"));
    format!(
        "[admin]\nlisten = \"{listen}\"\n{tls}[[admin.operators]]\nname = \"vera\"\nsecret_hashes = [\"{hash}\"]\nroles = [\"viewer\"]\n"
    )
}

#[tokio::test]
async fn operators_are_served_over_tls_alone_where_there_is_a_certificate() {
    let (authority, files) = (Authority::new(), Scratch::new());
    let (certificate, key) = (files.join("admin.pem"), files.join("admin.key"));
    authority.certify(&certificate, &key);
    let listen = free_address();
    let mut issuer = Issuer::init();
    issuer.configure(&operated(&listen, &format!("[admin.tls]\ncertificate = {certificate:?}\nkey = {key:?}\n")), PACK);
    issuer.start().await;
    let bearer = format!("Bearer {}", secret_of("vera"));
    let url = format!("https://{}", listen.replace("127.0.0.1", "localhost"));
    let shown = send(authority.client().get(format!("{url}/v1/packs")).header("authorization", &bearer)).await;
    assert!(shown.granted()["packs"][0]["digest"].is_string());
    assert!(try_send(narrows_tests::http::client().get(format!("http://{listen}/v1/packs"))).await.is_err(), "no plain http");
    let metrics = get(&issuer.at("/metrics")).await.text();
    let end = metrics.lines().find_map(|line| line.strip_prefix("narrows_admin_tls_certificate_expiry_seconds ")).unwrap();
    assert!((now()..=now() + 86_400).contains(&end.parse().unwrap()), "{end}");
    assert!(metrics.contains("narrows_tls_certificate_expiry_seconds 0\n"), "the service itself has none");
    issuer.set_environment("SSL_CERT_FILE", &authority.file().to_string_lossy());
    let secret = issuer.keep("operator", secret_of("vera"));
    let shown = issuer.run(&["admin", "--url", &url, "--secret", &secret.to_string_lossy(), "pack"]).succeeded();
    assert!(shown.contains("sha256:"), "{shown}");
    issuer.stop();
    std::fs::write(&certificate, "none").unwrap();
    issuer.start_refused().refused("TLS_CERTIFICATE");
}

#[tokio::test]
async fn administration_does_not_leave_loopback_without_tls() {
    let issuer = Issuer::init();
    let listen = free_address().replace("127.0.0.1", "0.0.0.0");
    issuer.configure(&operated(&listen, ""), PACK);
    let refused = issuer.start_refused();
    assert!(refused.errors.contains("admin.listen"), "{}", refused.errors);
    refused.refused("CONFIG_INVALID");
}
