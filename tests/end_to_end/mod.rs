//! Whole roads over real HTTP, against programs that are not ours.

mod openid_provider;
