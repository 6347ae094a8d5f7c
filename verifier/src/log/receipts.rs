//! What a verifier can demand beside a token: receipts which show that the token's derivations are in a log.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::Deserialize;

use super::kind::Kind;
use super::leaf::{Leaf, MAX_LEAF_BYTES, Verdict};
use super::receipt::VerifiedReceipt;
use super::refusal::LogRefusal;
use crate::{Block, EntryId, Maker, Reason, VerifiedToken};

/// Which derivations of a token must be shown to be in a log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReceiptDemand {
    /// None. Receipts that come nevertheless are not looked at.
    #[default]
    None,
    /// The issuer's making of the authority block, and of each hop that the issuer signed.
    Authority,
    /// That, and each hop.
    EveryHop,
}

/// A receipt and the exact bytes of its leaf, as presented: nothing of it has been verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PresentedReceipt {
    /// The leaf.
    pub leaf: Vec<u8>,
    /// The receipt of it.
    pub receipt: String,
}

/// The text in which receipts travel beside a token: leaf and receipt in base64url joined by a dot, pairs joined by commas.
pub fn write_receipts(receipts: &[PresentedReceipt]) -> String {
    let encode = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
    let pairs: Vec<_> = receipts.iter().map(|it| format!("{}.{}", encode(&it.leaf), encode(it.receipt.as_bytes()))).collect();
    pairs.join(",")
}

/// Reads such a text; an empty one holds no receipts.
///
/// # Errors
/// [`Reason::ReceiptsMalformed`], also beyond [`MAX_RECEIPTS_BYTES`] or 16 receipts.
pub fn read_receipts(text: &str) -> Result<Vec<PresentedReceipt>, LogRefusal> {
    if text.is_empty() {
        return Ok(Vec::new());
    }
    // Counted before anything is decoded: no token has more blocks.
    if text.len() > MAX_RECEIPTS_BYTES || text.bytes().filter(|byte| *byte == b',').count() >= MAX_RECEIPTS {
        return Err(malformed("the receipts are too many or too large"));
    }
    text.split(',').map(read_pair).collect()
}

fn read_pair(pair: &str) -> Result<PresentedReceipt, LogRefusal> {
    let decode = |part: &str| URL_SAFE_NO_PAD.decode(part).map_err(|_| malformed("a receipt or leaf is not base64url"));
    let (leaf, receipt) = pair.split_once('.').ok_or_else(|| malformed("a receipt comes without its leaf"))?;
    let receipt = String::from_utf8(decode(receipt)?).map_err(|_| malformed("a receipt is not text"))?;
    let leaf = decode(leaf)?;
    if leaf.len() > MAX_LEAF_BYTES {
        return Err(malformed("a leaf is too large"));
    }
    Ok(PresentedReceipt { leaf, receipt })
}

/// Checks that the token's derivations are in a log, as far as `demand` goes, from the receipts in `text`.
///
/// `verify` checks one receipt with the bytes of its leaf, by log keys that are trusted here or by a policy that demands
/// witnesses too. A receipt that nothing demands is not looked at, and one receipt is looked at for one block at most.
///
/// # Errors
/// [`Reason::ReceiptsMalformed`]; [`Reason::ReceiptMissing`] for a block without a receipt; [`Reason::ReceiptOtherToken`] when the
/// leaf names other blocks or another task than the token; [`Reason::ReceiptKind`] when it records something else than the making
/// of the block, or that it was refused; and whatever `verify` refuses.
pub fn check_receipts(
    token: &VerifiedToken,
    text: &str,
    demand: ReceiptDemand,
    verify: impl Fn(&str, &[u8]) -> Result<VerifiedReceipt, LogRefusal>,
) -> Result<(), LogRefusal> {
    if demand == ReceiptDemand::None {
        return Ok(());
    }
    let presented: Vec<_> =
        read_receipts(text)?.into_iter().map(|it| Ok((Leaf::parse(&it.leaf)?, it))).collect::<Result<_, LogRefusal>>()?;
    let demanded = token.blocks.iter().enumerate().filter_map(|(position, block)| Some((position, entry(token, block, demand)?)));
    for (position, entry) in demanded {
        let found = presented.iter().find(|(leaf, _)| leaf.id == *entry);
        let (leaf, it) = found.ok_or_else(|| LogRefusal::new(Reason::ReceiptMissing, "a block of the token comes without a receipt"))?;
        check_leaf(token, position, leaf)?;
        verify(&it.receipt, &it.leaf)?;
    }
    Ok(())
}

/// The entry of a block whose receipt is demanded. Plain blocks have none: they name no holder and can only take away. Whoever has
/// the issuer's key can sign a hop of a good token to a key of its own, so such a hop is shown to be in the log as block 0 is.
fn entry<'t>(token: &VerifiedToken, block: &'t Block, demand: ReceiptDemand) -> Option<&'t EntryId> {
    match &block.maker {
        Maker::Issuer { entry, .. } => Some(entry),
        Maker::Delegator { entry, signer, .. } if *signer == token.root.key => Some(entry),
        Maker::Delegator { entry, .. } if demand == ReceiptDemand::EveryHop => Some(entry),
        Maker::Delegator { .. } | Maker::Anyone => None,
    }
}

/// An entry id is in the hands of whoever makes the block, so the leaf must name the very blocks as well.
fn check_leaf(token: &VerifiedToken, position: usize, leaf: &Leaf) -> Result<(), LogRefusal> {
    let prefix = token.blocks.iter().take(position + 1).map(|block| &block.id);
    if leaf.task != Some(token.authority.task) || !prefix.eq(&leaf.blocks) {
        return Err(LogRefusal::new(Reason::ReceiptOtherToken, "the leaf names another task or other block ids than the token has"));
    }
    let made = match (&leaf.kind, position) {
        (Kind::Mint | Kind::Exchange | Kind::Permit, 0) | (Kind::Narrow, _) => true,
        (Kind::Hop, position) => position > 0,
        _ => false,
    };
    if made && leaf.verdict == Verdict::Allow {
        Ok(())
    } else {
        Err(LogRefusal::new(Reason::ReceiptKind, "the leaf does not record that the block was made"))
    }
}

const fn malformed(detail: &'static str) -> LogRefusal {
    LogRefusal::new(Reason::ReceiptsMalformed, detail)
}

/// The longest text of receipts: sixteen leaves and receipts of a log of 2^40 leaves, with room for witnesses.
pub const MAX_RECEIPTS_BYTES: usize = 96 * 1024;

const MAX_RECEIPTS: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    fn receipt(number: u8) -> PresentedReceipt {
        PresentedReceipt { leaf: vec![number; 5], receipt: format!("receipt {number}\n") }
    }

    #[test]
    fn receipts_are_read_as_they_were_written() {
        for count in [0, 1, 2, 16] {
            let receipts: Vec<_> = (0..count).map(receipt).collect();
            assert_eq!(read_receipts(&write_receipts(&receipts)), Ok(receipts));
        }
    }

    #[test]
    fn texts_beyond_the_bounds_or_with_a_second_reading_are_refused() {
        let seventeen: Vec<_> = (0..17).map(receipt).collect();
        let good = write_receipts(&[receipt(1)]);
        let large = write_receipts(&[PresentedReceipt { leaf: vec![0; MAX_LEAF_BYTES + 1], ..receipt(1) }]);
        for text in [
            write_receipts(&seventeen),
            ",".repeat(MAX_RECEIPTS_BYTES + 1),
            large,
            ",".to_owned(),
            format!("{good},"),
            format!(",{good}"),
            format!("{good}."),
            format!("{good}="),
            format!("{good} "),
            good.replace('.', ""),
            good.replace('.', "/."),
            format!("{}.{}", URL_SAFE_NO_PAD.encode("x"), URL_SAFE_NO_PAD.encode([0xff])),
        ] {
            assert_eq!(read_receipts(&text).unwrap_err().reason, Reason::ReceiptsMalformed, "{text:.40}");
        }
    }
}
