/** Of all tables together. What does not fit is read from disk again. */
export const INDEX_CACHE_BYTES = 512 * 1024 * 1024;
export const METADATA_CACHE_BYTES = 128 * 1024 * 1024;
