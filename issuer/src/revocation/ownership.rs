//! Whose a token is: a client ends what was issued to it, and what was made from that.

use narrows_verifier::{
    BlockId, Maker, Reason, TaskId, UnverifiedToken, VerifiedToken,
    log::{Leaf, Selection},
    proof::{RevokeClaims, check_revoke},
};

use super::{
    revoke::{By, Ending},
    target::Target,
};
use crate::{
    app::App,
    audit::Query,
    clients::Client,
    exchange::ExchangeError,
    log::{LogError, MintedRow, derives},
    record::spend,
};

/// How much of a token's chain is to fall.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// What the token adds to the one before it: its newest hop, with everything below. The token of the delegator stands.
    Last,
    /// The token that was minted, with everything below.
    Chain,
}

/// What of a presented token is to be ended, for its own client; `None` for a text that is no living token of this issuer,
/// since then nothing is left to do (RFC 7009 §2.2).
///
/// # Errors
/// `TOKEN_OTHER_CLIENT`, or what the log met.
pub fn of_token(app: &App, client: &Client, text: &str, reach: Reach) -> Result<Option<Ending>, ExchangeError> {
    let Some(token) = living(app, text) else { return Ok(None) };
    let minted = minted(app, &token)?;
    let owned = minted.is_some_and(|minted| minted.client == client.id);
    if !owned && !client.revoker {
        return Err(Reason::TokenOtherClient.into());
    }
    Ok(handle(&token, reach).map(|block| Ending { target: Target::Block(block), before_s: None, task: Some(token.authority.task) }))
}

/// The same for a handle alone, as an operator reads it in the log.
///
/// # Errors
/// `TOKEN_OTHER_CLIENT` for what is not the client's, also when the log knows nothing of it; or what the log met.
pub fn of_target(app: &App, client: &Client, target: Target, before_s: Option<u64>) -> Result<Ending, ExchangeError> {
    let (ending, owner) = whose(app, target, before_s)?;
    if owner.is_none_or(|owner| owner != client.id) && !client.revoker {
        return Err(Reason::TokenOtherClient.into());
    }
    Ok(ending)
}

/// The same for whoever may end everything, with the client that it was issued to, where the log knows one.
///
/// # Errors
/// What the log met.
pub fn whose(app: &App, target: Target, before_s: Option<u64>) -> Result<(Ending, Option<String>), ExchangeError> {
    let (task, owner) = match &target {
        Target::Task(task) => (Some(*task), app.log.task(task)?.and_then(|task| task.client)),
        Target::Block(block) => match recorded(app, block)? {
            Some((task, authority)) => (Some(task), app.log.minted(&task, &authority)?.map(|minted| minted.client)),
            None => (None, None),
        },
        // others have tokens of these as well
        Target::Subject(_) | Target::Agent(_) | Target::Key(_) => (None, None),
    };
    Ok((Ending { target, before_s, task }, owner))
}

/// What a holder wants to end by its own word: the newest hop of a sealed token, which its holder gives up, or whoever handed
/// it on takes back.
///
/// # Errors
/// `TOKEN_NOT_SEALED`, what the verifier refuses, `EXPIRED`, `HOLDER_THUMBPRINT` for a holder that makes no such proof, a
/// `PROOF_…` reason, `REVOCATION_RATE`, or what the log met.
pub async fn by_holder(app: &App, text: &str, proof: &str) -> Result<(By<'static>, Ending), ExchangeError> {
    let now = app.now_seconds();
    let token = UnverifiedToken::from_text(text).and_then(|token| token.verify(&app.roots())).map_err(|refusal| refusal.reason)?;
    // an open copy would put the right to append into a request body for no need
    if !token.sealed {
        return Err(Reason::TokenNotSealed.into());
    }
    if token.expires <= now {
        return Err(Reason::Expired.into());
    }
    let block = handle(&token, Reach::Last).ok_or(Reason::Internal)?;
    let holder = *token.holder.key()?;
    let named = token.blocks.iter().rev().find(|it| it.id == block);
    let delegator = if let Some(Maker::Delegator { signer, .. }) = named.map(|block| &block.maker) { *signer } else { holder };
    let once = check_revoke(proof, &RevokeClaims { issuer: &app.identifier, block }, [&delegator, &holder], now)?;
    let by = By::Holder(holder);
    by.take_turn(app)?;
    if let Some(reason) = app.log.spend(spend(once, Reason::ProofReplayed)).await? {
        return Err(reason.into());
    }
    Ok((by, Ending { target: Target::Block(block), before_s: None, task: Some(token.authority.task) }))
}

/// A token of this issuer that has not expired, or `None`. It may be revoked.
pub(crate) fn living(app: &App, text: &str) -> Option<VerifiedToken> {
    let token = UnverifiedToken::from_text(text).and_then(|token| token.verify(&app.roots())).ok()?;
    (token.authority.issuer == app.identifier && app.now_seconds() < token.expires).then_some(token)
}

/// For whom a token's authority block was minted.
pub(crate) fn minted(app: &App, token: &VerifiedToken) -> Result<Option<MintedRow>, LogError> {
    match token.blocks.first() {
        Some(authority) => app.log.minted(&token.authority.task, &authority.id),
        None => Ok(None),
    }
}

/// The block that a revocation of this token names. A plain block is no handle: whoever made it makes another.
pub(super) fn handle(token: &VerifiedToken, reach: Reach) -> Option<BlockId> {
    let mut handles = token.blocks.iter().filter(|block| block.maker != Maker::Anyone).map(|block| block.id);
    match reach {
        Reach::Last => handles.next_back(),
        Reach::Chain => handles.next(),
    }
}

/// The task and the authority block of a block that the log has, by a leaf of a token with it.
fn recorded(app: &App, block: &BlockId) -> Result<Option<(TaskId, BlockId)>, LogError> {
    let selection = Selection { block: Some(*block), ..Selection::default() };
    let found = app.archive.search(&Query { selection, ..Query::default() })?;
    let leaves = found.entries.iter().filter_map(|entry| Leaf::parse(entry.leaf.as_bytes()).ok());
    // others name blocks without the authority block before them
    Ok(leaves.filter(|leaf| derives(&leaf.kind)).filter_map(|leaf| Some((leaf.task?, *leaf.blocks.first()?))).next())
}
