import { z } from 'zod';
import type { Effect, StoredResponse } from '../spec/idempotency.ts';

const effect: z.ZodType<Effect> = z.object({ kind: z.enum(['upstream', 'tool']), name: z.string(), at: z.int() });
const text = z.string().nullable();
const head: z.ZodType<Omit<StoredResponse, 'body'>> = z.object({
	status: z.int(),
	headers: z.record(z.string(), z.string()),
	origin: z.object({ feature: text, release: text, degradedReason: text, errorCode: text }),
});

/** One JSON object a line, so that a script can add and remove one without reading the others. */
export function effectLine({ kind, name, at }: Effect): string {
	return `${JSON.stringify({ kind, name, at })}\n`;
}

export function readEffects(lines: string): readonly Effect[] {
	return lines
		.split('\n')
		.filter((line) => line !== '')
		.map((line) => effect.parse(JSON.parse(line)));
}

export function writeHead({ status, headers, origin }: StoredResponse): string {
	return JSON.stringify({ status, headers, origin });
}

export function readResponse(headText: string, body: string): StoredResponse {
	return { ...head.parse(JSON.parse(headText)), body };
}
