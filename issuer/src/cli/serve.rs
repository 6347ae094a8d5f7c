//! `narrows serve`: the issuer, for real or for development.

use std::{net::SocketAddr, path::PathBuf, sync::Arc};

use anyhow::Context;
use clap::Args;
use narrows_issuer::{
    app::App,
    clients::{generate_secret, secret_hash},
    clock::system_clock,
    config::{self, AuthMethod, Client, ClientCeiling, ClientGrant, Config},
    federation::TrustedIssuer,
    http::{
        Listener,
        dev_idp::DevUser,
        serve::{Drained, serve_over, stop_signal},
        tls::Tls,
    },
    init::make_private_directory,
    keyring,
    keys::{KeyRole, SecretKey},
    service::{self, Development, Service},
    telemetry,
};
use rand_core::OsRng;
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
};
use zeroize::Zeroizing;

use super::output;

/// The flags of `narrows serve`.
#[derive(Args)]
pub(super) struct Serve {
    /// The configuration file
    #[arg(long, value_name = "FILE", required_unless_present = "dev", conflicts_with = "dev")]
    config: Option<PathBuf>,
    /// Go on although the log's anchor is gone: a log that was rolled back would not be noticed
    #[arg(long, requires = "config")]
    accept_missing_anchor: bool,
    /// Development mode: loopback only, with an identity provider of its own; not for production
    #[arg(long)]
    dev: bool,
    /// Development mode: the loopback address to listen on
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8420", requires = "dev")]
    listen: SocketAddr,
    /// Development mode: the data directory; without it, a temporary one that is thrown away
    #[arg(long, value_name = "DIR", requires = "dev")]
    data: Option<PathBuf>,
}

/// A development issuer that is ready to be served, with what a person needs to try it.
pub(super) struct DevService {
    pub(super) service: Service,
    pub(super) config: Config,
    pub(super) listener: TcpListener,
    pub(super) client_secret: Zeroizing<String>,
    pub(super) password: Zeroizing<String>,
}

impl Serve {
    pub(super) fn run(self) -> anyhow::Result<()> {
        super::block_on(async {
            match self.config {
                Some(file) => serve_configured(&file, self.accept_missing_anchor).await,
                None => serve_development(self.listen, self.data).await,
            }
        })
    }
}

async fn serve_configured(file: &std::path::Path, accept_missing_anchor: bool) -> anyhow::Result<()> {
    let mut config = Config::load(file)?;
    config.log.accept_missing_anchor = accept_missing_anchor;
    telemetry::start(&config.telemetry)?;
    let pack = service::read_pack(&config)?;
    let service = service::open(&config, &pack, None, system_clock())?;
    let listener = TcpListener::bind(config.listen).await.with_context(|| format!("can't listen on {}", config.listen))?;
    if let Some(witnesses) = &service.app.witnesses {
        witnesses.check(&service.app.log).await?;
    }
    let admin = match &service.admin {
        None => None,
        Some(_) => {
            let listen = config.admin.listen;
            let listener = TcpListener::bind(listen).await.with_context(|| format!("can't listen on {listen} for administration"))?;
            tracing::info!(%listen, "administration");
            Some(listener)
        }
    };
    tracing::info!(issuer = config.issuer, listen = %config.listen, "serving");
    drain(run(&config, listener, admin, service).await?)
}

async fn serve_development(listen: SocketAddr, data: Option<PathBuf>) -> anyhow::Result<()> {
    let scratch = data.is_none().then(Scratch::new).transpose()?;
    let data = data.or_else(|| scratch.as_ref().map(|scratch| scratch.0.clone())).context("no data directory")?;
    let dev = open_development(listen, data).await?;
    telemetry::start(&dev.config.telemetry)?;
    output::print(format_args!("{}", instructions(&dev)));
    drain(run(&dev.config, dev.listener, None, dev.service).await?)
}

/// Opens a development issuer: binds first, so that the issuer identifier names the true port.
pub(super) async fn open_development(listen: SocketAddr, data: PathBuf) -> anyhow::Result<DevService> {
    let listener = TcpListener::bind(listen).await.with_context(|| format!("can't listen on {listen}"))?;
    let mut config = Config::development(listener.local_addr()?, data)?;
    let clock = system_clock();
    if !service::log_file(&config).exists() {
        make_private_directory(&config.data_dir)?;
        let keys = [
            (KeyRole::Issuer, config.issuer_key_file()),
            (KeyRole::Log, config.log_key_file()),
            (KeyRole::Feed, config.feed_key_file()),
            (KeyRole::Jwt, config.jwt_key_file()),
        ];
        for (role, file) in keys {
            if !file.exists() {
                SecretKey::generate(role, &mut OsRng).write_new(&file)?;
            }
        }
        service::init_log(&config, true, clock())?;
    }
    let client_secret = generate_secret(&mut OsRng);
    config.client = vec![Client {
        id: CLIENT.into(),
        auth_method: AuthMethod::ClientSecretBasic,
        secret_hashes: vec![secret_hash(&client_secret)],
        jwks: None,
        grants: vec![ClientGrant::TokenExchange, ClientGrant::ClientCredentials],
        dpop_bound_access_tokens: false,
        agents: None,
        ceiling: ClientCeiling::default(),
        resource_server: false,
        audiences: Vec::new(),
        revoker: false,
    }];
    config.trusted_issuer = vec![TrustedIssuer::development(&format!("{}/dev/idp", config.issuer), CLIENT)];
    let password = generate_secret(&mut OsRng);
    let user = DevUser {
        name: "alice".into(),
        password: password.clone(),
        email: Some("alice@example.com".into()),
        groups: vec!["finance".into()],
    };
    let development = Development { users: vec![user], clients: vec![CLIENT.into()] };
    let service = service::open(&config, narrows_policies::STARTER, Some(development), Arc::clone(&clock))?;
    Ok(DevService { service, config, listener, client_secret, password })
}

/// Serves until SIGTERM or SIGINT.
async fn run(config: &Config, listener: TcpListener, admin: Option<TcpListener>, service: Service) -> anyhow::Result<Drained> {
    let (stop, stop_administration) = (stop_signal()?, stop_signal()?);
    // its own watchers come later, and until one is there a process ends by it
    let _hangup = signal(SignalKind::hangup())?;
    let (clock, metrics) = (Arc::clone(&service.app.clock), Arc::clone(&service.app.metrics));
    let certified = |listener, files: &Option<config::Tls>| {
        files.as_ref().map(|files| Tls::open(listener, files, Arc::clone(&clock), Arc::clone(&metrics))).transpose()
    };
    let (tls, admin_tls) = (certified(Listener::Public, &config.tls)?, certified(Listener::Administration, &config.admin.tls)?);
    // What was ordered while nobody served, such as to give a key up, is done before anybody is.
    keyring::take_order(&service.app).await.map_err(|reason| anyhow::anyhow!("an order about keys can't be carried out ({reason})"))?;
    let keys = tokio::spawn(follow_keys(Arc::clone(&service.app)));
    let following: Vec<_> = [&tls, &admin_tls].into_iter().flatten().map(|tls| tokio::spawn(follow_certificate(Arc::clone(tls)))).collect();
    let administering = service.admin.zip(admin).map(|(router, listener)| {
        let (limits, metrics) = (config.limits.clone(), Arc::clone(&service.app.metrics));
        tokio::spawn(async move { serve_over(admin_tls, listener, router, &limits, metrics, stop_administration).await })
    });
    let witnessing = service.app.witnesses.clone().map(|witnesses| {
        let log = Arc::clone(&service.app.log);
        tokio::spawn(async move { witnesses.run(log).await })
    });
    let retaining = tokio::spawn(service::retain(Arc::clone(&service.app)));
    let drained = serve_over(tls, listener, service.router, &config.limits, Arc::clone(&service.app.metrics), stop).await;
    // It was told to stop by the same signal, and holds the log as well.
    let administered = match administering {
        Some(task) => task.await.unwrap_or(Drained::CutOff(1)),
        None => Drained::Whole,
    };
    for task in witnessing.into_iter().chain(following).chain([retaining, keys]) {
        // Until the task has gone, it holds the log, whose file is whole only when the last holder lets go.
        task.abort();
        let _ = task.await;
    }
    Ok(match (drained, administered) {
        (Drained::Whole, other) | (other, Drained::Whole) => other,
        (Drained::CutOff(requests), Drained::CutOff(more)) => Drained::CutOff(requests + more),
    })
}

async fn follow_certificate(tls: Arc<Tls>) {
    if let Err(error) = tls.follow().await {
        tracing::error!(%error, "can't listen for SIGHUP, a new certificate takes a restart");
    }
}

async fn follow_keys(app: Arc<App>) {
    if let Err(error) = keyring::follow(app).await {
        tracing::error!(%error, "can't listen for SIGHUP, orders about keys take a restart");
    }
}

fn drain(drained: Drained) -> anyhow::Result<()> {
    match drained {
        Drained::Whole => Ok(()),
        Drained::CutOff(requests) => anyhow::bail!("{requests} requests were cut off"),
    }
}

/// Copy-paste lines for a shell: log in, make a key, get a token.
fn instructions(dev: &DevService) -> String {
    let issuer = &dev.config.issuer;
    let secret = dev.client_secret.as_str();
    let password = dev.password.as_str();
    format!(
        r#"narrows DEVELOPMENT issuer on {issuer} - loopback only, not for production
data {data}

# 1. log in as alice (a page: open the URL in a browser; or, scripted:)
VERIFIER=$(head -c 32 /dev/urandom | basenc --base64url -w0 | tr -d =)
CHALLENGE=$(printf %s "$VERIFIER" | openssl dgst -sha256 -binary | basenc --base64url -w0 | tr -d =)
LOGIN='{issuer}/dev/idp/authorize?response_type=code&client_id={CLIENT}&redirect_uri=http%3A%2F%2F127.0.0.1%2Fcallback&scope=openid&state=s&nonce=n&code_challenge_method=S256&code_challenge='$CHALLENGE
TICKET=$(curl -s "$LOGIN" | sed -n 's/.*name="ticket" value="\([^"]*\)".*/\1/p')
CODE=$(curl -s -o /dev/null -w '%{{redirect_url}}' -d username=alice -d 'password={password}' --data-urlencode "ticket=$TICKET" {issuer}/dev/idp/authorize | sed 's/.*[?&]code=\([^&]*\).*/\1/')
ID_TOKEN=$(curl -s -d grant_type=authorization_code -d client_id={CLIENT} --data-urlencode "code=$CODE" --data-urlencode "code_verifier=$VERIFIER" -d redirect_uri=http://127.0.0.1/callback {issuer}/dev/idp/token | sed 's/.*"id_token":"\([^"]*\)".*/\1/')

# 2. make the agent's key, and prove it
narrows key new --out planner.key
PROOF=$(narrows key prove --key planner.key --issuer {issuer} --client {CLIENT} --subject-token "$ID_TOKEN")

# 3. exchange the login for a capability
curl -s -u '{CLIENT}:{secret}' {issuer}/oauth/token \
  -d grant_type=urn:ietf:params:oauth:grant-type:token-exchange \
  -d subject_token_type=urn:ietf:params:oauth:token-type:id_token --data-urlencode "subject_token=$ID_TOKEN" \
  -d "req_cnf=$(narrows key cnf --key planner.key)" --data-urlencode "holder_proof=$PROOF" \
  -d audience=https://payments.example \
  --data-urlencode 'authorization_details=[{{"type":"narrows","tools":["crm.read","payments.send"],"agent":"planner"}}]' > answer.json

# 4. look at it, and check the log
narrows token inspect answer.json --issuer {issuer}
narrows audit verify --data {data} --answer answer.json
"#,
        data = dev.config.data_dir.display(),
    )
}

/// A directory that goes away with the process.
pub(super) struct Scratch(pub(super) PathBuf);

impl Scratch {
    pub(super) fn new() -> anyhow::Result<Self> {
        use std::os::unix::fs::DirBuilderExt;
        let name = generate_secret(&mut OsRng);
        let path = std::env::temp_dir().join(format!("narrows-{}", name.get(..16).unwrap_or(&name)));
        std::fs::DirBuilder::new().mode(0o700).create(&path)?;
        Ok(Self(path))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // losing a temporary directory of throw-away keys is no fault worth reporting at exit
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// The one client of development mode.
pub(super) const CLIENT: &str = "planner-app";
