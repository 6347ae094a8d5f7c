//! The pages of the development identity provider: no script, one inline style that the content policy names by hash.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{Html, IntoResponse as _, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256};
use url::Url;

/// The login form. `ticket` is the single-use name under which the request waits for the password.
pub(super) fn login(status: StatusCode, problem: Option<&str>, ticket: &str, client_id: &str, return_to: &Url) -> Response {
    let problem = problem.map(|text| format!("<p class=\"problem\" role=\"alert\">{}</p>\n", escape(text)));
    let body = format!(
        "<h1>Sign in</h1>\n\
         <p><strong>{client}</strong> asks who you are. Your password was printed where the service was started.</p>\n\
         {problem}\
         <form method=\"post\" autocomplete=\"off\">\n\
         <input type=\"hidden\" name=\"ticket\" value=\"{ticket}\">\n\
         <label for=\"username\">Name</label>\n\
         <input id=\"username\" name=\"username\" autocomplete=\"username\" autocapitalize=\"none\" spellcheck=\"false\" required autofocus>\n\
         <label for=\"password\">Password</label>\n\
         <input id=\"password\" name=\"password\" type=\"password\" autocomplete=\"current-password\" required>\n\
         <button type=\"submit\">Sign in</button>\n\
         </form>\n",
        client = escape(client_id),
        problem = problem.unwrap_or_default(),
        ticket = escape(ticket),
    );
    // Browsers hold the redirect after a form to `form-action` too, so the place to return to is named.
    let form_targets = format!("'self' {}", return_to.origin().ascii_serialization());
    page(status, "Sign in", &body, &form_targets)
}

/// A page that says one thing.
pub(super) fn notice(status: StatusCode, message: &str) -> Response {
    page(status, "Not signed in", &format!("<h1>Not signed in</h1>\n<p role=\"alert\">{}</p>\n", escape(message)), "'none'")
}

/// The answer after too many wrong passwords.
pub(super) fn throttled() -> Response {
    let mut response = notice(StatusCode::TOO_MANY_REQUESTS, "Too many wrong passwords. Wait a minute, then start again.");
    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("60"));
    response
}

fn page(status: StatusCode, title: &str, body: &str, form_targets: &str) -> Response {
    let html = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>{title} · development identity provider</title>\n<style>{STYLE}</style>\n</head>\n<body>\n\
         <p class=\"mark\" role=\"note\"><strong>Development only.</strong> This identity provider runs on this machine for trying things out. Never type a real password here.</p>\n\
         <main>\n{body}</main>\n</body>\n</html>\n"
    );
    let policy = format!(
        "default-src 'none'; style-src 'sha256-{}'; form-action {form_targets}; base-uri 'none'; frame-ancestors 'none'",
        STANDARD.encode(Sha256::digest(STYLE))
    );
    match HeaderValue::from_str(&policy) {
        Ok(policy) => (status, [(header::CONTENT_SECURITY_POLICY, policy)], Html(html)).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    escaped
}

const STYLE: &str = "\
:root{color-scheme:light dark;--line:#8886;--accent:#1f6f5c}\
*{box-sizing:border-box}\
body{margin:0;font:1rem/1.5 system-ui,sans-serif}\
.mark{margin:0;padding:.6rem 1rem;background:#f2c14e;color:#221a00;text-align:center}\
main{max-width:24rem;margin:8vh auto 2rem;padding:0 1.25rem}\
h1{font-size:1.5rem;margin:0 0 .5rem}\
label{display:block;margin:1rem 0 .25rem;font-weight:600}\
input:not([type=hidden]){width:100%;padding:.6rem .7rem;font:inherit;border:1px solid var(--line);border-radius:.4rem}\
button{width:100%;margin-top:1.5rem;padding:.7rem;font:inherit;font-weight:600;border:0;border-radius:.4rem;\
background:var(--accent);color:#fff;cursor:pointer}\
:focus-visible{outline:3px solid #5aa9e6;outline-offset:2px}\
.problem{padding:.6rem .8rem;border-left:4px solid #c0392b;background:#c0392b22}";
