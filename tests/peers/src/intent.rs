//! What every system is asked to say and to decide: two tools, three argument constraints, one caveat a hop.

pub const READ: &str = "crm.read";
pub const WRITE: &str = "crm.write";
pub const AUDIENCE: &str = "https://crm.example";

/// The arguments of the call, as they arrive.
pub const ARGUMENTS: &str = r#"{"account":"a-17","limit":20,"region":"eu-north"}"#;

/// Constraint 1: `account` is one of these.
pub const ACCOUNTS: [&str; 2] = ["a-17", "a-18"];
/// Constraint 2: `limit` is at most this.
pub const LIMIT: i64 = 1_000;
/// Constraint 3: `region` starts so.
pub const REGION: &str = "eu-";

/// The upper bound on `limit` that hop `index`, counted from 1, adds.
pub const fn hop_limit(index: usize) -> i64 {
    LIMIT - 10 * index as i64
}

/// Seeds of holders' keys: holder 0 is named by the mint, holder n by hop n.
pub const fn holder(index: usize) -> [u8; 32] {
    [index as u8 + 11; 32]
}

pub const ROOT: [u8; 32] = [1; 32];
