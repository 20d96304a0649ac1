/** Of all tables together. What does not fit is read from disk again. */
export const INDEX_CACHE_BYTES = 512 * 1024 * 1024;
export const METADATA_CACHE_BYTES = 128 * 1024 * 1024;

/** Of whoever goes through a table once and asks for little twice: a writer, and a reader past the caches. */
export const PASSING_METADATA_BYTES = 32 * 1024 * 1024;
export const WRITER_INDEX_BYTES = 32 * 1024 * 1024;
/** The checks of a generation search it some hundred times. */
export const CHECKED_INDEX_BYTES = 128 * 1024 * 1024;
