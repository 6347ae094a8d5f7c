//! One file per verb. What people read goes to standard output, log lines and faults to standard error.
#![expect(clippy::print_stderr, reason = "a command line tells its faults on standard error")]

#[macro_use]
mod output;

mod admin;
mod audit;
mod bench;
mod consent;
mod demo;
mod init;
mod input;
mod issuer;
mod key;
mod keys;
mod revoke;
mod serve;
mod token;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use narrows_issuer::http::{Listener, openapi};

/// Authority for AI agents that can only narrow.
#[derive(Parser)]
#[command(name = "narrows", version, about, long_about = None, arg_required_else_help = true)]
struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Play the whole road on this machine: login, token, delegation, tool call, proof
    Demo,
    /// Make keys, log, policy pack and configuration in a new data directory
    Init(init::Init),
    /// Run the issuer
    Serve(serve::Serve),
    /// Check a configuration file
    #[command(subcommand)]
    Config(ConfigVerb),
    /// Look at the trusted issuers, and why a token of one is refused
    #[command(subcommand)]
    Issuer(issuer::Issuer),
    /// Make an agent's key
    #[command(subcommand)]
    Key(key::Key),
    /// Replace the keys that sign tokens, while the service runs
    #[command(subcommand)]
    Keys(keys::Keys),
    /// Look at, narrow, prove or verify a token, offline; and end one at the issuer
    #[command(subcommand)]
    Token(token::Token),
    /// Administer a running issuer: clients, tasks, keys; and look at what it runs with
    Admin(admin::Admin),
    /// Check the log
    #[command(subcommand)]
    Audit(Box<audit::Audit>),
    /// Print the document that describes every route (OpenAPI 3.1)
    Openapi {
        /// The routes of administration, in place of those of the public listener
        #[arg(long)]
        administration: bool,
    },
    /// Measure this machine
    #[command(subcommand)]
    Bench(bench::Bench),
}

#[derive(Subcommand)]
enum ConfigVerb {
    /// Say what is wrong with a configuration file, or that nothing is
    Check {
        /// The TOML file
        file: std::path::PathBuf,
    },
}

/// Runs the verb that the arguments name. Exit code 0: done and in order; 1: refused or not in order; 2: bad arguments.
pub(crate) fn run() -> ExitCode {
    let done = match Arguments::parse().verb {
        Verb::Demo => demo::run(),
        Verb::Init(init) => init.run(),
        Verb::Serve(serve) => serve.run(),
        Verb::Config(ConfigVerb::Check { file }) => check_config(&file),
        Verb::Issuer(issuer) => issuer.run(),
        Verb::Key(key) => key.run(),
        Verb::Keys(keys) => keys.run(),
        Verb::Token(token) => token.run(),
        Verb::Admin(admin) => admin.run(),
        Verb::Audit(audit) => audit.run(),
        Verb::Openapi { administration } => print_openapi(administration),
        Verb::Bench(bench) => bench.run(),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("narrows: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn check_config(file: &std::path::Path) -> anyhow::Result<()> {
    let config = narrows_issuer::config::Config::load(file)?;
    let pack = narrows_issuer::service::read_pack(&config)?;
    let pack = narrows_policies::Pack::parse(&pack)?;
    say!("{}: in order, policy pack {}", file.display(), pack.digest());
    Ok(())
}

fn print_openapi(administration: bool) -> anyhow::Result<()> {
    let listener = if administration { Listener::Administration } else { Listener::Public };
    say!("{}", openapi::text(listener));
    Ok(())
}

/// A runtime for the verbs that talk to the network.
fn block_on<T>(future: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(future)
}
