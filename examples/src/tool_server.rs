//! Two tools over a table in memory, behind the guard. Nothing in here looks at a token.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use axum::{Extension, Json, Router, extract::State, http::StatusCode, routing::post};
use narrows::{
    json::{Key, Value},
    tool::{GuardLayer, PermittedCall},
};
use serde_json::json;

/// The customers and their balances.
#[derive(Clone)]
pub struct Table(Arc<Mutex<BTreeMap<i64, Customer>>>);

struct Customer {
    name: &'static str,
    balance: i64,
}

/// What a tool says: a status, and the result or what was wrong.
pub type Answer = (StatusCode, Json<serde_json::Value>);

impl Table {
    /// Three customers.
    pub fn sample() -> Self {
        let rows = [(1, "Aster Books"), (2, "Birch Foods"), (3, "Cedar Tools")];
        Self(Arc::new(Mutex::new(rows.into_iter().map(|(id, name)| (id, Customer { name, balance: 1_000 })).collect())))
    }

    /// `crm.read`: `{"id": integer}` gives the customer.
    pub fn read(&self, call: &PermittedCall) -> Answer {
        let Some(id) = integer(call, "id") else { return refuse(StatusCode::BAD_REQUEST, "`id` is not an integer") };
        let table = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match table.get(&id) {
            Some(customer) => (StatusCode::OK, Json(json!({"id": id, "name": customer.name, "balance": customer.balance}))),
            None => refuse(StatusCode::NOT_FOUND, "no such customer"),
        }
    }

    /// `payments.send`: `{"to": integer, "amount": integer, "currency": "EUR"}` adds to the customer's balance.
    pub fn send(&self, call: &PermittedCall) -> Answer {
        let (Some(to), Some(amount)) = (integer(call, "to"), integer(call, "amount").filter(|amount| *amount > 0)) else {
            return refuse(StatusCode::BAD_REQUEST, "`to` and a positive `amount` are integers");
        };
        if member(call, "currency").and_then(Value::as_text) != Some("EUR") {
            return refuse(StatusCode::BAD_REQUEST, "`currency` is not `EUR`");
        }
        let mut table = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(customer) = table.get_mut(&to) else { return refuse(StatusCode::NOT_FOUND, "no such customer") };
        let Some(balance) = customer.balance.checked_add(amount) else {
            return refuse(StatusCode::BAD_REQUEST, "the balance would overflow");
        };
        customer.balance = balance;
        (StatusCode::OK, Json(json!({"to": to, "balance": balance})))
    }
}

/// The tools behind the guard.
pub fn router(table: Table, guard: GuardLayer) -> Router {
    Router::new().route("/tools/crm.read", post(read)).route("/tools/payments.send", post(send)).layer(guard).with_state(table)
}

async fn read(State(table): State<Table>, Extension(call): Extension<PermittedCall>) -> Answer {
    table.read(&call)
}

async fn send(State(table): State<Table>, Extension(call): Extension<PermittedCall>) -> Answer {
    table.send(&call)
}

/// An argument of the permitted call, which is the value that the guard decided on.
fn member<'a>(call: &'a PermittedCall, name: &str) -> Option<&'a Value> {
    call.arguments.as_object()?.get(&Key(name.to_owned()))
}

fn integer(call: &PermittedCall, name: &str) -> Option<i64> {
    if let Value::Integer(number) = member(call, name)? { Some(*number) } else { None }
}

fn refuse(status: StatusCode, message: &str) -> Answer {
    (status, Json(json!({"message": message})))
}

#[cfg(test)]
mod tests {
    use narrows::{
        CallError, CallRefusal, EntryId, Held, HolderKey, NarrowRequest, Reason, RootKey, TaskId, ToolClient, arguments, caveats,
        tool::{Guard, GuardOptions, Manifest, Revocation, ToolKey, system_clock},
    };
    use narrows_verifier::{
        biscuit::{AuthorityClaims, authority_block},
        public_key, token_text,
    };

    use super::*;

    const AUDIENCE: &str = "https://tools.example";

    fn root() -> RootKey {
        RootKey::active(7, public_key(&[9; 32]))
    }

    /// A planner's token for both tools, made as an issuer would.
    fn planner(now: u64) -> Held {
        use biscuit_auth::{KeyPair, PrivateKey, builder::Algorithm, datalog::SymbolTable};
        let key = HolderKey::generate();
        let mut all = caveats(&format!(
            r#"[{{"kind":"tools","allow":["crm.read","payments.send"]}},{{"kind":"audience","one_of":["{AUDIENCE}"]}},{{"kind":"depth","max":1}}]"#
        ))
        .unwrap();
        all.push(narrows::Caveat::Expires(now + 60));
        let claims = AuthorityClaims {
            task: TaskId([1; 16]),
            entry: EntryId([2; 16]),
            issued: now,
            issuer: "https://issuer.example".into(),
            subject: "p-1".into(),
            agent: "planner".into(),
            holder: key.public().into(),
            actors: Vec::new(),
            lineage: Vec::new(),
            dev: false,
            caveats: all,
        };
        let pair = |byte: u8| KeyPair::from(&PrivateKey::from_bytes(&[byte; 32], Algorithm::Ed25519).unwrap());
        let token = authority_block(&claims).unwrap().root_key_id(7).build_with_key_pair(&pair(9), SymbolTable::new(), &pair(10)).unwrap();
        Held::new(&token_text(&token.to_vec().unwrap()), key, &root().into()).ok().unwrap()
    }

    async fn server() -> ToolClient {
        start(ToolKey::generate()).await.0
    }

    /// A client of a new server that opens sessions under this key, and the server's address.
    async fn start(key: ToolKey) -> (ToolClient, String) {
        let manifest = Manifest::parse(include_str!("../tool-server.toml")).unwrap().at_audience(AUDIENCE).unwrap();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let options = GuardOptions { accept_dev: false, replay_capacity: 100, revocation: Revocation::NotChecked };
        let guard = Guard::new(manifest.at_url(&address).unwrap(), root().into(), options).with_sessions(key, 10);
        let router = router(Table::sample(), GuardLayer::new(guard, system_clock()));
        tokio::spawn(async move { axum::serve(listener, router).await });
        (ToolClient::new(&address).unwrap(), address)
    }

    fn refusal(result: Result<serde_json::Value, CallError>) -> CallRefusal {
        match result {
            Err(CallError::Refused(refusal)) => *refusal,
            other => panic!("{other:?}"),
        }
    }

    #[tokio::test]
    async fn an_executor_pays_up_to_its_ceiling_and_not_beyond() {
        let now = system_clock()();
        let (client, planner) = (server().await, planner(now));
        let key = HolderKey::generate();
        let request = NarrowRequest {
            holder: key.public(),
            agent: "executor".into(),
            caveats: caveats(r#"[{"kind":"arg","tool":"payments.send","path":"/amount","is":{"range":{"max":100}}}]"#).unwrap(),
        };
        let executor = Held::new(&planner.narrow(&request, now).ok().unwrap().token, key, &root().into()).ok().unwrap();
        let prove = |tool: &str, text: &str| executor.prove(tool, &arguments(text).unwrap(), AUDIENCE, now);

        let paid = client.call(&prove("payments.send", r#"{"to":2,"amount":100,"currency":"EUR"}"#)).await.unwrap();
        assert_eq!(paid["balance"], 1_100);
        let refused = refusal(client.call(&prove("payments.send", r#"{"to":2,"amount":101,"currency":"EUR"}"#)).await);
        assert_eq!((refused.status, refused.reason.as_str(), refused.block), (403, "ARGUMENT_REFUSED", Some(1)));
        assert_eq!(refused.added_by.as_deref(), Some("planner"));
        let read = prove("crm.read", r#"{"id":2}"#);
        assert_eq!(client.call(&read).await.unwrap()["balance"], 1_100, "the refused payment did not run");
        assert_eq!(refusal(client.call(&read).await).reason, "PROOF_REPLAYED");
        assert_eq!(refusal(client.call(&prove("crm.drop", "{}")).await).reason, "UNKNOWN_TOOL");
        assert_eq!(refusal(client.call(&prove("crm.read", r#"{"id":9}"#)).await).status, 404);
    }

    #[tokio::test]
    async fn a_call_is_proved_by_signature_session_or_dpop() {
        let now = system_clock()();
        let key = ToolKey::generate();
        let pinned = key.public();
        let (client, address) = start(key).await;
        let planner = planner(now);
        let read = |id: u8| arguments(&format!("{{\"id\":{id}}}")).unwrap();

        let opening = planner.open_session(&["crm.read", "payments.send"], AUDIENCE, 60, now).unwrap();
        let session = client.open_session(opening, &pinned, now).await.unwrap();
        assert!(session.tools().iter().eq(["crm.read"]), "a payment can't be undone");
        for id in 1..=3 {
            let by_session = planner.session_proof(&session, "crm.read", &read(id), now).unwrap();
            assert_eq!(client.call(&by_session).await.unwrap()["id"], id);
            assert_eq!(refusal(client.call(&by_session).await).reason, "SESSION_COUNTER");
        }
        let other = planner.open_session(&["crm.read"], AUDIENCE, 60, now).unwrap();
        let refused = client.open_session(other, &ToolKey::generate().public(), now).await.err();
        assert_eq!(refused, Some(CallError::Session(Reason::SessionAcceptSignature)));

        for tool in ["crm.read", "payments.send"] {
            let text = if tool == "crm.read" { r#"{"id":2}"# } else { r#"{"to":2,"amount":1,"currency":"EUR"}"# };
            let call = arguments(text).unwrap();
            let by_signature = planner.prove(tool, &call, AUDIENCE, now);
            let by_dpop = planner.dpop(tool, &call, AUDIENCE, &address, now);
            for presentation in [&by_signature, &by_dpop] {
                client.call(presentation).await.unwrap();
                let again = refusal(client.call(presentation).await);
                assert_eq!((again.status, again.reason.as_str()), (401, "PROOF_REPLAYED"));
            }
        }
    }
}
