import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { z } from 'zod';
import { type Line, readLines } from '../../base/lines.ts';
import { parseJson } from '../../base/parse-json.ts';
import type { SourceConfig } from '../../contracts/collection.ts';
import { PlimsollError } from '../../spec/errors.ts';
import type { OpenSource, SourceItem } from '../source-item.ts';
import { FileTotal } from './file-total.ts';
import { describe } from './folder.ts';
import { recordItem } from './record.ts';

type JsonlConfig = Extract<SourceConfig, { kind: 'jsonl' }>;

const lineSchema = z.record(z.string(), z.unknown());

/** One JSON object a line, with a document's id, text and (optionally) title in named fields. Blank lines are skipped. */
export async function openJsonl(config: JsonlConfig, signal: AbortSignal): Promise<OpenSource> {
	const unusable = (reason: string, cause: unknown) =>
		new PlimsollError('source_unusable', `Source ${config.name}: the file ${config.path} cannot be used: ${reason}.`, {
			cause,
		});
	const file = await stat(config.path).catch((cause: unknown) => {
		throw unusable(describe(cause), cause);
	});
	if (!file.isFile()) throw unusable('it is not a regular file', null);
	const total = new FileTotal(file.size);
	return {
		get total() {
			return total.items;
		},
		async *items() {
			try {
				const stream = total.follow(createReadStream(config.path, { signal }));
				for await (const line of readLines(stream, config.lineBytesMax)) {
					const item = toItem(config, line);
					if (!item) continue;
					total.count();
					yield item;
				}
			} catch (cause) {
				signal.throwIfAborted();
				throw cause instanceof PlimsollError ? cause : unusable(describe(cause), cause);
			}
		},
	};
}

function toItem(config: JsonlConfig, { number, bytes }: Line): SourceItem | null {
	const failed = (reason: string): SourceItem => ({ failed: { document: `line ${number}`, reason } });
	if (!bytes) return failed(`longer than line_bytes_max (${config.lineBytesMax} bytes)`);
	const text = decode(bytes);
	if (text === null) return failed('not valid UTF-8');
	if (!text.trim()) return null;
	const record = lineSchema.safeParse(parseJson(text));
	if (!record.success) return failed('not a JSON object');
	const shape = {
		what: 'field',
		id: config.idField,
		text: config.textField,
		title: config.titleField,
		format: 'text',
	} as const;
	return recordItem(record.data, shape, `line ${number}`);
}

function decode(bytes: Buffer): string | null {
	try {
		return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
	} catch {
		return null;
	}
}
