//! Configurations that can't be meant are errors, and name the key.

use super::*;

#[test]
fn unsafe_configurations_are_errors() {
    let build = |changes: Value| {
        let base = json!({"issuer": IDP, "audiences": ["client-1"]});
        let config: TrustedIssuer = serde_json::from_value(with(&base, changes)).map_err(|error| error.to_string())?;
        Federation::new(vec![config], OURS, NOW_S).map(|_| ()).map_err(|error| error.to_string())
    };
    assert_eq!(build(json!({})), Ok(()));
    assert_eq!(build(json!({"issuer": "http://127.0.0.1:9", "allow_loopback_http": true})), Ok(()));
    for (changes, message) in [
        (json!({"audience": "x"}), "unknown field"),
        (json!({"algorithms": ["HS256"]}), "unknown variant"),
        (json!({"algorithms": ["none"]}), "unknown variant"),
        (json!({"algorithms": []}), "empty `algorithms`"),
        (json!({"audiences": []}), "empty `audiences`"),
        (json!({"audiences": [""]}), "empty `audiences`"),
        (json!({"token_types": []}), "empty `token_types`"),
        (json!({"issuer": "http://127.0.0.1:9"}), "plain http"),
        (json!({"issuer": "http://idp.example", "allow_loopback_http": true}), "plain http"),
        (json!({"issuer": "https://10.0.0.1"}), "not public"),
        (json!({"jwks_url": "http://idp.example/keys"}), "plain http"),
    ] {
        let error = build(changes.clone()).unwrap_err();
        assert!(error.contains(message), "{changes}: {error}");
    }
    let config: TrustedIssuer = serde_json::from_value(json!({"issuer": IDP, "audiences": ["a"]})).unwrap();
    assert!(matches!(Federation::new(vec![config.clone(), config], OURS, NOW_S), Err(ConfigError::Twice(_))));
}

#[test]
fn keys_that_do_not_go_together_are_errors() {
    let file = "/nonexistent/keys.json";
    for (config, message) in [
        (json!({"issuer": OURS}), "this service itself"),
        (json!({"jwks_url": KEYS, "jwks_file": file}), "exclude each other"),
        (json!({"jwks_file": file}), "can't be read"),
        (json!({"jwks_file": file, "allow_private_address": true}), "nothing to fetch"),
        (json!({"issuer": ""}), "empty `issuer`"),
        (json!({"kind": "saml"}), "unknown variant"),
        (json!({"token_types": ["jwt_svid"]}), "unknown variant"),
        (json!({"kind": "spiffe"}), "trust domain"),
        (json!({"kind": "spiffe", "issuer": "spiffe://Example.org", "jwks_url": KEYS}), "trust domain"),
        (json!({"kind": "spiffe", "issuer": "spiffe://example.org/", "jwks_url": KEYS}), "trust domain"),
        (json!({"kind": "spiffe", "issuer": "spiffe://example.org"}), "bundle"),
        (json!({"kind": "spiffe", "issuer": "spiffe://example.org", "jwks_url": KEYS, "token_types": ["jwt"]}), "`token_types`"),
        (json!({"kind": "spiffe", "issuer": "spiffe://example.org", "jwks_url": "http://spire.example"}), "plain http"),
        (json!({"kind": "id_jag", "audiences": null}), "empty `clients`"),
        (json!({"kind": "id_jag", "clients": ["agent-1"]}), "`audiences`"),
        (json!({"kind": "id_jag", "audiences": null, "clients": ["agent-1"], "single_use": true}), "`single_use`"),
        (json!({"kind": "id_jag", "audiences": null, "clients": ["agent-1"], "token_types": ["jwt"]}), "`token_types`"),
        (json!({"clients": ["agent-1"]}), "`id_jag` alone"),
        (json!({"legacy_typ": true}), "`legacy_typ`"),
        (json!({"jwks_file": file, "ca_file": file}), "`ca_file`"),
        (json!({"issuer": "http://127.0.0.1:1", "allow_loopback_http": true, "ca_file": file}), "`ca_file`"),
        (json!({"legacy_typ": true, "token_types": ["access_token", "id_token"]}), "`legacy_typ`"),
        // a token without a scope would grant nothing as an access token, and whatever the policy says as a JWT
        (json!({"legacy_typ": true, "token_types": ["access_token", "jwt"]}), "`legacy_typ`"),
        (json!({"claim_map": {"namespace": "kubernetes.io/namespace"}}), "JSON pointers"),
        (json!({"claim_map": {"all": ""}}), "JSON pointers"),
        (json!({"claim_map": {"bad": "/a~2"}}), "JSON pointers"),
        (json!({"claim_map": {"": "/a"}}), "name of its own"),
        (json!({"claims": ["groups"], "claim_map": {"groups": "/roles"}}), "name of its own"),
    ] {
        let base = json!({"issuer": IDP, "audiences": ["client-1"]});
        let parsed = serde_json::from_value(with(&base, config.clone())).map_err(|error| error.to_string());
        let built = parsed.and_then(|parsed| Federation::new(vec![parsed], OURS, NOW_S).map(|_| ()).map_err(|error| error.to_string()));
        let error = built.unwrap_err();
        assert!(error.contains(message), "{config}: {error}");
    }
}

#[test]
fn an_issuer_of_logins_may_be_one_of_assertions_too() {
    let logins = json!({"issuer": IDP, "audiences": ["client-1"]});
    let assertions = json!({"issuer": IDP, "kind": "id_jag", "clients": ["agent-1"]});
    let both = [logins, assertions].map(|config| serde_json::from_value(config).unwrap());
    assert_eq!(Federation::new(both.into(), OURS, NOW_S).unwrap().trusted().count(), 2);
}
