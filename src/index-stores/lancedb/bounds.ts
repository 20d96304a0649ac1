/**
 * What LanceDB takes from the environment of the process, once, when it is first used. Its own defaults are for machines whose
 * memory is larger than a table.
 */
export const LANCE_BOUNDS = {
	/** Bytes that a scan reads ahead of whoever takes its rows. By itself it is 2 GiB: a slow taker then has all of a table in memory. */
	LANCE_DEFAULT_IO_BUFFER_SIZE: 32 * 1024 * 1024,
	/** MiB of postings that a worker gathers before it writes a part of the text index, of two or more cores one each. By itself it is 2 GiB. Many parts cost searches time. */
	LANCE_FTS_PARTITION_SIZE: 128,
} as const;
