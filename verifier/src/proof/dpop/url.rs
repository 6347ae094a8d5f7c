//! Comparing addresses as RFC 9449 §4.3 asks: without query and fragment, after normalisation.

use url::Url;

use crate::Reason;

/// The form in which two addresses are compared: RFC 3986 §6.2.2 and §6.2.3, without query and fragment.
///
/// Scheme and host in lower case, no default port, no dot segments, `/` for an empty path, escapes in upper case and of
/// unreserved characters undone. What follows is at most that a proof for one spelling of an address is good for another.
///
/// # Errors
/// `DPOP_MALFORMED` for anything but an http or https address in visible ASCII, without user information and without a
/// backslash, of at most 2,048 bytes.
pub fn normal_url(text: &str) -> Result<String, Reason> {
    // the parser would drop tabs and line breaks and turn backslashes around
    if text.len() > MAX_URL || text.bytes().any(|byte| !byte.is_ascii_graphic() || byte == b'\\') {
        return Err(Reason::DpopMalformed);
    }
    // and take `https:host` and `https:///host` for what they are not
    let has_host = text.split_once("://").is_some_and(|(_, rest)| !rest.starts_with('/'));
    let mut url = Url::parse(text).map_err(|_| Reason::DpopMalformed)?;
    let plain = matches!(url.scheme(), "http" | "https") && url.username().is_empty() && url.password().is_none();
    if !has_host || !plain {
        return Err(Reason::DpopMalformed);
    }
    url.set_query(None);
    url.set_fragment(None);
    unescape(url.as_str()).ok_or(Reason::DpopMalformed)
}

/// Undoes escapes of unreserved characters and writes the others in upper case (RFC 3986 §6.2.2.1, §6.2.2.2). `None` for
/// a percent sign that starts no escape: with what follows it, it could become one.
fn unescape(url: &str) -> Option<String> {
    let mut parts = url.split('%');
    let mut out = parts.next()?.to_owned();
    for part in parts {
        let (digits, behind) = part.split_at_checked(2)?;
        if !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return None;
        }
        match char::from(u8::from_str_radix(digits, 16).ok()?) {
            plain if plain.is_ascii_alphanumeric() || "-._~".contains(plain) => out.push(plain),
            _ => {
                out.push('%');
                out.push_str(&digits.to_ascii_uppercase());
            }
        }
        out.push_str(behind);
    }
    Some(out)
}

const MAX_URL: usize = 2048;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_of_one_address_are_equal() {
        let normal = normal_url("https://crm.example/tools/crm.read").unwrap();
        let same = [
            "https://crm.example/tools/crm.read",
            "HTTPS://CRM.Example/tools/crm.read",
            "https://crm.example:443/tools/crm.read",
            "https://crm.example/tools/crm.read?id=1",
            "https://crm.example/tools/crm.read#top",
            "https://crm.example/tools/../tools/./crm.read",
            "https://crm.example/tools/crm%2Eread",
            "https://crm.example/tools/crm%2eread",
            "https://crm.example/tool%73/crm.read",
        ];
        for text in same {
            assert_eq!(normal_url(text).as_deref(), Ok(normal.as_str()), "{text}");
        }
        assert_eq!(normal_url("https://crm.example"), normal_url("https://crm.example/"));
        assert_eq!(normal_url("https://crm.example/%c3%a9"), normal_url("https://crm.example/%C3%A9"));
    }

    #[test]
    fn other_addresses_stay_apart() {
        let normal = normal_url("https://crm.example/tools/crm.read").unwrap();
        let others = [
            "http://crm.example/tools/crm.read",
            "https://crm.example:8443/tools/crm.read",
            "https://crm.example./tools/crm.read",
            "https://crm.example.evil.example/tools/crm.read",
            "https://crm.example/tools/crm.read/",
            "https://crm.example/tools/CRM.read",
            "https://crm.example//tools/crm.read",
            "https://crm.example/tools%2Fcrm.read",
            "https://crm.example/tools/crm%252Eread",
            "https://crm.example/",
        ];
        for text in others {
            assert_ne!(normal_url(text).as_deref(), Ok(normal.as_str()), "{text}");
        }
    }

    #[test]
    fn what_is_no_plain_address_is_refused() {
        let long = format!("https://crm.example/{}", "a".repeat(2048));
        let table = [
            "",
            "/tools/crm.read",
            "crm.example/tools",
            "ftp://crm.example/",
            "file:///tools",
            "https://user@crm.example/",
            "https://:secret@crm.example/",
            "https://crm.example\\tools",
            "https://crm.example/to\tols",
            " https://crm.example/",
            "https://crm.\u{e9}xample/",
            "https://",
            "https:crm.example/",
            "https:///crm.example/",
            "https://crm.example/%",
            "https://crm.example/%2",
            "https://crm.example/%zz",
            "https://crm.example/%%32e",
            &long,
        ];
        for text in table {
            assert_eq!(normal_url(text), Err(Reason::DpopMalformed), "{text}");
        }
    }
}
