import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { pipeline } from 'node:stream/promises';
import { CsvError, type Options, parse } from 'csv-parse';
import { PlimsollError } from '../../spec/errors.ts';
import type { OpenSource, SourceItem } from '../source-item.ts';
import type { ConfigOf } from './access.ts';
import { FileTotal } from './file-total.ts';
import { describe } from './folder.ts';
import { recordItem } from './record.ts';

/** A record that is longer than allowed by more than this is more likely a quote that is never closed. */
const RECORD_BYTES_MORE = 16_777_216;

type CsvConfig = ConfigOf<'csv'>;

/** The records of a CSV file, streamed: each one is a document, its other columns are fields. Broken records are failures. */
export async function openCsv(config: CsvConfig, signal: AbortSignal): Promise<OpenSource> {
	const unusable = (reason: string, cause: unknown) =>
		new PlimsollError('source_unusable', `Source ${config.name}: the file ${config.path} cannot be used: ${reason}.`, {
			cause,
		});
	const file = await stat(config.path).catch((cause: unknown) => {
		throw unusable(describe(cause), cause);
	});
	if (!file.isFile()) throw unusable('it is not a regular file', null);
	try {
		new TextDecoder(config.encoding);
	} catch (cause) {
		throw unusable(`its encoding ${config.encoding} is not known`, cause);
	}
	const total = new FileTotal(file.size);
	return {
		get total() {
			return total.items;
		},
		async *items() {
			try {
				for await (const item of recordsOf(config, total, signal)) {
					total.count();
					yield item;
				}
			} catch (cause) {
				signal.throwIfAborted();
				if (cause instanceof PlimsollError) throw cause;
				const undecodable =
					cause instanceof Error && 'code' in cause && cause.code === 'ERR_ENCODING_INVALID_ENCODED_DATA';
				throw unusable(
					undecodable ? `it is not valid ${config.encoding}: state its encoding` : wordsOf(cause, config),
					cause,
				);
			}
		},
	};
}

function wordsOf(cause: unknown, { recordBytesMax }: CsvConfig): string {
	if (!(cause instanceof CsvError) || cause.code !== 'CSV_MAX_RECORD_SIZE') return describe(cause);
	return `the record that begins at line ${cause.lines} does not end within ${recordBytesMax + RECORD_BYTES_MORE} bytes: close its quote, or raise record_bytes_max`;
}

async function* recordsOf(config: CsvConfig, total: FileTotal, signal: AbortSignal): AsyncGenerator<SourceItem> {
	const failures: SourceItem[] = [];
	const parser = parse(parserOptions(config));
	parser.on('skip', (error: CsvError) => {
		// Where one ends is not known any more: the records after it would be missed, and taken for deleted.
		if (error.code === 'CSV_QUOTE_NOT_CLOSED' || error.code === 'CSV_MAX_RECORD_SIZE') parser.destroy(error);
		else failures.push({ failed: { document: `line ${error.lines}`, reason: reasonOf(error) } });
	});
	const ended = pipeline(
		total.follow(createReadStream(config.path)),
		(blocks) => decoded(blocks, config.encoding),
		parser,
		{
			signal,
		},
	);
	// What goes wrong reaches the loop below through the parser.
	ended.catch(() => {});
	for await (const { record, info } of parser) {
		yield* failures.splice(0);
		const place = `line ${info.lines}`;
		const bytes = Object.values<string>(record).reduce((sum, cell) => sum + Buffer.byteLength(cell), 0);
		const tooLong = bytes > config.recordBytesMax;
		if (!tooLong) yield recordItem(record, shapeOf(config), place);
		else yield { failed: { document: place, reason: `longer than record_bytes_max (${config.recordBytesMax} bytes)` } };
	}
	await ended;
	yield* failures;
}

async function* decoded(blocks: AsyncIterable<Uint8Array>, encoding: string): AsyncGenerator<string> {
	const decoder = new TextDecoder(encoding, { fatal: true });
	for await (const block of blocks) yield decoder.decode(block, { stream: true });
	yield decoder.decode();
}

function parserOptions(config: CsvConfig): Options {
	return {
		delimiter: config.delimiter,
		columns: (names: string[]) => checkedColumns(config, names),
		bom: true,
		info: true,
		skip_empty_lines: true,
		skip_records_with_error: true,
		max_record_size: config.recordBytesMax + RECORD_BYTES_MORE,
	};
}

function checkedColumns(config: CsvConfig, names: readonly string[]): string[] {
	const missing = [config.idColumn, config.textColumn, config.titleColumn ?? config.idColumn].find(
		(name) => !names.includes(name),
	);
	if (missing === undefined) return [...names];
	throw new PlimsollError(
		'source_unusable',
		`Source ${config.name}: the file ${config.path} has no column ${missing}; it has ${names.slice(0, 50).join(', ')}.`,
	);
}

function shapeOf({ idColumn, textColumn, titleColumn }: CsvConfig) {
	return { what: 'column', id: idColumn, text: textColumn, title: titleColumn, format: 'text' } as const;
}

function reasonOf(error: CsvError): string {
	if (error.code === 'CSV_RECORD_INCONSISTENT_COLUMNS') return 'it has not as many cells as there are columns';
	return `broken CSV: ${error.message}`;
}
