/**
 * What LanceDB takes from the environment of the process, once, when it is loaded or first used. Its own defaults are for machines
 * whose memory is larger than a table.
 */
export const LANCE_SETTINGS = {
	/** It writes lines of its own to stderr: that vectors are the same is no warning to anybody who reads the log. */
	LANCEDB_LOG: 'error',
	/** Bytes that a scan reads ahead of whoever takes its rows. By itself it is 2 GiB: a slow taker then has all of a table in memory. */
	LANCE_DEFAULT_IO_BUFFER_SIZE: 32 * 1024 * 1024,
	/** MiB of postings that a worker gathers before it writes a part of the text index, of two or more cores one each. By itself it is 2 GiB. Many parts cost searches time. */
	LANCE_FTS_PARTITION_SIZE: 128,
} as const;
