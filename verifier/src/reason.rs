//! Reason codes: the stable names of every refusal.
//!
//! Text may change, codes may not. `docs/reason-codes.md` holds a row for each code and a test compares both ways.

use core::fmt;

macro_rules! reasons {
    ($($(#[$group:meta])* $variant:ident = $code:literal : $meaning:literal;)+) => {
        /// Why something was refused. One variant per stable code.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Reason { $(#[doc = $meaning] $variant,)+ }

        impl Reason {
            /// Every reason, in the order of the registry.
            pub const ALL: &'static [Reason] = &[$(Reason::$variant,)+];

            /// The stable code, as it appears in answers, leaves and vectors.
            pub const fn code(self) -> &'static str {
                match self { $(Reason::$variant => $code,)+ }
            }

            /// One plain sentence on what the code means.
            pub const fn meaning(self) -> &'static str {
                match self { $(Reason::$variant => $meaning,)+ }
            }
        }
    };
}

reasons! {
    // Token: guard. Everything here is decided before any signature is looked at.
    TokenTooLarge = "TOKEN_TOO_LARGE": "the token is larger than 16 KiB, or its text larger than 22 KiB";
    TokenEncoding = "TOKEN_ENCODING": "the token's text is not unpadded url-safe base64";
    TokenMalformed = "TOKEN_MALFORMED": "the token's bytes are not a Biscuit";
    TokenNotCanonical = "TOKEN_NOT_CANONICAL": "the token or one of its blocks is not in canonical protobuf form";
    TooManyBlocks = "TOO_MANY_BLOCKS": "the token has more than 16 blocks";
    SignatureVersion = "SIGNATURE_VERSION": "a block is not signed with Biscuit signature payload version 1";
    KeyAlgorithm = "KEY_ALGORITHM": "a key or signature in the token is not Ed25519 or has the wrong size";
    WeakKey = "WEAK_KEY": "an Ed25519 key is of small order or not canonically encoded, or a P-256 key is no point of its curve";
    OutsideProfile = "OUTSIDE_PROFILE": "a block uses something that the profile narrows/1 does not have";
    TooManyFacts = "TOO_MANY_FACTS": "a block holds more facts than the profile allows";
    TooManyChecks = "TOO_MANY_CHECKS": "a block holds more checks than the profile allows";
    CostBound = "COST_BOUND": "the decision, or a query of the token, would take more steps than the bound";
    MixedTypes = "MIXED_TYPES": "a predicate argument is used with another type than its vocabulary gives it";
    FactsInPlainBlock = "FACTS_IN_PLAIN_BLOCK": "a block without an external signature holds facts";
    UnknownCaveat = "UNKNOWN_CAVEAT": "a check is not the rendering of any caveat in the vocabulary that this verifier accepts";
    StateNameRepeated = "STATE_NAME_REPEATED": "two caveats of the token keep state under one name";
    ProfileFacts = "PROFILE_FACTS": "the authority block or a hop lacks a required fact or caveat, or holds it twice";

    // Token: chain.
    UnknownRoot = "UNKNOWN_ROOT": "the token was not signed by any trusted issuer key";
    RootTainted = "ROOT_TAINTED": "the issuer key that the token names may be in other hands, so nothing of it is accepted";
    RootNotValid = "ROOT_NOT_VALID": "the token was issued before its issuer key's beginning or after its end";
    RootSet = "ROOT_SET": "a set of issuer keys has more than 64, two of one number or key, or an end that is missing or before the beginning";
    IssuedAhead = "ISSUED_AHEAD": "the token says that it was issued in the future";
    HolderThumbprint = "HOLDER_THUMBPRINT": "the token is bound to the thumbprint of a key, and the operation needs the key itself";
    HolderBearer = "HOLDER_BEARER": "the token is bound to no key, so a proof with it would mean nothing and is not read";
    BearerForm = "BEARER_FORM": "a token that is bound to no key allows hops, has a block after its first, or is not sealed";
    BadSignature = "BAD_SIGNATURE": "a signature in the token does not verify";
    BadProof = "BAD_PROOF": "the token's closing secret or seal does not match its last block";
    HopSigner = "HOP_SIGNER": "a hop is signed by another key than the one that the hop before it named as holder";
    HopIndex = "HOP_INDEX": "a hop does not carry the next index";
    HopDepth = "HOP_DEPTH": "the token has more hops than its depth caveats allow";
    HopOutlivesParent = "HOP_OUTLIVES_PARENT": "a hop expires later than its parent";
    TokenSealed = "TOKEN_SEALED": "the token is sealed and can't be narrowed further";

    // Caveats against a call.
    Expired = "EXPIRED": "the token or one of its hops has expired";
    WrongAudience = "WRONG_AUDIENCE": "the token is not addressed to this audience";
    ToolNotGranted = "TOOL_NOT_GRANTED": "the tool is not among those that the token grants";
    ArgumentRefused = "ARGUMENT_REFUSED": "an argument is missing or outside what a caveat allows";
    ArgumentNotListed = "ARGUMENT_NOT_LISTED": "the call has an argument that a closed-world caveat does not list";
    NotYetValid = "NOT_YET_VALID": "the token or one of its hops is not valid yet";
    OutsideTimeWindow = "OUTSIDE_TIME_WINDOW": "the call is outside the hours that a caveat allows";
    CallsExceeded = "CALLS_EXCEEDED": "as many calls as a caveat allows have been made";
    RateExceeded = "RATE_EXCEEDED": "as many calls as a caveat allows have been made in its time";
    AlreadyUsed = "ALREADY_USED": "the single use that a caveat allows is spent";
    BudgetExceeded = "BUDGET_EXCEEDED": "the call would spend more than a budget caveat allows";
    PriorActionMissing = "PRIOR_ACTION_MISSING": "an action that must come before this call was not done in the task";
    PriorActionForbids = "PRIOR_ACTION_FORBIDS": "an action was done in the task after which this call is forbidden";
    LabelRefused = "LABEL_REFUSED": "the session has touched what may not flow to this call";
    ApprovalMissing = "APPROVAL_MISSING": "fewer of the named approvers than required have approved this very call";
    DatalogRefused = "DATALOG_REFUSED": "an operator's check does not hold for the call";
    NeedsCounter = "NEEDS_COUNTER": "a caveat counts calls and this verifier keeps no count; the reasoning plane does";
    NeedsSpend = "NEEDS_SPEND": "a caveat limits spending and this verifier keeps no accounts; the reasoning plane does";
    NeedsHistory = "NEEDS_HISTORY": "a caveat looks at the task's past actions and this verifier does not know them; the reasoning plane does";
    NeedsLabels = "NEEDS_LABELS": "a caveat looks at the session's labels and this verifier does not know them; the reasoning plane does";
    NeedsApprovals = "NEEDS_APPROVALS": "a caveat demands approval and this verifier collects none; the reasoning plane does";
    NeedsPlane = "NEEDS_PLANE": "a caveat directs an enforcement plane and none says that it carries the directive out";
    DevToken = "DEV_TOKEN": "a development issuer made the token and this verifier does not accept such tokens";
    PermitRequired = "PERMIT_REQUIRED": "the tool's manifest demands a permit and a token alone is not enough";
    UnknownTool = "UNKNOWN_TOOL": "the tool is not in this server's manifest";

    // Arguments and other canonical JSON.
    JsonMalformed = "JSON_MALFORMED": "the text is not JSON";
    JsonTooLarge = "JSON_TOO_LARGE": "the JSON text is too large, too deep or has too many members";
    JsonDuplicateKey = "JSON_DUPLICATE_KEY": "a JSON object has the same key twice";
    JsonNumber = "JSON_NUMBER": "a JSON number can't be held exactly (beyond 2^53-1, or more than 15 significant digits)";
    JsonString = "JSON_STRING": "a JSON string holds a lone surrogate or a bad escape";
    JsonNotCanonical = "JSON_NOT_CANONICAL": "the bytes are not in the canonical form of RFC 8785";
    CaveatMalformed = "CAVEAT_MALFORMED": "a caveat's JSON has an unknown kind or member, or a value outside its bounds";
    CaveatTooComplex = "CAVEAT_TOO_COMPLEX": "a matcher has more than 7 alternatives, one of them more than 8 conditions, or conditions on one value as two kinds";
    CaveatNamesNoTool = "CAVEAT_NAMES_NO_TOOL": "a caveat names no tool";

    // Holder proofs.
    ProofMissing = "PROOF_MISSING": "a proof of possession is required and none was given";
    ProofMalformed = "PROOF_MALFORMED": "the proof is not two base64url parts with the members that its kind requires";
    ProofSignature = "PROOF_SIGNATURE": "the proof's signature does not verify under the holder's key";
    ProofMismatch = "PROOF_MISMATCH": "the proof was made for another token, tool, audience, arguments or request";
    ProofTime = "PROOF_TIME": "the proof's time is outside the accepted window";
    ReplayCacheFull = "REPLAY_CACHE_FULL": "the memory of used proofs is full, so a second use could not be told";
    ProofReplayed = "PROOF_REPLAYED": "this proof has been used before";
    SessionMalformed = "SESSION_MALFORMED": "a session's statement names no sorted list of 1 to 64 tools, or a session proof is not 57 bytes of version 1 in base64url";
    SessionLifetime = "SESSION_LIFETIME": "a session would end later than an hour after it was asked for, or later than was asked for";
    SessionTool = "SESSION_TOOL": "the tool is not one that the session is for, or not one for which sessions are opened";
    SessionKey = "SESSION_KEY": "a session's X25519 key is of small order, so that everybody would know the shared secret";
    SessionAcceptSignature = "SESSION_ACCEPT_SIGNATURE": "the acceptance of a session is not signed by the tool's pinned key";
    SessionUnknown = "SESSION_UNKNOWN": "the tool has no session of this id: it has ended, or the tool has been restarted";
    SessionExpired = "SESSION_EXPIRED": "the session has ended";
    SessionMac = "SESSION_MAC": "the session proof's MAC does not fit the call under the session's key";
    SessionCounter = "SESSION_COUNTER": "the session proof's counter is not above all that were accepted before";
    SessionsFull = "SESSIONS_FULL": "as many sessions are open as the tool can hold";
    DpopMalformed = "DPOP_MALFORMED": "the DPoP proof is not a compact JWS with exactly the header and claims that are read here";
    DpopNonce = "DPOP_NONCE": "the DPoP proof does not carry the nonce that the server gave";
    DpopUrlOnly = "DPOP_URL_ONLY": "the DPoP proof signs the address alone and the tool demands one that also signs tool, arguments and audience";
    DpopOff = "DPOP_OFF": "this tool server has no address configured, so it reads no DPoP proofs";
    BearerBound = "BEARER_BOUND": "a token that is bound to a key was presented as a bearer token, without a proof";
    BearerOff = "BEARER_OFF": "the tool takes no bearer tokens";
    McpMethod = "MCP_METHOD": "the MCP method is none of those that the guard lets pass";
    McpMalformed = "MCP_MALFORMED": "the parameters of an MCP tool call, or what they say of the authorization, are not in their form";

    // Revocation.
    FeedTooLarge = "FEED_TOO_LARGE": "a revocation snapshot or delta is larger than 4 MiB or has more than 100,000 entries";
    FeedMalformed = "FEED_MALFORMED": "a revocation snapshot or delta is not two base64url parts with exactly its members, each list ascending without repetition";
    FeedSignature = "FEED_SIGNATURE": "the signature of a revocation snapshot or delta does not verify under the feed's key";
    FeedIssuer = "FEED_ISSUER": "a revocation snapshot or delta speaks for another issuer";
    FeedAhead = "FEED_AHEAD": "a revocation snapshot or delta says that it was issued in the future";
    FeedRolledBack = "FEED_ROLLED_BACK": "a revocation snapshot or delta is older than the snapshot before, or of the same number with another content";
    FeedDeltaBase = "FEED_DELTA_BASE": "a revocation delta follows another snapshot than the one at hand";
    FeedDeltaResult = "FEED_DELTA_RESULT": "a revocation delta does not lead to the snapshot whose digest it names";
    RevocationsMissing = "REVOCATIONS_MISSING": "the verifier must know what is revoked and has no snapshot";
    RevocationsStale = "REVOCATIONS_STALE": "the newest revocation snapshot is too old for this class of tools";
    RevocationsFull = "REVOCATIONS_FULL": "the feed has no room for one more revocation of this kind, so revoke something that reaches more";
    RevocationRate = "REVOCATION_RATE": "more revocations came from this client or holder than its rate allows";
    TokenOtherClient = "TOKEN_OTHER_CLIENT": "the token or task was not issued to this client, which may revoke its own alone";
    Revoked = "REVOKED": "the token, one that it was made from, its task, its subject, or one of its agents or holders has been revoked";

    // Log, receipts.
    ReceiptMalformed = "RECEIPT_MALFORMED": "the receipt is not a tlog-proof@v1";
    ReceiptOrigin = "RECEIPT_ORIGIN": "the receipt's checkpoint is of another log";
    CheckpointMalformed = "CHECKPOINT_MALFORMED": "the checkpoint is not a C2SP checkpoint";
    CheckpointSignature = "CHECKPOINT_SIGNATURE": "the checkpoint carries no valid signature of the log's key";
    InclusionProof = "INCLUSION_PROOF": "the leaf is not in the tree that the checkpoint names";
    ConsistencyProof = "CONSISTENCY_PROOF": "the older tree is not a prefix of the newer one";
    ReceiptOtherToken = "RECEIPT_OTHER_TOKEN": "the receipt's leaf names other block ids than the token";
    ReceiptMissing = "RECEIPT_MISSING": "the tool demands a receipt for each derivation of the token, or for the first, and one is missing";
    ReceiptsMalformed = "RECEIPTS_MALFORMED": "the receipts beside a token are not at most 16 pairs of leaf and receipt, or larger than 96 KiB";
    ReceiptKind = "RECEIPT_KIND": "the receipt's leaf does not record that the block was made";
    LeafMalformed = "LEAF_MALFORMED": "a leaf is not a canonical envelope of a known version";
    LogLeafChanged = "LOG_LEAF_CHANGED": "a stored leaf does not hash to its stored leaf hash";
    LogHashChanged = "LOG_HASH_CHANGED": "a stored tree hash differs from the one computed from the leaves";
    LogRootMismatch = "LOG_ROOT_MISMATCH": "the root computed from the leaves differs from the checkpoint's";
    LogTailMissing = "LOG_TAIL_MISSING": "the log has fewer leaves than its head, checkpoint or a receipt says";
    LogRevocationsChanged = "LOG_REVOCATIONS_CHANGED": "the table of revocations is not what the leaves say";
    LogPausesChanged = "LOG_PAUSES_CHANGED": "the table of what is paused is not what the leaves say";
    LogClientsChanged = "LOG_CLIENTS_CHANGED": "the table of registered clients is not what the leaves say";
    LogKeysChanged = "LOG_KEYS_CHANGED": "the table of the keys that sign tokens is not what the leaves say";
    LogReceiptInvalid = "LOG_RECEIPT_INVALID": "a receipt does not verify against the log";

    // Service: the HTTP envelope, before any endpoint's own rules.
    RouteUnknown = "ROUTE_UNKNOWN": "the service has no such path";
    MethodNotAllowed = "METHOD_NOT_ALLOWED": "the path does not answer to this method";
    ContentType = "CONTENT_TYPE": "the body is not of the media type that the endpoint reads";
    ContentEncoding = "CONTENT_ENCODING": "the body is compressed or otherwise encoded, which the service never undoes";
    RequestTooLarge = "REQUEST_TOO_LARGE": "the request's body is larger than the service accepts";
    RequestMalformed = "REQUEST_MALFORMED": "the request is not in the form that the endpoint reads";
    RequestTimeout = "REQUEST_TIMEOUT": "the request's body did not arrive in time";
    ResponseType = "RESPONSE_TYPE": "the authorization endpoint issues nothing, tokens come from the token endpoint";
    ClientAuth = "CLIENT_AUTH": "the client could not be authenticated";
    Overloaded = "OVERLOADED": "the service could not answer within its time limit";
    NotReady = "NOT_READY": "no token can be made durable at present, so none is issued";
    Internal = "INTERNAL": "the service met a condition that it did not expect and refused";

    // Policy.
    PackTooLarge = "PACK_TOO_LARGE": "a policy pack or its cases are larger than 64 KiB, or hold more rules or cases than the bound";
    PackMalformed = "PACK_MALFORMED": "a policy pack is not TOML, or has an unknown key, a wrong type or a value outside its bounds";
    PackCondition = "PACK_CONDITION": "a rule's condition does not parse, or asks for a fact or a type that requests do not have";
    PackCeiling = "PACK_CEILING": "a rule's ceiling is not a well-formed argument caveat on a tool that the rule grants";
    CasesMalformed = "CASES_MALFORMED": "the cases of a policy pack have an unknown key, a wrong type or a value outside its bounds";
    PolicyDenied = "POLICY_DENIED": "no rule of the policy pack has a condition that holds for this request";
    PolicyCost = "POLICY_COST": "the request gives rise to more facts, or its conditions to more work, than one decision may take";
    ToolNotInPolicy = "TOOL_NOT_IN_POLICY": "a requested tool or prefix is not within the tools that the matching rule grants";
    AudienceNotInPolicy = "AUDIENCE_NOT_IN_POLICY": "a requested audience is not among those that the matching rule grants";
    AudienceEmpty = "AUDIENCE_EMPTY": "the request names no audience, or its audience caveats leave none";
    ArgumentAbovePolicy = "ARGUMENT_ABOVE_POLICY": "a requested argument caveat is not provably within the rule's ceiling on that argument";
    DepthAbovePolicy = "DEPTH_ABOVE_POLICY": "the requested depth is above what the rule grants";
    NoLifeLeft = "NO_LIFE_LEFT": "the token would expire at the moment that it is made";
    ScopeMalformed = "SCOPE_MALFORMED": "the scope is not 1 to 64 scope tokens of at most 128 bytes with single spaces between them (RFC 6749 section 3.3)";
    ScopeUnknown = "SCOPE_UNKNOWN": "the policy pack has no scope of a requested name";
    ScopeNotInPolicy = "SCOPE_NOT_IN_POLICY": "a requested scope has a tool that the matching rule does not grant";
    ScopeMissing = "SCOPE_MISSING": "the request asks for no tool and no scope, and no matching rule has default tools";
    ScopeTooWide = "SCOPE_TOO_WIDE": "the requested scopes have more tools together than one token can hold";
    BearerNotInPolicy = "BEARER_NOT_IN_POLICY": "a token that is bound to no key is asked for, and the matching rule grants none";
    ToolAboveCeiling = "TOOL_ABOVE_CEILING": "a requested tool or prefix is beyond what the client, the subject token or the parent token may have at most";
    ScopeAboveCeiling = "SCOPE_ABOVE_CEILING": "a requested scope, or every default tool, is beyond what the client, the subject token or the parent token may have at most";
    AudienceAboveCeiling = "AUDIENCE_ABOVE_CEILING": "a requested audience is beyond what the client, the subject token or the parent token may have at most";
    ArgumentAboveCeiling = "ARGUMENT_ABOVE_CEILING": "a requested argument caveat is not provably within that of the client, the subject token or the parent token";
    DepthAboveCeiling = "DEPTH_ABOVE_CEILING": "the requested depth is above what the client, the subject token or the parent token may have at most";
    BearerAboveCeiling = "BEARER_ABOVE_CEILING": "a token that is bound to no key is asked for in place of one that is bound";

    // Configuration and key files.
    ConfigInvalid = "CONFIG_INVALID": "the configuration has an unknown key, a wrong type or a value outside its bounds";
    FileUnusable = "FILE_UNUSABLE": "a file that was named can't be read or written, is no plain file, or is larger than it may be";
    KeyFileMissing = "KEY_FILE_MISSING": "a key file can't be opened or read";
    KeyFileExists = "KEY_FILE_EXISTS": "a key or configuration file is already there and is never overwritten";
    KeyFileMode = "KEY_FILE_MODE": "a key file can be read by others than the account that runs the service";
    KeyFileMalformed = "KEY_FILE_MALFORMED": "a key file is not one line of role and base64url seed";
    KeyRole = "KEY_ROLE": "a key file holds a key made for another role";
    KeyFileSealed = "KEY_FILE_SEALED": "a key file is encrypted, and no passphrase or identity that could open it is configured";
    KeyPassphrase = "KEY_PASSPHRASE": "the passphrase or identity does not open the key file";
    KeyWorkFactor = "KEY_WORK_FACTOR": "opening the key file would take more memory than it may";
    KeyState = "KEY_STATE": "the key is not in the state from which this step is possible";
    KeyUnknown = "KEY_UNKNOWN": "the service has no key of this number";
    KeyTooFresh = "KEY_TOO_FRESH": "the key has not been published for long enough to sign: verifiers that don't know it yet would refuse its tokens";
    KeyStillNeeded = "KEY_STILL_NEEDED": "tokens of the key may be alive, so it stays published";
    KeySetFull = "KEY_SET_FULL": "the service has as many keys as it can have";
    KeySetMalformed = "KEY_SET_MALFORMED": "the file of the keys' states, or an order about them, can't be used, or names a key that its file does not hold";
    KeySetMissing = "KEY_SET_MISSING": "the log knows states of keys that sign tokens, and the file of them is not there";
    KeySetBehind = "KEY_SET_BEHIND": "the file of the keys' states says something else than the log's newest leaf of each key, such as an older copy";
    KeyLeafUnread = "KEY_LEAF_UNREAD": "a leaf about a key is in the log, and nothing is there that says what it means";
    KeySpareBeyond = "KEY_SPARE_BEYOND": "tokens of a tainted key can be spared only below an index that the published log has reached";
    KeySpareRaised = "KEY_SPARE_RAISED": "a tainted key can spare fewer tokens than it does, never more";
    KeyFileLink = "KEY_FILE_LINK": "a key file that is to be replaced is a symbolic link or has a second name: what it leads to would stay as it is";
    KeyOrderWaiting = "KEY_ORDER_WAITING": "an order about the keys is waiting for a running service to carry it out";
    NoSigningKey = "NO_SIGNING_KEY": "the key that signed was given up, and no other signs yet";
    TlsCertificate = "TLS_CERTIFICATE": "the certificate file can't be read, holds no certificate chain of at most 8, or the certificate is not valid at this time";
    TlsKey = "TLS_KEY": "the key file of the certificate holds no private key in PEM, or one that does not belong to the certificate";
    // Log, texts and trees.
    VerifierKeyMalformed = "VERIFIER_KEY_MALFORMED": "a note's verifier key is not in the C2SP form, is not Ed25519, or is a weak key";
    NoteMalformed = "NOTE_MALFORMED": "the text is not a C2SP signed note, or is beyond the size that is read";
    CosignatureInvalid = "COSIGNATURE_INVALID": "a cosignature of a known witness is malformed or does not verify";
    TrustPolicyMalformed = "TRUST_POLICY_MALFORMED": "the text is not a C2SP tlog-policy, or names a key of a type that is not read here";
    WitnessQuorum = "WITNESS_QUORUM": "too few witnesses have cosigned a checkpoint that holds the entry";
    SplitView = "SPLIT_VIEW": "one log has signed two checkpoints that no tree can both have";
    BundleMalformed = "BUNDLE_MALFORMED": "a bundle of evidence is not in the form of narrows-audit/1, or claims what its leaves don't say";
    BundleSelection = "BUNDLE_SELECTION": "a bundle holds a leaf that was not asked for";
    BundleGap = "BUNDLE_GAP": "a bundle of a range of leaves lacks one of them";
    TileMalformed = "TILE_MALFORMED": "a tile path, tile or entry bundle is not in the form of C2SP tlog-tiles";
    LeafTooLarge = "LEAF_TOO_LARGE": "a leaf is larger than 65,535 bytes";
    LeafKind = "LEAF_KIND": "a leaf lacks a member that its kind demands, or has one that its kind does not have";

    // Log, service and full check.
    AuditUnavailable = "AUDIT_UNAVAILABLE": "the log can't take an entry now, so nothing is released";
    AuditDiskReserve = "AUDIT_DISK_RESERVE": "what is left of the disk is kept for entries that take authority away";
    AuditFileSwapped = "AUDIT_FILE_SWAPPED": "another file lies at the path of the log's database, so the log has stopped";
    AuditRollbackDetected = "AUDIT_ROLLBACK_DETECTED": "the log is behind, or other than, what was anchored or witnessed outside of it";
    AuditAnchorMissing = "AUDIT_ANCHOR_MISSING": "the log had an anchor outside of its database, and that is gone or can't be read";
    ClockRegression = "CLOCK_REGRESSION": "the clock stepped back; the leaf keeps the time of the one before it";
    ReportRate = "REPORT_RATE": "the holder has reported too many derivations for now";
    TaskUnknown = "TASK_UNKNOWN": "this issuer knows no such task";
    TaskQuota = "TASK_QUOTA": "the task has ended, or as many derivations as it may have are reported";
    TaskExists = "TASK_EXISTS": "a task of this id exists";
    EntryExists = "ENTRY_EXISTS": "the log has an entry of this id";
    DisclosureMismatch = "DISCLOSURE_MISMATCH": "a disclosure does not open the commitment of its leaf";
    SubjectUnknown = "SUBJECT_UNKNOWN": "nothing is disclosed about a person of this pseudonym";
    LogMissing = "LOG_MISSING": "there is no log at the given path";
    LogExists = "LOG_EXISTS": "the path already holds a database, so no log is made there";
    LogBusy = "LOG_BUSY": "another process is writing this log";
    LogNewer = "LOG_NEWER": "the log was written by a newer version of the program";
    LogNotDurable = "LOG_NOT_DURABLE": "the database can't promise that a commit survives a power cut";
    LogUnreadable = "LOG_UNREADABLE": "the log's store failed or holds rows that can't be read";
    LogLeafMissing = "LOG_LEAF_MISSING": "a leaf in the middle of the log is missing";
    LogRetentionChanged = "LOG_RETENTION_CHANGED": "what the log keeps is not what its newest leaf of kind `retention` says, or something that went came back";
    LogIndexChanged = "LOG_INDEX_CHANGED": "a look-up row of the log's store differs from the leaf that it points to";

    // Witnesses.
    WitnessRequest = "WITNESS_REQUEST": "the body is not a C2SP add-checkpoint request";
    WitnessLogUnknown = "WITNESS_LOG_UNKNOWN": "this witness does not know the checkpoint's log";
    WitnessLogSignature = "WITNESS_LOG_SIGNATURE": "no signature of a key that this witness trusts for the checkpoint's log verifies";
    WitnessConflict = "WITNESS_CONFLICT": "the old size is not that of the checkpoint that this witness cosigned last";
    WitnessInconsistent = "WITNESS_INCONSISTENT": "the checkpoint does not follow from the one that this witness cosigned last";
    WitnessState = "WITNESS_STATE": "the witness's state is missing, in use, or of another key";

    // JWTs from outside: subject tokens and client assertions.
    JwtTooLarge = "JWT_TOO_LARGE": "the JWT is larger than 16 KiB";
    JwtMalformed = "JWT_MALFORMED": "the JWT is not three segments of unpadded base64url";
    JwtHeader = "JWT_HEADER": "the JWT's header is not a JSON object without duplicate keys, or holds a member that is never accepted (`crit`, `b64`, `zip`, `enc`, `jwk`, `jku`, `x5u`)";
    JwtAlgorithm = "JWT_ALGORITHM": "the JWT's `alg` is not among the algorithms allowed for its issuer";
    JwtType = "JWT_TYPE": "the JWT is of another kind than declared, or of a kind that its issuer is not trusted for";
    JwtUnknownKey = "JWT_UNKNOWN_KEY": "the issuer publishes no key of this `kid`, or the JWT names none and not exactly one key fits";
    JwtKey = "JWT_KEY": "the key that the JWT names is too weak, not for signatures, or does not fit the JWT's `alg`";
    JwtSignature = "JWT_SIGNATURE": "the JWT's signature does not verify";
    JwtIssuer = "JWT_ISSUER": "the JWT's `iss` is not, byte for byte, the identifier of a trusted issuer";
    JwtAudience = "JWT_AUDIENCE": "the JWT is not addressed to this service";
    JwtExpired = "JWT_EXPIRED": "the JWT has expired";
    JwtNotYetValid = "JWT_NOT_YET_VALID": "the JWT is not valid yet, or was issued in the future";
    JwtTooOld = "JWT_TOO_OLD": "the JWT was issued longer ago than its issuer's tokens are accepted";
    JwtSubject = "JWT_SUBJECT": "the JWT's `sub` is not a string of 1 to 255 bytes without control or direction characters";
    JwtClient = "JWT_CLIENT": "the JWT was given to another client, or its issuer is not trusted for this one";
    JwtClaims = "JWT_CLAIMS": "the JWT's claims are not a JSON object without duplicate keys, or one is missing or of the wrong form";
    IssuerUnreachable = "ISSUER_UNREACHABLE": "the issuer's keys can't be fetched now";
    IssuerDocument = "ISSUER_DOCUMENT": "the issuer's discovery document or key set is malformed, too large, or names another issuer";
    HolderKey = "HOLDER_KEY": "the holder key is not one public Ed25519 key in JWK form";

    // Token exchange and reports
    GrantType = "GRANT_TYPE": "the grant type is not supported";
    ParameterMissing = "PARAMETER_MISSING": "a required parameter is missing";
    ParameterRepeated = "PARAMETER_REPEATED": "a parameter is sent more than once";
    ParameterInvalid = "PARAMETER_INVALID": "a parameter's value is not of its form";
    ParameterUnsupported = "PARAMETER_UNSUPPORTED": "a parameter or value is known to the standard but not supported here";
    AuthorizationDetails = "AUTHORIZATION_DETAILS": "the authorization details are not one object of a type that is read here, with that type's members";
    DetailsTooLarge = "DETAILS_TOO_LARGE": "the authorization details name more than 256 tools or 64 arguments of a tool, a name that is too long, or a constraint of more than 4 KiB";
    ConstraintMalformed = "CONSTRAINT_MALFORMED": "a constraint on an argument has an unknown type or member, a value that can't be held, bounds that exclude each other, or nesting of more than 32";
    TargetInvalid = "TARGET_INVALID": "an audience or resource is missing, too long, or not an absolute uri without fragment";
    SubjectBound = "SUBJECT_BOUND": "the subject or actor token is delegated or bound in a way that can't be carried on here";
    SubjectReplayed = "SUBJECT_REPLAYED": "the subject token or assertion is accepted once and has been used before";
    AgentNotAllowed = "AGENT_NOT_ALLOWED": "the client may not give this name to an agent";
    ClientAuthMethods = "CLIENT_AUTH_METHODS": "the request carries credentials of more than one way of client authentication";
    ClientGrant = "CLIENT_GRANT": "the client is not registered for this grant";
    ClientRate = "CLIENT_RATE": "the client has sent too many token requests for now";
    SubjectRate = "SUBJECT_RATE": "too many token requests were sent in this subject's name for now";
    DpopMissing = "DPOP_MISSING": "the client is registered for tokens that are bound by DPoP, and the request has no proof";
    DpopRepeated = "DPOP_REPEATED": "the request has more than one DPoP header";
    DpopReplayed = "DPOP_REPLAYED": "this DPoP proof has been used before";
    HolderKeysDiffer = "HOLDER_KEYS_DIFFER": "`req_cnf` names another key than the DPoP proof is made by, and comes without a proof of its own";
    TokenKeyUnproven = "TOKEN_KEY_UNPROVEN": "the subject or actor token is bound to a key, and the request has no DPoP proof by it";
    SubjectIsActor = "SUBJECT_IS_ACTOR": "subject and actor are the same party";
    ActMalformed = "ACT_MALFORMED": "an `act` or `may_act` claim is not an object that names a party by members that are read here";
    ActTooDeep = "ACT_TOO_DEEP": "more than 8 actors came before the one that the token is asked for";
    MayAct = "MAY_ACT": "the subject token does not say that this actor may act";
    LineageTooLong = "LINEAGE_TOO_LONG": "the token would come from more than 32 blocks";
    StateNotCarried = "STATE_NOT_CARRIED": "a caveat of the token counts calls or spending by block, which would begin anew in a token that the service makes of it";
    JwtViewOff = "JWT_VIEW_OFF": "this service has no key for JWT views, so it makes none";
    JwtViewScope = "JWT_VIEW_SCOPE": "no scope of the policy says what the token grants, and a JWT view says it in no other way";
    JwtViewCaveat = "JWT_VIEW_CAVEAT": "a caveat of the token could not be enforced by a server that reads the JWT view alone";
    TokenNotSealed = "TOKEN_NOT_SEALED": "a reported token must be a sealed copy";
    NotAHop = "NOT_A_HOP": "the token's newest block is not a signed hop";
    EntriesPrivate = "ENTRIES_PRIVATE": "the log's entries are not public here";
    AuditorAuth = "AUDITOR_AUTH": "reading the log's entries takes an auditor's credential, and none or a wrong one was given";
    AuditorRole = "AUDITOR_ROLE": "the auditor's role does not extend to names";
    AuditorRate = "AUDITOR_RATE": "the auditor has asked more often than the service answers";
    AdminAuth = "ADMIN_AUTH": "administration takes an operator's credential, and none or a wrong one was given";
    AdminRole = "ADMIN_ROLE": "none of the operator's roles extends to this act";
    AdminRate = "ADMIN_RATE": "the operator has asked more often than its rate allows";
    Paused = "PAUSED": "the task or an agent of it is paused, and nothing is issued for it until it is resumed";
    NotPaused = "NOT_PAUSED": "what is to be resumed is not paused, or was paused anew in between";
    ClientInvalid = "CLIENT_INVALID": "the entry of the client has a value that no configuration could have, or a secret";
    ClientUnknown = "CLIENT_UNKNOWN": "there is no client of this identifier";
    ClientExists = "CLIENT_EXISTS": "the identifier is taken, be it by a client that is disabled";
    ClientConfigured = "CLIENT_CONFIGURED": "the client is in the configuration, which alone can change it";
    ClientChanged = "CLIENT_CHANGED": "the client was changed in between, so look again";
    ClientDisabled = "CLIENT_DISABLED": "the client is disabled, and stays so";
    ClientSecrets = "CLIENT_SECRETS": "the client has as many secrets as it may have, or as few, or authenticates by none";
    ClientSecretUnknown = "CLIENT_SECRET_UNKNOWN": "the client has no secret of this id";
    ClientsFull = "CLIENTS_FULL": "as many clients are registered as may be, disabled ones included";
    EntryUnknown = "ENTRY_UNKNOWN": "the log has no entry of this id, index or task";
    EntryPruned = "ENTRY_PRUNED": "the entry is below the log's minimum index: only its hash and proofs can be had";
    CheckpointUnknown = "CHECKPOINT_UNKNOWN": "the log has signed no checkpoint of this size, or none that the question needs";

    // Agents and tools.
    TokenMissing = "TOKEN_MISSING": "the request carries no token";
    ManifestInvalid = "MANIFEST_INVALID": "a tool server's manifest has an unknown key, a doubled or malformed name, or no tool";
    AddressRefused = "ADDRESS_REFUSED": "an address is neither an https origin nor an http origin on loopback";
    PeerUnreachable = "PEER_UNREACHABLE": "the issuer or tool server could not be reached or did not answer in time";
    PeerAnswer = "PEER_ANSWER": "an answer of the issuer is malformed, too large, or not what was asked for";
}

impl Reason {
    /// The reason with this stable code, or `None` when no such code exists.
    pub fn from_code(code: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|reason| reason.code() == code)
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.code())
    }
}

impl core::error::Error for Reason {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_is_unique_and_reads_back() {
        for reason in Reason::ALL {
            assert_eq!(Reason::from_code(reason.code()), Some(*reason));
        }
    }
}
