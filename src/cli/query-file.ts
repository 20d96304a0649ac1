import { createReadStream } from 'node:fs';
import { addAbortSignal } from 'node:stream';
import { z } from 'zod';
import { readLines } from '../base/lines.ts';
import { PlimsollError } from '../spec/errors.ts';

const LINE_BYTES_MAX = 1_048_576;

const queryLine = z.object({
	id: z.union([z.string().min(1).max(1_024), z.number().transform(String)]),
	query: z.string().min(1).max(100_000),
});

/** A line of a query file: a query, or why it is none. */
export type QueryLine =
	| { readonly line: number; readonly id: string; readonly query: string }
	| { readonly line: number; readonly wrong: string };

/** The queries of a file, or of standard input for `-`, one line in memory at a time. Blank lines are passed over. */
export async function* readQueries(file: string, signal: AbortSignal): AsyncGenerator<QueryLine> {
	for await (const { line, value, wrong } of readQueryLines(file, signal)) {
		yield wrong === null ? checked(value, line) : { line, wrong };
	}
}

/** A line of JSON; `wrong` says why it is none. */
interface JsonLine {
	readonly line: number;
	readonly value: unknown;
	readonly wrong: string | null;
}

/** The lines of a file of JSON, or of standard input for `-`, as `readQueries`. */
export async function* readQueryLines(file: string, signal: AbortSignal): AsyncGenerator<JsonLine> {
	const stream = addAbortSignal(signal, file === '-' ? process.stdin : createReadStream(file));
	try {
		for await (const { number, bytes } of readLines(stream, LINE_BYTES_MAX)) {
			if (bytes === null) {
				yield { line: number, value: null, wrong: `longer than ${LINE_BYTES_MAX} bytes` };
				continue;
			}
			const text = bytes.toString('utf8').trim();
			if (text !== '') yield parsed(text, number);
		}
	} catch (thrown) {
		if (signal.aborted) throw signal.reason;
		const why = thrown instanceof Error ? thrown.message : String(thrown);
		throw new PlimsollError('request_invalid', `The queries cannot be read: ${why}`, { cause: thrown });
	}
}

function parsed(text: string, line: number): JsonLine {
	try {
		return { line, value: JSON.parse(text), wrong: null };
	} catch {
		return { line, value: null, wrong: 'not JSON' };
	}
}

function checked(value: unknown, line: number): QueryLine {
	const read = queryLine.safeParse(value);
	if (read.success) return { line, ...read.data };
	const issue = read.error.issues[0];
	return { line, wrong: `${issue?.path.join('.') || 'the line'}: expected {"id": text or number, "query": text}` };
}
