/** All limits. Sizes are in bytes. Anything beyond a limit is rejected by name, never truncated. */

/** Encoded event record: the maximum of a C2SP tlog-tiles entry. */
export const MAX_RECORD_BYTES = 65_535;
/** Events of commands written in one group; a single command may have more. */
export const MAX_GROUP_EVENTS = 4_096;
/** Records and content of commands written in one group; a single command may have more. */
export const MAX_GROUP_BYTES = 16 * 1024 * 1024;
/** Milliseconds between attempts to open a log again that met a full disk, at a request that writes. */
export const LOG_RETRY_MS = 1_000;
/** Image config (OCI registries accept 4 MiB for a manifest; Docker has no limit). */
export const MAX_CONFIG_BYTES = 4 * 1024 * 1024;
/** JSON nesting in configs, manifests and indexes (Go's encoding/json: 10,000). */
export const MAX_JSON_DEPTH = 1_000;
/** Values in a JSON text at all depths: parsed, they take ten times its size. */
export const MAX_JSON_VALUES = 1_000_000;
/** Characters of a JSON number: a 64-bit integer has 20, a double in full some 770. */
export const MAX_JSON_NUMBER_LENGTH = 1_000;
/** Values in a config: 6 per build step, 1 per label or variable; real ones have some thousand. */
export const MAX_CONFIG_VALUES = 100_000;
/** History entries of an image config: real images have fewer than 1,000. */
export const MAX_HISTORY_ENTRIES = 10_000;
/** `actor` and `requestId` of an event, UTF-8. */
export const MAX_ACTOR_BYTES = 1_024;
/** `reason` of an event, UTF-8. */
export const MAX_REASON_BYTES = 8_192;
/** `via` of an event, UTF-8: a short word. */
export const MAX_VIA_BYTES = 64;
/** `address` of an event, UTF-8: the longest host name (RFC 1035). */
export const MAX_ADDRESS_BYTES = 255;
/** `agent` of an event, UTF-8: clients of registries send up to 200. */
export const MAX_AGENT_BYTES = 512;
/** `traceparent` of an event, UTF-8: version 00 has 55 (W3C Trace Context), later ones may have more. */
export const MAX_TRACEPARENT_BYTES = 256;
/** Characters of a reference's name: domain and path (distribution/reference). */
export const MAX_REFERENCE_NAME_LENGTH = 255;
/** Characters of a reference's tag (distribution/reference). */
export const MAX_TAG_LENGTH = 128;
/** Characters of a reference: name, tag, SHA-512 digest and separators. */
export const MAX_REFERENCE_LENGTH = MAX_REFERENCE_NAME_LENGTH + 1 + MAX_TAG_LENGTH + 1 + 'sha512:'.length + 128;
/** Manifest or index pushed to the registry (OCI distribution spec: at least 4 MiB). */
export const MAX_PUSHED_MANIFEST_BYTES = 4 * 1024 * 1024;
/** Repositories whose members are remembered: the registry walks those of others again. */
export const MAX_KEPT_REPOSITORIES = 1_000;
/** Repositories whose sorted tags are remembered. */
export const MAX_KEPT_TAG_LISTS = 8;
/** Repositories searched for a blob to mount from an unnamed one. */
export const MAX_SEARCHED_REPOSITORIES = 100;
/** Milliseconds that a reader waits for a mirror to have a manifest with its blobs; then it gets them as they come. */
export const MIRROR_WAIT_MS = 20_000;
/** Milliseconds that a reader waits for an upstream to say what a tag is now, where the mirror has an answer. */
export const MIRROR_LOOK_MS = 5_000;
/** Milliseconds after such a wait in which readers of that repository get what the mirror has at once. */
export const MIRROR_RETRY_MS = 10_000;
/** Tags of which a mirror remembers when it saw them last. */
export const MAX_SIGHTED_TAGS = 100_000;
/** Repositories whose connections upstream a mirror keeps. */
export const MAX_MIRROR_CLIENTS = 100;
/** Hours of references whose pulls are counted; the tenth that is longest ago goes first. */
export const MAX_PULL_HOURS = 200_000;
/** File of counted pulls: some 100 bytes an hour of a reference. */
export const MAX_PULL_FILE_BYTES = 64 * 1024 * 1024;
/** Milliseconds after which counted pulls are written. */
export const PULL_FLUSH_MS = 60_000;
/** Moments of the past that the registry remembers the repositories of. */
export const MAX_KEPT_PAST_REGISTRIES = 8;
/** Moments of the past whose repositories are built at the same time. */
export const MAX_PAST_BUILDS = 2;
/** Moments that wait to be built; further ones are refused. */
export const MAX_WAITING_PAST_BUILDS = 64;
/** Last RFC 3339 time in milliseconds since the epoch: 9999-12-31T23:59:59.999Z. */
export const MAX_TIME_MS = 253_402_300_799_999;
/** Ids that the error for an ambiguous beginning names; it counts all. */
export const MAX_AMBIGUOUS_IDS = 20;
/** Milliseconds before the clock's time that count as now, in a log that ends in the future. */
export const PRESENT_MS = 1_000;
/** Milliseconds the clock may be behind the last event; beyond, its own time is reported and recorded. */
export const MAX_CLOCK_BEHIND_MS = 60_000;
/** First pause before a lock is tried again; each next one is twice as long, up to the maximum. */
export const LOCK_POLL_MIN_MS = 10;
/** Longest pause before a lock is tried again: most commands hold it for a tenth of a second. */
export const LOCK_POLL_MAX_MS = 250;
/** Metadata key, UTF-8: a file name in Docker's layout. */
export const MAX_METADATA_KEY_BYTES = 255;
/** `imagelog.json`: some 250 bytes are written. */
export const MAX_SIDECAR_BYTES = 65_536;
/** LevelDB's CURRENT: the name of its MANIFEST. */
export const MAX_CURRENT_BYTES = 1_024;
/** Bytes checksummed to resume after damage in a LevelDB file; limits hostile ones to a second. */
export const MAX_SCANNED_BYTES = 256 * 1024 * 1024;
/** Decompressed index of a LevelDB table: a 2 MiB table has some ten KiB. */
export const MAX_TABLE_INDEX_BYTES = 64 * 1024 * 1024;
/** Bytes of LevelDB tables verified at open, newest first: a tenth of a second. */
export const MAX_TABLE_BYTES_AT_OPEN = 32 * 1024 * 1024;
/** Initial reserve file, freed to delete, erase and prune on a full disk; grows with the log. */
export const RESERVE_BYTES = 1024 * 1024;
/** Maximum reserve file: LevelDB's newest tables and those it merges them with. */
export const MAX_RESERVE_BYTES = 16 * 1024 * 1024;
/** Write-ahead log left to the next open, which needs as much room to make a table of it. */
export const MAX_LOG_BYTES_AT_CLOSE = RESERVE_BYTES / 4;
/** Decompressed table blocks cached by a read-only store. */
export const MAX_KEPT_BLOCK_BYTES = 8 * 1024 * 1024;
/** Milliseconds for which open trusts an unchanged table that was found whole: a day. */
export const MAX_TABLE_TRUST_MS = 24 * 60 * 60 * 1_000;
/** Events a subscriber buffers: one page, however far behind it is. */
export const MAX_PAGE_EVENTS = 1_000;
/** Configs cached by an open store; decoded, they take about five times that. */
export const MAX_KEPT_CONFIG_BYTES = 8 * 1024 * 1024;
/** Texts of which a table remembers what was made: parsed references, names of the index. */
export const MAX_REMEMBERED = 4_096;
/** Digests of a table kept as strings, of those asked for: 88 bytes each, 11 MiB in all, beside 8 bytes a row. */
export const MAX_KEPT_DIGESTS = 131_072;
/** Characters of a consumer's name, including its version. */
export const MAX_CONSUMER_NAME_LENGTH = 128;
/** Filter of a consumer kept with its position, JSON in UTF-8; a reference takes some 60 bytes. */
export const MAX_KEPT_FILTER_BYTES = 16 * 1024;
/** Events read to count those that a consumer waits for; beyond, the count is a lower bound. */
export const MAX_COUNTED_EVENTS = 10_000;
/** Events delivered to a consumer but not acknowledged; beyond, it forgot to acknowledge. */
export const MAX_UNACKNOWLEDGED_EVENTS = 10_000;
/** Characters of a custom projection's name, which is part of a file name. */
export const MAX_PROJECTION_NAME_LENGTH = 64;
/** Snapshots kept: spread over the log, always including the newest. */
export const MAX_SNAPSHOTS = 20;
/** References, images and layers whose events a difference looks up; of more it reads a snapshot. */
export const MAX_INDEXED_DIFF_SUBJECTS = 500;
/** Events that a difference looks up, and the longest stretch for which it does. */
export const MAX_INDEXED_DIFF_EVENTS = 2_000;
/** Events of a step of changes: a read of the past folds fewer from the log. */
export const CHANGES_STEP_EVENTS = 5_000;
/** Events in a file of changes: some 3 MB, written from memory. */
export const MAX_CHANGES_EVENTS = 50_000;
/** Events read again at a close to write their changes: half a second. The next close continues. */
export const MAX_CHANGES_AT_CLOSE = 100_000;
/** Changes that a read of the past keeps for views not asked for yet; beyond, it builds all of them. */
export const MAX_KEPT_CHANGES_BYTES = 128 * 1024 * 1024;
/** Snapshot header: one line of JSON. */
export const MAX_SNAPSHOT_HEADER_BYTES = 4_096;

/** Layers per image: the most Docker's overlay2 driver can mount. */
export const MAX_LAYERS_PER_IMAGE = 125;
/** Entries per archive. */
export const MAX_ARCHIVE_ENTRIES = 100_000;
/** Entries per layer tar. */
export const MAX_LAYER_ENTRIES = 10_000_000;
/** Entry name or link target in an archive, UTF-8 (Linux PATH_MAX). */
export const MAX_ARCHIVE_NAME_BYTES = 4_096;
/** Extended headers (PAX or GNU long name) before one entry. */
export const MAX_EXTENDED_HEADER_BYTES = 1024 * 1024;
/** Pieces of data in a sparse file of an archive: a map of more is a text of over a megabyte. */
export const MAX_SPARSE_RUNS = 65_536;
/** Holes in all sparse files of an archive: they are written out as zeros while it is read. */
export const MAX_SPARSE_HOLE_BYTES = 1024 ** 3;
/** JSON file in an archive: manifest.json, index.json, manifests, repositories. */
export const MAX_ARCHIVE_JSON_BYTES = 20 * 1024 * 1024;
/** All configs, manifests and indexes of an archive, held in memory until written in one batch. */
export const MAX_ARCHIVE_DOCUMENT_BYTES = 256 * 1024 * 1024;
/** Archive file kept in memory (configs, manifests, small layers); larger ones are staged. */
export const MAX_MEMORY_FILE_BYTES = 256 * 1024;
/** All archive files kept in memory: those of some thousand images. The rest are staged. */
export const MAX_MEMORY_BYTES = 64 * 1024 * 1024;
/** Links in a chain in an archive. */
export const MAX_LINK_DEPTH = 32;
/**
 * Text compared while following the paths of an archive with links: every prefix of a path is
 * looked up, at quadratic cost in its parts. Paths of 100,000 layers take a tenth of it.
 */
export const MAX_PATH_LOOKUP_BYTES = 256 * 1024 * 1024;
/**
 * Descriptors in an archive's indexes, counted each time an index is named: the steps from
 * index.json down to the images.
 */
export const MAX_ARCHIVE_DESCRIPTORS = 100_000;
/** Content in a descriptor itself (`data`); OCI image spec, manifest.md, suggests manifests below 4 MiB. */
export const MAX_MANIFEST_DATA_BYTES = 4 * 1024 * 1024;
/** A config in the format before Docker 1.10, which Docker still writes beside each layer. */
export const MAX_LEGACY_CONFIG_BYTES = 64 * 1024;
/** Nesting of indexes in an OCI layout. */
export const MAX_INDEX_DEPTH = 4;
/** Names per archive, written in one batch; no registry has as many tags of a repository. */
export const MAX_REFERENCES_PER_ARCHIVE = 10_000;
/** Images per archive. */
export const MAX_IMAGES_PER_ARCHIVE = 10_000;
/** Decompressed layer. */
export const MAX_LAYER_BYTES = 256 * 1024 ** 3;
/** Decompressed per compressed byte of a layer; deflate cannot exceed 1,032. */
export const MAX_COMPRESSION_RATIO = 1_100;
/** Decompressed bytes a layer may have at any ratio. */
export const COMPRESSION_RATIO_FREE_BYTES = 64 * 1024 * 1024;
/** Header of a gzip member: an extra field of 64 KiB, a name and a comment. */
export const MAX_GZIP_HEADER_BYTES = 128 * 1024;
/** Zstd window: the default maximum of the zstd tool (`zstd --long`, 27 bits). */
export const MAX_ZSTD_WINDOW_BYTES = 128 * 1024 * 1024;
/** Xz dictionary: as zstd's window; `xz -9` has 64 MiB. Decoding takes a quarter more. */
export const MAX_XZ_DICTIONARY_BYTES = 128 * 1024 * 1024;
/**
 * Output of one bzip2 decoder step. A 900 kB block can expand to 45 MB, and the decoder holds back
 * about one block of input: far above honest layers, far below a bomb.
 */
export const MAX_BZIP2_STEP_BYTES = 512 * 1024 * 1024;

/** One upload to a registry: a blob as it comes, mostly a compressed layer. */
export const MAX_UPLOAD_BYTES = 64 * 1024 ** 3;
/** Uploads in progress of one owner: a push has five at a time, and what it abandons stays a day. */
export const MAX_UPLOADS_PER_OWNER = 1_000;
/** Uploads in progress of all owners. */
export const MAX_UPLOADS = 10_000;
/** Bytes that uploads of one owner occupy, in progress and staged. */
export const MAX_UPLOADED_BYTES_PER_OWNER = 256 * 1024 ** 3;
/** Bytes that the uploads of all owners occupy, in progress and staged. */
export const MAX_UPLOADED_BYTES = 1024 ** 4;
/** Tags that one push may set: more do not fit into the line of a request. */
export const MAX_TAGS_OF_PUSH = 100;
/** Blobs of one owner that wait for a manifest, counted for each repository. */
export const MAX_STAGED_BLOBS_PER_OWNER = 10_000;
/** Blobs of all owners that wait for a manifest, counted for each repository. */
export const MAX_STAGED_BLOBS = 50_000;
/** Repositories in which one blob waits for a manifest: they are written together. */
export const MAX_REPOSITORIES_PER_STAGED_BLOB = 1_000;
/** File that describes an upload or a staged blob with its repositories. */
export const MAX_UPLOAD_RECORD_BYTES = 8 * 1024 * 1024;
/** Milliseconds after its last use at which an upload or a staged blob is removed: a day. */
export const UPLOAD_EXPIRY_MS = 24 * 60 * 60 * 1_000;
/**
 * Milliseconds without a request after which an upload gives way to a new one that a limit of uploads
 * in progress would refuse.
 */
export const UPLOAD_IDLE_MS = 10 * 60 * 1_000;
/** Milliseconds between two searches of a server for what expired. */
export const UPLOAD_SWEEP_INTERVAL_MS = 60 * 60 * 1_000;
/** Uploads between two requests that keep their decoder; others are read again when they continue. */
export const MAX_IDLE_METERS = 64;

/** Config, manifest or index in a pack of a backup; a larger one has its own file. */
export const MAX_PACKED_CONTENT_BYTES = 64 * 1024;
/** Pack of a backup, held in memory while it is written or verified, and written again on erasure. */
export const MAX_PACK_BYTES = 4 * 1024 * 1024;
/** Events a backup may lack after its last bundle; beyond, its end is considered lost. */
export const MAX_MISSING_EVENTS = 65_536;
/** Signed note or checkpoint (Go's `note` package). */
export const MAX_NOTE_BYTES = 1_000_000;
/** Signatures per note (Go's `note` package; C2SP signed-note requires at least 16). */
export const MAX_NOTE_SIGNATURES = 100;
/** Name of a log, also that of its key, UTF-8. */
export const MAX_ORIGIN_BYTES = 255;
/** `.tlog-proof` file: hashes, a record in base64 and a checkpoint. */
export const MAX_PROOF_BYTES = MAX_NOTE_BYTES + 2 * MAX_RECORD_BYTES;
/** Hashes of an inclusion proof: a tree of 2^53 leaves has 53 levels. */
export const MAX_PROOF_HASHES = 53;
/** Configuration file of the command line: some lines of text. */
export const MAX_SETTINGS_FILE_BYTES = 65_536;
/** Key file: twice the longest key. */
export const MAX_KEY_FILE_BYTES = 1_024;

/** Frame between a command line and the server that runs its command: its words and variables are one. */
export const MAX_COMMAND_FRAME_BYTES = 2 * 1024 * 1024;
/** Bytes of a frame with a part of a file or of the standard input. */
export const COMMAND_CHUNK_BYTES = 128 * 1024;
/** Bytes of a stream that a client may send before the server has used any. */
export const COMMAND_WINDOW_BYTES = 1024 * 1024;
/** Commands that a server runs at once; each follower of the log is one. */
export const MAX_COMMANDS_AT_ONCE = 64;
/** Milliseconds from a client's connection to the command that it wants run. */
export const COMMAND_START_MS = 10_000;
/** Milliseconds after which a command ends whose client takes none of its output, or sends nothing: an hour. */
export const COMMAND_IDLE_MS = 60 * 60 * 1_000;
/** Milliseconds after which a client says again that it is there. */
export const COMMAND_ALIVE_MS = COMMAND_IDLE_MS / 4;
/** Milliseconds for a client to leave once its command has ended. */
export const COMMAND_LEAVE_MS = 10_000;
/** Milliseconds for the connection of a command line to a server, TLS included. */
export const SERVER_CONNECT_MS = 10_000;
/** Milliseconds before a command line asks a busy server again. */
export const SERVER_POLL_MS = 250;
/** Head of a server's answer to a command line; the error that may follow it. */
export const MAX_SERVER_ANSWER_BYTES = 64 * 1024;
/** Users file and JWKS of a server: some 50,000 users. */
export const MAX_ACCESS_FILE_BYTES = 4 * 1024 * 1024;
/** Milliseconds between two checks whether such a file changed. */
export const ACCESS_FILE_CHECK_MS = 1_000;
/** Cost of a bcrypt hash in a users file: a comparison at 14 takes a second. */
export const MAX_BCRYPT_COST = 14;
/** Logins that wait for their bcrypt comparison, which are made one at a time. */
export const MAX_WAITING_LOGINS = 64;
/** Logins whose password need not be compared again: a MAC each. */
export const MAX_KEPT_LOGINS = 4_096;
/** Header `Authorization`: tokens of CI systems have some 2,000 characters, in Basic a third more. */
export const MAX_AUTHORIZATION_LENGTH = 12 * 1024;
/** Failed logins from an address (IPv6: a /64) in a window; beyond, 429. */
export const MAX_LOGIN_FAILURES_PER_ADDRESS = 30;
/** Failed logins as a user in a window; beyond, 429, except for passwords that were right lately. */
export const MAX_LOGIN_FAILURES_PER_USER = 10;
/** Milliseconds from the first failed login after which they count no longer. */
export const LOGIN_FAILURE_WINDOW_MS = 60_000;
/** Addresses, and users, whose failed logins are counted. */
export const MAX_LOGIN_FAILURE_KEYS = 10_000;
/** Milliseconds that a session token stands for a login: a removed user may do something so long. */
export const SESSION_TOKEN_MS = 5 * 60 * 1_000;
/** Seconds that the clock of an issuer of tokens may differ. */
export const MAX_CLOCK_TOLERANCE_S = 300;
/** Milliseconds to get a JWKS. */
export const JWKS_TIMEOUT_MS = 5_000;
/** Milliseconds before an unknown key makes a server get the JWKS again. */
export const JWKS_COOLDOWN_MS = 30_000;
/** Milliseconds for which a JWKS is used: a key that was withdrawn works so long. */
export const JWKS_MAX_AGE_MS = 10 * 60 * 1_000;
/** Path of a unix socket: `sun_path` has room for 108 bytes on Linux, and for 104 on macOS. */
export const MAX_SOCKET_PATH_BYTES = 103;
/** All headers of a request; the default of `--max-header-bytes`, as Node's. */
export const MAX_REQUEST_HEADER_BYTES = 16 * 1024;
/** Headers of a request. */
export const MAX_REQUEST_HEADERS = 200;
/** Characters of a request's path and query; the default of `--max-url-length`. */
export const MAX_URL_LENGTH = 8 * 1024;
/** Milliseconds for the headers of a request, also for the first after connecting; default of `--headers-timeout`. */
export const HEADERS_TIMEOUT_MS = 20_000;
/** Milliseconds an idle connection is kept; longer than proxies keep theirs. Default of `--idle-timeout`. */
export const IDLE_TIMEOUT_MS = 75_000;
/** Milliseconds a body may move slower than its rate, either way; default of `--stall-timeout`. */
export const STALL_TIMEOUT_MS = 60_000;
/** Bytes a second below which a body is slow; default of `--min-rate`. */
export const MIN_BODY_RATE = 1_024;
/** Connections in all; default of `--max-connections`. Each takes a descriptor and some 10 kB. */
export const MAX_CONNECTIONS = 20_000;
/** Connections of one address, if not a unix socket or a trusted proxy; default of `--max-per-address`. */
export const MAX_CONNECTIONS_PER_ADDRESS = 1_000;
/** Requests in progress, feeds not counted; default of `--max-requests`. */
export const MAX_REQUESTS_IN_FLIGHT = 1_000;
/** Milliseconds requests may take to finish when the server stops; default of `--stop-timeout`. */
export const STOP_TIMEOUT_MS = 30_000;
/** Certificate, key and authorities of TLS, each. */
export const MAX_TLS_FILE_BYTES = 1024 * 1024;
/** Lines of an access log that wait for the disk; further ones are dropped and counted. */
export const MAX_PENDING_LOG_BYTES = 4 * 1024 * 1024;
/** Manifest or index of a registry (OCI Distribution: clients and registries keep to 4 MiB). */
export const MAX_REGISTRY_MANIFEST_BYTES = 4 * 1024 * 1024;
/** Any other JSON of a registry: tokens, errors, a page of tags. */
export const MAX_REGISTRY_ANSWER_BYTES = 4 * 1024 * 1024;
/** Body of a registry's error whose reason is shown; a larger one is no error of the protocol. */
export const MAX_REGISTRY_REASON_BYTES = 64 * 1024;
/** Characters of that reason in a message. */
export const MAX_REGISTRY_REASON_LENGTH = 200;
/** Pages of a list of a registry, some 1,000 entries each. */
export const MAX_REGISTRY_PAGES = 1_000;
/** Redirects that one request to a registry follows. */
export const MAX_REGISTRY_REDIRECTS = 5;
/** Blobs transferred at once, from or to a registry. */
export const MAX_PARALLEL_BLOBS = 4;
/** Attempts of a request, or of a blob without any byte of progress, before a registry is unavailable. */
export const MAX_REGISTRY_ATTEMPTS = 5;
/** Bytes that connections bring until the attempts before them no longer count. */
export const MIN_REGISTRY_PROGRESS_BYTES = 64 * 1024;
/** Longest pause before the second attempt; it doubles with each, up to the maximum. Half of it is random. */
export const REGISTRY_RETRY_MIN_MS = 250;
/** Longest pause between two attempts of a request that does not say when to come back. */
export const REGISTRY_RETRY_MAX_MS = 10_000;
/** Longest `Retry-After` that a request waits for. */
export const MAX_RETRY_AFTER_MS = 60_000;
/** Milliseconds without a byte after which a connection to a registry counts as broken. */
export const REGISTRY_IDLE_MS = 60_000;
/** Blob uploaded in one piece; a larger one continues where its connection broke. */
export const MAX_WHOLE_UPLOAD_BYTES = 1024 * 1024;
/** Rest of a refused upload that is read before the answer: Docker's SDKs see none while they still send. */
export const MAX_DISCARDED_BODY_BYTES = 16 * 1024 * 1024;
/** How long that takes at most: the answer does not wait for a client that sends nothing. */
export const DISCARDED_BODY_MS = 2_000;
/** Blob of a pull kept in memory until its turn comes; a larger one waits in a file. */
export const MAX_WAITING_BLOB_BYTES = 1024 * 1024;
/** File of credentials, as docker and podman write it. */
export const MAX_CREDENTIAL_FILE_BYTES = 1024 * 1024;
/** Milliseconds that a credential helper may take: it may ask a person. */
export const CREDENTIAL_HELPER_MS = 60_000;
/** Clients that follow the log at once; each takes some 15 kB, most of it the connection. */
export const MAX_FEED_FOLLOWERS = 20_000;
/** Clients of the feed that read the log at once, each with up to a page of events in memory. */
export const MAX_FEED_READERS = 32;
/** Text sent to a client of the feed in one piece, at least one event. */
export const MAX_FEED_CHUNK_BYTES = 64 * 1024;
/** Newest events kept for the clients that follow with one filter; who lacks older ones reads the log. */
export const MAX_FEED_CHANNEL_EVENTS = 1_000;
/** Newest events kept for all clients that follow: some 20 MB. */
export const MAX_FEED_EVENTS = 20_000;
/** JSON body of a request to the feed: a filter and a number. */
export const MAX_FEED_BODY_BYTES = 64 * 1024;
/** Events that a request for those of a consumer gets. */
export const MAX_CONSUMER_BATCH_EVENTS = 1_000;
/** Events of such an answer as JSON, at least one event. */
export const MAX_CONSUMER_BATCH_BYTES = 4 * 1024 * 1024;
/** Seconds that such a request waits for an event: proxies wait for 60. */
export const MAX_CONSUMER_WAIT_S = 55;
/** Time for which a client holds the name of a consumer after its last request. */
export const CONSUMER_LEASE_MS = 60_000;
/** Time for one attempt of a webhook, unless it has its own. */
export const WEBHOOK_TIMEOUT_MS = 15_000;
/** Milliseconds that webhooks may take to end and to write their positions when their server stops. */
export const WEBHOOK_CLOSE_MS = 10_000;
/** Longest wait of a webhook before an attempt, also where the target's `Retry-After` is longer: a day. */
export const MAX_WEBHOOK_WAIT_MS = 24 * 60 * 60 * 1_000;
/** Body of a target's answer, which is not looked at; a longer one is cut. */
export const MAX_WEBHOOK_ANSWER_BYTES = 64 * 1024;
/** Secret of a webhook (Standard Webhooks). */
export const MIN_WEBHOOK_SECRET_BYTES = 24;
export const MAX_WEBHOOK_SECRET_BYTES = 64;
/** Events that a webhook skipped and shows; each was reported, and all are counted. */
export const MAX_DEAD_LETTERS = 100;

/** Document that `imagelog page` writes: of a larger log it has the newest events, and hashes of the others. */
export const MAX_PAGE_BYTES = 32 * 1024 * 1024;
/** New events that the page holds back until they are checked; of more it shows that it checks. */
export const MAX_PAGE_PENDING_EVENTS = 10_000;
/** Events between two moments that the page reads to compare them, references apart: the last ones. */
export const MAX_PAGE_COMPARED_EVENTS = 50_000;
/** Newest events of artifacts from which the page knows what is about an image. */
export const MAX_PAGE_ARTIFACT_EVENTS = 20_000;
/** Events that the page reads to find which images share the layers of one. */
export const MAX_PAGE_SHARING_EVENTS = 20_000;
/** Generations of parents, and children, that the page shows of an image. */
export const MAX_PAGE_ANCESTORS = 50;
export const MAX_PAGE_CHILDREN = 100;
/** Digests that the beginning of one stands for on the page. */
export const MAX_PAGE_DIGESTS = 50;
/** Newest periods of a reference that the page draws; lists with who and why. */
export const MAX_PAGE_PERIODS = 300;
export const MAX_PAGE_LISTED_PERIODS = 100;
/** Events of one transaction that the page lists. */
export const MAX_PAGE_TRANSACTION_EVENTS = 200;
