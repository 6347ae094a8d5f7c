//! Keys whose private halves nobody has: an assertion of an unknown client is checked under them, and fails after the time that
//! a known client's takes.

use crate::jose::KeySet;

/// One key of each kind that a client's key can be, without a name: a signature of any accepted algorithm finds exactly one.
pub(super) fn keys() -> KeySet {
    // an empty set would still refuse everything, only faster
    KeySet::parse(KEYS.as_bytes()).unwrap_or_default()
}

const KEYS: &str = r#"{"keys":[
{"kty":"OKP","crv":"Ed25519","x":"pA6SejXMHtuX7EuKXTQaNUiqAZ7IBM3uXkObftQh4Ck"},
{"kty":"EC","crv":"P-256","x":"pmneQvHe3Q--qMql_fgxFpJHf5buEMNj56uR1BVR3p8","y":"CpsP5qUczGHzyCIryY8R5gFnMNAgybFMBGjAvEymxqE"},
{"kty":"EC","crv":"P-384","x":"d8GLtixFNmXwQYiMVrnjXJWmz5Pnpsfqi3O0oUT00WhuH1WKVCM3yLF5n11o9Zs-","y":"n8t8Alf2vMvJoVJyQI01z1W__LEQptEPTc0YzmBXhKqrMjm_ratJ_YcxzwVK1L00"},
{"kty":"RSA","e":"AQAB","n":"v3XgXpXLk5MY7dFC-6czMUAqdvKgkO7HwSTVI0rtr69u5xZzbwgmeYbfLgU5pyPrmbBG0Pz3DH_IS88ebdukUnGeGRETpJ-OEPK7Ps32C0JeNziF5QfWIpFSPqlAuy-4BA5gBH4CJXZen-EYogdpWKeOJ7zzKFMH3pQQdENYGMP3dYEpHMDvnower6v10mFpcXZM1SI2gBDSLBso4ndPfhGe874Iyd4R2UL288HTWoHKWAZKfsZK34aPOXpedwp8f86ZpTmoChtWWlYkyc2NZ5P0lv2tSn_Qd9gAryG99uJSWWIvBJ_7Rz_p5Z_Z4SORGmhF-lcrx6Wq6sI02Sp0lQ"}]}"#;
