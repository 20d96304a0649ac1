import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { z } from 'zod';
import { type Line, readLines } from '../base/lines.ts';
import type { SourceConfig } from '../contracts/collection.ts';
import { PlimsollError } from '../spec/errors.ts';
import { metaOf } from './document-meta.ts';
import { describe } from './folder-source.ts';
import { CONTENT_TYPES, type OpenSource, type SourceItem } from './source-item.ts';

type JsonlConfig = Extract<SourceConfig, { kind: 'jsonl' }>;

const lineSchema = z.record(z.string(), z.unknown());
const idSchema = z.union([z.string().min(1).max(1_024), z.number().transform(String)]);

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
	return {
		total: null,
		async *items() {
			try {
				for await (const line of readLines(createReadStream(config.path, { signal }), config.lineBytesMax)) {
					const item = toItem(config, line);
					if (item) yield item;
				}
			} catch (cause) {
				signal.throwIfAborted();
				throw cause instanceof PlimsollError ? cause : unusable(describe(cause), cause);
			}
		},
	};
}

function toItem(config: JsonlConfig, { number, bytes }: Line): SourceItem | null {
	const failed = (reason: string, document = `line ${number}`): SourceItem => ({ failed: { document, reason } });
	if (!bytes) return failed(`longer than line_bytes_max (${config.lineBytesMax} bytes)`);
	const text = decode(bytes);
	if (text === null) return failed('not valid UTF-8');
	if (!text.trim()) return null;
	const record = lineSchema.safeParse(parseJson(text));
	if (!record.success) return failed('not a JSON object');
	const id = idSchema.safeParse(record.data[config.idField]);
	if (!id.success)
		return failed(`the field ${config.idField} is not an id (text of 1 to 1,024 characters, or a number)`);
	const body = record.data[config.textField];
	if (typeof body !== 'string') return failed(`the field ${config.textField} is not text`, id.data);
	const title = config.titleField === null ? null : record.data[config.titleField];
	const { [config.idField]: _id, [config.textField]: _text, ...others } = record.data;
	return {
		document: {
			id: id.data,
			format: 'text',
			bytes: Buffer.from(body),
			title: typeof title === 'string' && title ? title : id.data,
			meta: metaOf(others, { contentType: CONTENT_TYPES.text }),
		},
	};
}

function decode(bytes: Buffer): string | null {
	try {
		return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
	} catch {
		return null;
	}
}

function parseJson(text: string): unknown {
	try {
		return JSON.parse(text);
	} catch {
		return null;
	}
}
