use super::{super::tests::json, *};

fn url(text: &str) -> Result<Url, Reason> {
    Url::from_json(&json(text))
}

#[test]
fn every_named_part_must_be_as_named() {
    for (rule, text, expected) in [
        (r#"{"schemes":["https"]}"#, "https://a.example/", true),
        (r#"{"schemes":["https"]}"#, "https://a.example", true),
        (r#"{"schemes":["https"]}"#, "http://a.example/", false),
        (r#"{"schemes":["ws","http"]}"#, "ws://a.example/", true),
        (r#"{"hosts":["a.example"]}"#, "http://a.example/", false),
        (r#"{"hosts":["a.example"]}"#, "https://a.example:8443/x?y=z", true),
        (r#"{"hosts":["a.example"]}"#, "https://b.example/", false),
        (r#"{"hosts":["a.example"]}"#, "https://a.example.evil.net/", false),
        (r#"{"hosts":["a.example"]}"#, "https://evil.net/a.example", false),
        (r#"{"hosts":["a.example"]}"#, "https://evil.net/?@a.example", false),
        (r#"{"hosts":["*.a.example"]}"#, "https://x.a.example/", true),
        (r#"{"hosts":["*.a.example"]}"#, "https://x.y.a.example/", true),
        (r#"{"hosts":["*.a.example"]}"#, "https://a.example/", false),
        (r#"{"hosts":["*.a.example"]}"#, "https://xa.example/", false),
        (r#"{"hosts":["xn--bcher-kva.example"]}"#, "https://xn--bcher-kva.example/", true),
        (r#"{"hosts":["10.0.0.1","[2001:db8::1]"]}"#, "https://10.0.0.1/", true),
        (r#"{"hosts":["10.0.0.1","[2001:db8::1]"]}"#, "https://[2001:db8::1]:444/", true),
        (r#"{"hosts":["*.a.example"],"not_hosts":["x.a.example"]}"#, "https://x.a.example/", false),
        (r#"{"hosts":["*.a.example"],"not_hosts":["x.a.example"]}"#, "https://y.x.a.example/", true),
        (r#"{"not_hosts":["*.corp.example","10.0.0.1"]}"#, "https://a.corp.example/", false),
        (r#"{"not_hosts":["*.corp.example","10.0.0.1"]}"#, "https://10.0.0.1/", false),
        (r#"{"not_hosts":["*.corp.example","10.0.0.1"]}"#, "https://corp.example/", true),
        (r#"{"ports":[443,8443]}"#, "https://a.example/", true),
        (r#"{"ports":[443,8443]}"#, "https://a.example:8443/", true),
        (r#"{"ports":[443,8443]}"#, "https://a.example:444/", false),
        (r#"{"schemes":["http"],"ports":[443]}"#, "http://a.example/", false),
        (r#"{"ports":[1]}"#, "https://a.example:0/", false),
        (r#"{"path":"/v1/"}"#, "https://a.example/v1/", true),
        (r#"{"path":"/v1/"}"#, "https://a.example/v1/x/y?z", true),
        (r#"{"path":"/v1/"}"#, "https://a.example/v1", false),
        (r#"{"path":"/v1/"}"#, "https://a.example/V1/x", false),
        (r#"{"path":"/v1/"}"#, "https://a.example/?/v1/", false),
        (r#"{"path":"/v1"}"#, "https://a.example/v1", true),
        (r#"{"path":"/v1"}"#, "https://a.example/v1?x=1", true),
        (r#"{"path":"/v1"}"#, "https://a.example/v1/", false),
        (r#"{"path":"/v1"}"#, "https://a.example/v12", false),
        (r#"{"path":"/"}"#, "https://a.example", true),
        (r#"{"path":"/a%20b/%C3%A9"}"#, "https://a.example/a%20b/%C3%A9", true),
    ] {
        assert_eq!(self::url(rule).unwrap().test(text), Some(expected), "{rule} {text}");
    }
}

#[test]
fn hosts_that_are_not_on_the_internet_are_not_public() {
    let rule = url(r#"{"public":true,"schemes":["http","https"]}"#).unwrap();
    for (text, expected) in [
        ("https://example.com/", true),
        ("http://8.8.8.8/", true),
        ("https://[2606:4700::1111]/", true),
        ("https://localhost/", false),
        ("https://intranet/", false),
        ("https://app.localhost/", false),
        ("https://printer.local/", false),
        ("http://metadata.google.internal/", false),
        ("https://router.home.arpa/", false),
        ("https://kubernetes.default.svc/", false),
        ("https://x.svc.cluster.local/", false),
        ("https://a.test/", false),
        ("https://a.onion/", false),
        ("http://169.254.169.254/latest/meta-data/", false),
        ("http://127.0.0.1/", false),
        ("http://[::1]/", false),
        ("http://[fd00:ec2::254]/", false),
        ("http://[fe80::1]/", false),
    ] {
        assert_eq!(rule.test(text), Some(expected), "{text}");
    }
}

#[test]
fn texts_that_some_parser_reads_otherwise_are_not_read() {
    let rule = url(r#"{"schemes":["http","https","ws","wss"]}"#).unwrap();
    for text in [
        "",
        "a.example",
        "//a.example/",
        "/a",
        "https:a.example",
        "https:/a.example/",
        "https:///a.example/",
        "https://",
        "https:///",
        "https://?x",
        // userinfo, and what hides or imitates it
        "https://user@a.example/",
        "https://user:pw@a.example/",
        "https://@a.example/",
        "https://:@a.example/",
        "https://a.example@evil.net/",
        "https://a.example:443@evil.net/",
        "https://a.example%40evil.net/",
        "https://evil.net#@a.example/",
        "https://evil.net?@a.example/",
        "https://evil.net\\@a.example/",
        "https://a.example\\.evil.net/",
        "https:\\\\a.example\\",
        "https://a.example/\\..\\b",
        // addresses in other clothes
        "http://2130706433/",
        "http://0x7f000001/",
        "http://0x7f.1/",
        "http://017700000001/",
        "http://0177.0.0.1/",
        "http://127.1/",
        "http://0/",
        "http://127.0.0.1./",
        "http://127.000.000.001/",
        "http://１２７.0.0.1/",
        "http://127。0。0。1/",
        "http://1.2.3.4.5/",
        "http://256.1.1.1/",
        "http://[::ffff:127.0.0.1]/",
        "http://[::ffff:7f00:1]/",
        "http://[::7f00:1]/",
        "http://[64:ff9b::7f00:1]/",
        "http://[2002:7f00:1::]/",
        "http://[2001:0:1::]/",
        "http://[0:0:0:0:0:0:0:1]/",
        "http://[::1%25lo]/",
        "http://[::1%lo]/",
        "http://[FE80::1]/",
        "http://[::1/",
        "http://::1/",
        // names in other clothes
        "https://A.example/",
        "https://bücher.example/",
        "https://a.example./",
        "https://.a.example/",
        "https://a..example/",
        "https://ａ.example/",
        "https://a\u{ad}.example/",
        "https://a%2eexample/",
        "https://%61.example/",
        "https://*.example/",
        "https://a,b.example/",
        "https://a'b.example/",
        "https://a b.example/",
        "https://xn--/",
        // the rest of the normal form
        "HTTPS://a.example/",
        " https://a.example/",
        "https://a.example/ ",
        "https://a.exa\tmple/",
        "https://a.example/\n",
        "ht\ntps://a.example/",
        "https://a.example:443/",
        "http://a.example:80/",
        "https://a.example:/",
        "https://a.example:0443/",
        "https://a.example:65536/",
        "https://a.example?x",
        "https://a.example/#x",
        "https://a.example/#",
        "https://a.example#",
        "https://a.example/a?x#y",
        // paths
        "https://a.example/a/../b",
        "https://a.example/./a",
        "https://a.example/..",
        "https://a.example/%2e%2e/b",
        "https://a.example/%2E/b",
        "https://a.example/a%2fb",
        "https://a.example/a%2Fb",
        "https://a.example/a%5cb",
        "https://a.example/a%5Cb",
        "https://a.example/a%00",
        "https://a.example/%61",
        "https://a.example/%c3%a9",
        "https://a.example/%C0%AE",
        "https://a.example/%C3",
        "https://a.example/%252e",
        "https://a.example/%",
        "https://a.example/%3F",
        "https://a.example/%23",
        "https://a.example/%0A",
        "https://a.example/%7F",
        "https://a.example/%zz",
        "https://a.example/%2",
        "https://a.example/a//b",
        "https://a.example//b",
        "https://a.example/..;/b",
        "https://a.example/a;x=1",
        "https://a.example/a b",
        "https://a.example/é",
        "https://a.example/a|b",
        "https://a.example/a[b]",
        "https://a.example/a^b",
        // other schemes
        "ftp://a.example/",
        "file:///etc/passwd",
        "file://a.example/b",
        "gopher://a.example/",
        "data:text/plain,a",
        "javascript:alert(1)",
        "postgres://a.example/",
        "blob:https://a.example/x",
        "mailto:a@a.example",
    ] {
        assert_eq!(rule.test(text), None, "{text:?}");
    }
    assert_eq!(rule.test(&format!("https://a.example/{}", "a".repeat(MAX_TEXT))), None);
    assert_eq!(rule.test(&format!("https://{}.example/", "a".repeat(64))), None);
    assert_eq!(rule.test(&format!("https://{}example/", "a.".repeat(124))), None);
}

#[test]
fn rules_that_no_url_meets_or_with_two_spellings_are_refused() {
    for text in [
        "{}",
        r#""https://a.example/""#,
        r#"{"schemes":[]}"#,
        r#"{"schemes":["HTTPS"]}"#,
        r#"{"schemes":["file"]}"#,
        r#"{"schemes":["https","https"]}"#,
        r#"{"schemes":"https"}"#,
        r#"{"hosts":[]}"#,
        r#"{"hosts":["A.example"]}"#,
        r#"{"hosts":["a.example."]}"#,
        r#"{"hosts":["*"]}"#,
        r#"{"hosts":["*."]}"#,
        r#"{"hosts":["a.*.example"]}"#,
        r#"{"hosts":["*.*.example"]}"#,
        r#"{"hosts":["*a.example"]}"#,
        r#"{"hosts":["*.10.0.0.1"]}"#,
        r#"{"hosts":["a.example:443"]}"#,
        r#"{"hosts":["a.example:80"]}"#,
        r#"{"hosts":["a.example/"]}"#,
        r#"{"hosts":["u@a.example"]}"#,
        r#"{"hosts":["bücher.example"]}"#,
        r#"{"hosts":["127.1"]}"#,
        r#"{"hosts":["::1"]}"#,
        r#"{"hosts":["[::ffff:7f00:1]"]}"#,
        r#"{"hosts":[""]}"#,
        r#"{"not_hosts":[]}"#,
        r#"{"not_hosts":["A"]}"#,
        r#"{"ports":[]}"#,
        r#"{"ports":[0]}"#,
        r#"{"ports":[65536]}"#,
        r#"{"ports":[80,80]}"#,
        r#"{"ports":["80"]}"#,
        r#"{"ports":80}"#,
        r#"{"path":""}"#,
        r#"{"path":"a/"}"#,
        r#"{"path":"/a/../"}"#,
        r#"{"path":"/a?x"}"#,
        r#"{"path":"/a#x"}"#,
        r#"{"path":"/%2e/"}"#,
        r#"{"path":"/é"}"#,
        r#"{"path":"//"}"#,
        r#"{"path":":444/"}"#,
        r#"{"public":false}"#,
        r#"{"public":1}"#,
        r#"{"hosts":["a.example"],"scheme":["https"]}"#,
    ] {
        assert_eq!(url(text), Err(Reason::CaveatMalformed), "{text}");
    }
    let hosts = |count| (0..count).map(|n| format!("\"h{n}.example\"")).collect::<Vec<_>>().join(",");
    assert!(url(&format!(r#"{{"hosts":[{}]}}"#, hosts(32))).is_ok());
    assert_eq!(url(&format!(r#"{{"hosts":[{}]}}"#, hosts(33))), Err(Reason::CaveatMalformed));
    let ports = |count: u16| (1..=count).map(|port| port.to_string()).collect::<Vec<_>>().join(",");
    assert!(url(&format!(r#"{{"ports":[{}]}}"#, ports(16))).is_ok());
    assert_eq!(url(&format!(r#"{{"ports":[{}]}}"#, ports(17))), Err(Reason::CaveatMalformed));
    assert_eq!(url(&format!(r#"{{"path":"/{}"}}"#, "a".repeat(MAX_PATH))), Err(Reason::CaveatMalformed));
}

#[test]
fn the_default_scheme_is_written_out() {
    let rule = url(r#"{"public":true,"ports":[8443,443]}"#).unwrap();
    assert_eq!(rule.to_json().canonical(), r#"{"ports":[443,8443],"public":true,"schemes":["https"]}"#);
    assert_eq!(rule, url(r#"{"ports":[443,8443],"public":true,"schemes":["https"]}"#).unwrap());
}
