//! L1 across the service: what it makes of one of its own tokens permits nothing that the old one refuses.

use std::sync::{Arc, OnceLock};

use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Full};
use narrows_issuer::{
    app::App,
    clients::secret_hash,
    config::Config,
    http::router::Routes,
    keys::{KeyRole, SecretKey},
    service,
};
use narrows_tests::{holder::fresh, scratch::Scratch, tokens::Party};
use narrows_verifier::{
    Caveat, UnverifiedToken, VerifiedToken,
    biscuit::{append_hop, append_plain},
    caveat::{Tools, to_list},
    proof::{HolderClaims, NarrowClaims, dpop::thumbprint, narrow_request_digest, sign_holder, sign_narrow},
    token_bytes, token_text,
};
use proptest::{collection::vec, option, prelude::*, strategy::ValueTree, test_runner::TestRunner};
use rand_core::OsRng;
use sha2::{Digest, Sha256};
use tower::ServiceExt;

use super::{
    cases,
    generate::{OwnedCall, Step, Tree, call, caveat, tree},
};

/// What somebody asks the service to make of a token; whatever is left out, it fills in from the token.
#[derive(Clone, Debug)]
struct Wish {
    tools: Option<Tools>,
    audiences: Vec<String>,
    caveats: Vec<Caveat>,
    life: Option<u64>,
}

proptest! {
    #![proptest_config(cases(150))]

    #[test]
    fn the_service_makes_nothing_of_a_token_that_permits_more(tree in tree(), wish in wish(), calls in vec(call(), 1..12)) {
        let Some((old, new)) = desk().narrowed(&tree, &wish) else { return Ok(()) };
        prop_assert!(new.expires <= old.expires);
        prop_assert!(old.block_ids().iter().all(|id| new.authority.lineage.contains(id)));
        prop_assert_eq!((new.authority.task, &new.authority.subject), (old.authority.task, &old.authority.subject));
        prop_assert_eq!(new.holder, NEW_HOLDER.key().into());
        prop_assert!(hops_left(&new) <= hops_left(&old));
        for call in &calls {
            prop_assert!(!permits(&new, call) || permits(&old, call), "{call:?}");
        }
    }
}

/// A law that is met because nothing ever happens would be worth nothing.
#[test]
fn random_wishes_reach_every_answer() {
    let mut runner = TestRunner::deterministic();
    let (mut made, mut refused, mut permitted, mut denied) = (0, 0, 0, 0);
    for _ in 0..240 {
        let (tree, wish, call) = (tree(), wish(), call()).new_tree(&mut runner).unwrap().current();
        match desk().narrowed(&tree, &wish) {
            Some((_, new)) if permits(&new, &call) => (made, permitted) = (made + 1, permitted + 1),
            Some(_) => (made, denied) = (made + 1, denied + 1),
            None => refused += 1,
        }
    }
    for count in [made, refused, permitted, denied] {
        assert!(count >= 3, "{made} made, {refused} refused, {permitted} permitted, {denied} denied");
    }
}

fn wish() -> impl Strategy<Value = Wish> {
    let tools = option::weighted(
        0.5,
        caveat().prop_filter_map("tools alone", |caveat| match caveat {
            Caveat::Tools(tools) => Some(tools),
            _ => None,
        }),
    );
    let audience = prop::sample::select(vec!["https://a.example", "https://b.example"]).prop_map(str::to_owned);
    (tools, vec(audience, 0..2), vec(caveat(), 0..3), option::weighted(0.2, 1_u64..60)).prop_map(|(tools, audiences, caveats, life)| Wish {
        tools,
        audiences,
        caveats,
        life,
    })
}

fn permits(token: &VerifiedToken, call: &OwnedCall) -> bool {
    token.decide_with(&call.borrow(), &call.state).is_ok()
}

fn hops_left(token: &VerifiedToken) -> u32 {
    let depths = token.blocks.iter().flat_map(|block| block.caveats.iter());
    let least = depths.filter_map(|caveat| if let Caveat::Depth(max) = caveat { Some(*max) } else { None }).min().unwrap();
    least.saturating_sub(u32::try_from(token.depth()).unwrap())
}

/// A service in process, whose clock stands at the time of the random calls.
struct Desk {
    app: Arc<App>,
    router: Routes,
    runtime: tokio::runtime::Runtime,
    _scratch: Scratch,
}

fn desk() -> &'static Desk {
    static DESK: OnceLock<Desk> = OnceLock::new();
    DESK.get_or_init(Desk::open)
}

impl Desk {
    fn open() -> Self {
        let scratch = Scratch::new();
        let hash = secret_hash(SECRET);
        let text = format!(
            "issuer = \"{ISSUER}\"\nlisten = \"127.0.0.1:1\"\ndata_dir = \"{}\"\n[log]\norigin = \"narrows.example/log\"\n\
             [[client]]\nid = \"app\"\nauth_method = \"client_secret_basic\"\nsecret_hashes = [\"{hash}\"]\n\
             grants = [\"token_exchange\", \"client_credentials\"]\n\
             [limits]\nmax_client_tokens_per_minute = 1000000\nmax_subject_tokens_per_minute = 1000000\n",
            scratch.join("").display()
        );
        let config = Config::parse(&text).unwrap();
        for (role, file) in
            [(KeyRole::Issuer, config.issuer_key_file()), (KeyRole::Log, config.log_key_file()), (KeyRole::Feed, config.feed_key_file())]
        {
            SecretKey::generate(role, &mut OsRng).write_new(&file).unwrap();
        }
        service::init_log(&config, false, NOW * 1000).unwrap();
        let service = service::open(&config, PACK, None, Arc::new(|| NOW * 1000)).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        Self { app: service.app, router: service.router, runtime, _scratch: scratch }
    }

    /// A token of this tree's blocks, one after the other, and what the service makes of it; nothing where it refuses.
    fn narrowed(&self, tree: &Tree, wish: &Wish) -> Option<(VerifiedToken, VerifiedToken)> {
        let (old, holder) = self.token(tree)?;
        let verified = self.verify(&old)?;
        let details = wish.tools.as_ref().map(|tools| details(tools, &wish.caveats));
        let life = wish.life.map(|life| life.to_string());
        let mut form = vec![("grant_type", EXCHANGE), ("subject_token", &old), ("subject_token_type", "urn:narrows:token-type:biscuit")];
        form.extend(wish.audiences.iter().map(|audience| ("audience", audience.as_str())));
        form.extend(details.iter().map(|details| ("authorization_details", details.as_str())));
        form.extend(life.iter().map(|life| ("expires_in", life.as_str())));
        let claims = NarrowClaims {
            issuer: ISSUER,
            client: "app",
            block: verified.newest(),
            new_holder: thumbprint(&NEW_HOLDER.key()),
            request_digest: narrow_request_digest(form.iter().copied()),
        };
        let consent = sign_narrow(&claims, NOW, &fresh(), &holder.seed);
        form.push(("narrow_proof", &consent));
        let new = self.send(&form, &NEW_HOLDER, &old)?;
        let new = self.verify(&new).expect("what the service makes verifies");
        Some((verified, new))
    }

    fn token(&self, tree: &Tree) -> Option<(String, Party)> {
        let tools = tree.authority.iter().find_map(|caveat| if let Caveat::Tools(tools) = caveat { Some(tools) } else { None })?;
        let audiences = tree.authority.iter().find_map(|caveat| if let Caveat::Audience(names) = caveat { Some(names) } else { None })?;
        let details = details(tools, &tree.authority);
        let mut form = vec![("grant_type", "client_credentials"), ("authorization_details", details.as_str())];
        form.extend(audiences.iter().map(|audience| ("audience", audience.as_str())));
        let mut holder = Party { name: "planner", seed: [11; 32] };
        let mut token = token_bytes(&self.send(&form, &holder, "")?).unwrap();
        for (number, (_, step)) in (20_u8..).zip(&tree.steps) {
            let made = match step {
                Step::Hop(caveats) => {
                    let to = Party { name: "helper", seed: [number; 32] };
                    append_hop(&token, &holder.seed, &to.claims(caveats.clone()), &fresh()).map(|made| (made, to))
                }
                Step::Plain(caveats) => append_plain(&token, caveats, &fresh()).map(|made| (made, holder)),
            };
            // a step that no token can take is left out
            if let Ok((made, to)) = made
                && self.verify(&token_text(&made)).is_some()
            {
                (token, holder) = (made, to);
            }
        }
        Some((token_text(&token), holder))
    }

    fn verify(&self, token: &str) -> Option<VerifiedToken> {
        UnverifiedToken::from_text(token).and_then(|token| token.verify(&self.app.roots())).ok()
    }

    fn send(&self, form: &[(&str, &str)], holder: &Party, subject: &str) -> Option<String> {
        let claims = HolderClaims { issuer: ISSUER, client: "app", subject_digest: Sha256::digest(subject).into() };
        let proof = sign_holder(&claims, NOW, &fresh(), &holder.seed);
        let key = narrows_tests::holder::holder(&holder.seed).req_cnf();
        let proofs = [("req_cnf", key.as_str()), ("holder_proof", &proof)];
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(form.iter().copied().chain(proofs)).finish();
        let basic = format!("Basic {}", STANDARD.encode(format!("app:{SECRET}")));
        let request = Request::post("/oauth/token").header("authorization", basic);
        let request = request.header("content-type", "application/x-www-form-urlencoded").body(Full::new(Bytes::from(body))).unwrap();
        self.runtime.block_on(async {
            let response = self.router.clone().oneshot(request).await.unwrap();
            let status = response.status();
            let body = response.into_body().collect().await.unwrap().to_bytes();
            let answer: serde_json::Value = serde_json::from_slice(&body).unwrap();
            assert!(status == StatusCode::OK || status == StatusCode::BAD_REQUEST, "{answer}");
            answer["access_token"].as_str().map(str::to_owned)
        })
    }
}

/// Details that ask for these tools, with what is left of the caveats.
fn details(tools: &Tools, caveats: &[Caveat]) -> String {
    let others: Vec<_> = caveats
        .iter()
        .filter(|caveat| **caveat != Caveat::Tools(tools.clone()) && !matches!(caveat, Caveat::Audience(_)))
        .cloned()
        .collect();
    let [tools, caveats] = [tools.to_json(), to_list(&others)].map(|value| value.canonical());
    format!(r#"[{{"type":"narrows","tools":{tools},"caveats":{caveats}}}]"#)
}

const ISSUER: &str = "https://narrows.example";
const EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
const SECRET: &str = "secret";
const NOW: u64 = 90;
const NEW_HOLDER: Party = Party { name: "worker", seed: [14; 32] };
const PACK: &str = r#"
pack = "laws"
version = 1
[limits]
max_life_seconds = 1000
max_depth = 15
[[rule]]
name = "everything that random tokens name"
when = 'client("app")'
any_audience = true
tools = ["read", { prefix = "a" }, { prefix = "b" }, { prefix = "x" }, { suffix = "a" }, { suffix = "a." }, { suffix = "b" }, { suffix = "x" }]
"#;
