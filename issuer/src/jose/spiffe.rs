//! SPIFFE IDs: whose word a JWT-SVID is (SPIFFE-ID, section 2).

/// The trust domain of a SPIFFE ID of a workload, with its scheme: `spiffe://example.org` of `spiffe://example.org/db`.
/// `None` for anything that is not such an ID in its one form: a domain of small letters, a path of plain segments.
pub fn trust_domain(id: &str) -> Option<&str> {
    let (domain, path) = id.strip_prefix(SCHEME)?.split_once('/')?;
    let segments = path.split('/').all(|segment| {
        !matches!(segment, "" | "." | "..") && segment.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
    });
    let trust_domain = id.get(..SCHEME.len() + domain.len())?;
    (id.len() <= MAX_ID_BYTES && segments && is_trust_domain(trust_domain)).then_some(trust_domain)
}

/// Whether this names a trust domain, as `spiffe://example.org` does.
pub fn is_trust_domain(text: &str) -> bool {
    text.strip_prefix(SCHEME).is_some_and(|name| {
        (1..=MAX_NAME_BYTES).contains(&name.len())
            && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"._-".contains(&byte))
    })
}

const SCHEME: &str = "spiffe://";
const MAX_ID_BYTES: usize = 2048;
const MAX_NAME_BYTES: usize = 255;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spiffe_id_has_one_form() {
        for id in ["spiffe://example.org/db", "spiffe://example.org/ns/default/sa/Planner_1.v2", "spiffe://example.org/..a"] {
            assert_eq!(trust_domain(id), Some("spiffe://example.org"), "{id}");
        }
        for id in [
            "spiffe://example.org",
            "spiffe://example.org/",
            "spiffe://example.org//db",
            "spiffe://example.org/db/",
            "spiffe://example.org/./db",
            "spiffe://example.org/../db",
            "spiffe://example.org/d b",
            "spiffe://example.org/d%62",
            "spiffe://example.org/db?x",
            "spiffe://example.org/db#x",
            "spiffe://example.org:443/db",
            "spiffe://user@example.org/db",
            "spiffe://Example.org/db",
            "SPIFFE://example.org/db",
            "spiffe:///db",
            "https://example.org/db",
            "",
        ] {
            assert_eq!(trust_domain(id), None, "{id}");
        }
        assert_eq!(trust_domain(&format!("spiffe://example.org/{}", "a".repeat(2048))), None);
        assert!(is_trust_domain("spiffe://example.org"));
        assert!(!is_trust_domain("spiffe://example.org/") && !is_trust_domain("example.org"));
    }
}
