/**
 * Every limit of the product, named, in one place. Sizes are bytes.
 * What exceeds a limit is refused by name, never cut.
 */

/** Size of one encoded event record: the largest a C2SP tlog-tiles entry can be. */
export const MAX_RECORD_BYTES = 65_535;
/** Events of commands that are written together; one command may have more by itself. */
export const MAX_GROUP_EVENTS = 4_096;
/** Size of the records and content of commands that are written together; one command may have more by itself. */
export const MAX_GROUP_BYTES = 16 * 1024 * 1024;
/** Size of an image config (OCI registries accept 4 MiB for a manifest; Docker has no limit). */
export const MAX_CONFIG_BYTES = 4 * 1024 * 1024;
/** Nesting of JSON values in configs, manifests and indexes (Go's encoding/json has 10,000). */
export const MAX_JSON_DEPTH = 1_000;
/** Values in one JSON text, those in arrays and objects each counted: a parsed value takes ten times its text. */
export const MAX_JSON_VALUES = 1_000_000;
/** Characters of one number in a JSON text: a 64-bit integer has 20, a double that is written out as it is some 770. */
export const MAX_JSON_NUMBER_LENGTH = 1_000;
/** Values in an image config: it has six for a build step, one for a label or variable, so real ones have some thousand at most. */
export const MAX_CONFIG_VALUES = 100_000;
/** Build steps in the history of an image config: those of real images are fewer than 1,000. */
export const MAX_HISTORY_ENTRIES = 10_000;
/** Size of `actor` and `requestId` of an event, UTF-8. */
export const MAX_ACTOR_BYTES = 1_024;
/** Size of `reason` of an event, UTF-8. */
export const MAX_REASON_BYTES = 8_192;
/** Length of the name in a reference, domain and path (distribution/reference). */
export const MAX_REFERENCE_NAME_LENGTH = 255;
/** Length of the tag in a reference (distribution/reference). */
export const MAX_TAG_LENGTH = 128;
/** Length of a whole reference: a name, a tag, a SHA-512 digest, and the signs between. */
export const MAX_REFERENCE_LENGTH = MAX_REFERENCE_NAME_LENGTH + 1 + MAX_TAG_LENGTH + 1 + 'sha512:'.length + 128;
/**
 * Milliseconds since the epoch of the last moment that RFC 3339 can write:
 * 9999-12-31T23:59:59.999Z.
 */
export const MAX_TIME_MS = 253_402_300_799_999;
/**
 * Milliseconds before the clock's present that still mean now, in a log that ends with times the
 * clock has yet to reach.
 */
export const PRESENT_MS = 1_000;
/** Size of a metadata key, UTF-8: it is a file name in Docker's layout. */
export const MAX_METADATA_KEY_BYTES = 255;
/** Size of `imagelog.json`: what is written has some 250 bytes. */
export const MAX_SIDECAR_BYTES = 65_536;
/** Size of LevelDB's file CURRENT: the name of its MANIFEST. */
export const MAX_CURRENT_BYTES = 1_024;
/** Bytes that are checksummed in a damaged file of LevelDB to find where it is whole again: hostile ones are given up after a second. */
export const MAX_SCANNED_BYTES = 256 * 1024 * 1024;
/** Size of the index of one of LevelDB's tables, decompressed: that of a table of 2 MiB has some ten KiB. */
export const MAX_TABLE_INDEX_BYTES = 64 * 1024 * 1024;
/** Bytes of LevelDB's tables that an open checks against their checksums, the newest tables first: a tenth of a second. */
export const MAX_TABLE_BYTES_AT_OPEN = 32 * 1024 * 1024;
/** Size of the file that a store keeps so that it can delete, erase and prune on a full disk; it grows with the log. */
export const RESERVE_BYTES = 1024 * 1024;
/** Size of that file at most: LevelDB's newest tables and those that it merges them with. */
export const MAX_RESERVE_BYTES = 16 * 1024 * 1024;
/** Size of a write-ahead log that is left to the next open, which needs as much room to put it into a table. */
export const MAX_LOG_BYTES_AT_CLOSE = RESERVE_BYTES / 4;
/** Size of the blocks of LevelDB's tables that a store opened for reading keeps in memory, decompressed. */
export const MAX_KEPT_BLOCK_BYTES = 8 * 1024 * 1024;
/** Milliseconds for which a table that was found whole, and did not change since, is not read again at open: a day. */
export const MAX_TABLE_TRUST_MS = 24 * 60 * 60 * 1_000;
/** Events that a subscriber holds in memory: one page, however far it is behind. */
export const MAX_PAGE_EVENTS = 1_000;
/** Size of the configs that an open store keeps in memory when they were read; decoded, they take about five times that. */
export const MAX_KEPT_CONFIG_BYTES = 8 * 1024 * 1024;
/** Length of a consumer's name, its version included. */
export const MAX_CONSUMER_NAME_LENGTH = 128;
/** Events that a consumer was given and has not acknowledged: more are a consumer that forgot to. */
export const MAX_UNACKNOWLEDGED_EVENTS = 10_000;
/** Length of the name of a caller's projection: it is part of a file name. */
export const MAX_PROJECTION_NAME_LENGTH = 64;
/** Snapshots of the store's views that are kept: they are spread over the log, and the newest is always one. */
export const MAX_SNAPSHOTS = 20;
/** Size of the header of a snapshot: what it is of, in one line of JSON. */
export const MAX_SNAPSHOT_HEADER_BYTES = 4_096;

/** Layers of one image: the most that Docker's overlay2 driver can mount. */
export const MAX_LAYERS_PER_IMAGE = 125;
/** Entries of one archive. */
export const MAX_ARCHIVE_ENTRIES = 100_000;
/** Entries of one layer tar. */
export const MAX_LAYER_ENTRIES = 10_000_000;
/** Length of an entry name or link target in an archive, UTF-8 (Linux PATH_MAX). */
export const MAX_ARCHIVE_NAME_BYTES = 4_096;
/** Size of the extended (PAX or GNU long name) headers before one entry. */
export const MAX_EXTENDED_HEADER_BYTES = 1024 * 1024;
/** Size of a JSON file in an archive: manifest.json, index.json, manifests, repositories. */
export const MAX_ARCHIVE_JSON_BYTES = 20 * 1024 * 1024;
/** Size of all configs, manifests and indexes of one archive: they wait in memory until one batch writes them. */
export const MAX_ARCHIVE_DOCUMENT_BYTES = 256 * 1024 * 1024;
/** Size of a file of an archive that is kept in memory: a larger one is staged. Configs, manifests and small layers fit. */
export const MAX_MEMORY_FILE_BYTES = 256 * 1024;
/** Size of all files of an archive that are kept in memory: those of some thousand images. The rest is staged. */
export const MAX_MEMORY_BYTES = 64 * 1024 * 1024;
/** Links followed one after another in an archive. */
export const MAX_LINK_DEPTH = 32;
/**
 * Text compared while the paths of one archive with links are followed: at each slash the path so far is looked up, so
 * a path of many short parts costs the square of its length. Paths of 100,000 layers take a tenth of it.
 */
export const MAX_PATH_LOOKUP_BYTES = 256 * 1024 * 1024;
/**
 * Descriptors of the indexes of one archive, those of an index counted wherever it is named: that is how many steps
 * there are from index.json down to the images.
 */
export const MAX_ARCHIVE_DESCRIPTORS = 100_000;
/** Indexes nested in indexes in an OCI layout. */
export const MAX_INDEX_DEPTH = 4;
/** Names in one archive: more than any registry has tags of one repository. Each is decided and written in one batch. */
export const MAX_REFERENCES_PER_ARCHIVE = 10_000;
/** Images in one archive. */
export const MAX_IMAGES_PER_ARCHIVE = 10_000;
/** Size of one layer, decompressed. */
export const MAX_LAYER_BYTES = 256 * 1024 ** 3;
/** Decompressed bytes per compressed byte of a layer; a deflate stream cannot honestly exceed 1,032. */
export const MAX_COMPRESSION_RATIO = 1_100;
/** Decompressed bytes that a layer may have whatever its ratio. */
export const COMPRESSION_RATIO_FREE_BYTES = 64 * 1024 * 1024;
/** Window that a zstd frame may ask for: what the zstd tool itself accepts (`zstd --long` at its default, 27 bits). */
export const MAX_ZSTD_WINDOW_BYTES = 128 * 1024 * 1024;
/**
 * What one step of the bzip2 decoder may give before it is handed on. A block of 900 kB can stand for 45 MB and the
 * decoder holds about one block's input back, so this is far above what a layer gives and far below what a bomb does.
 */
export const MAX_BZIP2_STEP_BYTES = 512 * 1024 * 1024;

/** Events that a backup may lack after its last bundle; a checkpoint of more is of a lost end. */
export const MAX_MISSING_EVENTS = 65_536;
/** Size of a signed note, and of a checkpoint (Go's `note` package). */
export const MAX_NOTE_BYTES = 1_000_000;
/** Signatures of one note (Go's `note` package; C2SP signed-note asks for 16 at least). */
export const MAX_NOTE_SIGNATURES = 100;
/** Size of the name of a log, which is that of its key, UTF-8. */
export const MAX_ORIGIN_BYTES = 255;
/** Size of a `.tlog-proof` file: its hashes, a record in base64 and a checkpoint. */
export const MAX_PROOF_BYTES = MAX_NOTE_BYTES + 2 * MAX_RECORD_BYTES;
/** Hashes of an inclusion proof: a tree of 2^53 leaves has 53 levels. */
export const MAX_PROOF_HASHES = 53;
/** Size of a file that holds a key: the longest key has half of it. */
export const MAX_KEY_FILE_BYTES = 1_024;
