import * as z from 'zod';
import { BYTES, integer, MILLISECONDS } from '../contracts/fields.ts';
import type { SchemaNode } from '../contracts/schema-node.ts';
import type { Fault, Plan } from './plan.ts';

const MS_MAX = 3_600_000;

const kind = <K extends Fault>(name: K, description: string) => z.literal(name).meta({ description });
const bare = <K extends Fault>(name: K, description: string) => z.strictObject({ kind: kind(name, description) });

const place = {
	at_byte: integer(0, 1_000_000_000, {
		description: 'At this byte of the body.',
		'x-unit': BYTES,
		'x-default': 'the middle',
		examples: [100],
	}).optional(),
	after_chunks: integer(0, 1_000_000, {
		description: 'After this many events of a stream, in the place of `at_byte`.',
		examples: [3],
	}).optional(),
};

const retry = (form: 'seconds' | 'none') => ({
	retry_after: z
		.enum(['seconds', 'date', 'milliseconds', 'none'])
		.meta({
			description:
				'How it says when to come back: `Retry-After` in seconds or as a date, `retry-after-ms`, or not at all. Gemini’s errors say it in their body too.',
		})
		.default(form),
	retry_after_ms: integer(0, MS_MAX, { description: 'When to come back.', 'x-unit': MILLISECONDS }).default(1_000),
});

/** What can go wrong with one request, in files and in the header `x-mock-fault`. */
export const faultSchema = z
	.discriminatedUnion('kind', [
		z.strictObject({
			kind: kind('rate_limited', 'Refuses: too many requests (429).'),
			...retry('seconds'),
		}),
		z.strictObject({
			kind: kind('quota', 'Refuses: the account has used up what it paid for.'),
			...retry('none'),
		}),
		z.strictObject({
			kind: kind('server_error', 'Refuses: an error of the server.'),
			status: integer(500, 599, { description: 'The HTTP status.' }).default(500),
			...retry('none'),
		}),
		z.strictObject({
			kind: kind('overloaded', 'Refuses: overloaded (529 from Anthropic, else 503).'),
			...retry('none'),
		}),
		bare('context_too_long', 'Refuses: the prompt is longer than the context.'),
		bare('content_filter', 'Refuses: the prompt was filtered. `filtered` is the filter in the middle of an answer.'),
		bare('bad_request', 'Refuses: the request is invalid.'),
		bare('authentication', 'Refuses: the key is wrong.'),
		bare('permission', 'Refuses: the key may not use this model.'),
		bare('model_not_found', 'Refuses: there is no such model.'),
		bare('reset', 'Resets the connection before the head of the response.'),
		bare('silent', 'Accepts the request and says nothing, until the client leaves.'),
		z.strictObject({
			kind: kind('slow_first_token', 'Sends the head of a stream, and its first token late.'),
			ms: integer(1, MS_MAX, { description: 'How late.', 'x-unit': MILLISECONDS, examples: [30_000] }),
		}),
		z.strictObject({ kind: kind('cut', 'Breaks the connection off in the middle of the body.'), ...place }),
		z.strictObject({
			kind: kind('stall', 'Falls silent in the middle of the body.'),
			...place,
			ms: integer(1, MS_MAX, {
				description: 'How long; then the rest follows.',
				'x-unit': MILLISECONDS,
				'x-default': 'until the client leaves',
				examples: [5_000],
			}).optional(),
		}),
		z.strictObject({ kind: kind('malformed_chunk', 'Breaks the JSON of one event, or of a plain answer.'), ...place }),
		z.strictObject({
			kind: kind('error_in_stream', 'Sends the vendor’s error in the middle of a stream, and ends it.'),
			after_chunks: place.after_chunks,
		}),
		bare('no_done', 'Ends a stream without its end mark.'),
		bare('no_finish_reason', 'Ends without saying why the model stopped.'),
		bare('hang_at_end', 'Keeps the connection open after the last event, without an end mark.'),
		bare('html', 'Answers 200 with a web page, as a network’s sign-in does.'),
		bare('redirect', 'Answers with a redirect.'),
		z.strictObject({
			kind: kind('huge_body', 'Sends an answer that is far too large.'),
			bytes: integer(1, 1_073_741_824, { description: 'How large.', 'x-unit': BYTES }).default(52_428_800),
		}),
		z.strictObject({
			kind: kind('slow_bytes', 'Sends the body in pieces of a few bytes.'),
			bytes: integer(1, 1_048_576, { description: 'How many at once.', 'x-unit': BYTES }).default(1),
			gap_ms: integer(0, MS_MAX, { description: 'Between two pieces.', 'x-unit': MILLISECONDS }).default(0),
		}),
		z.strictObject({
			kind: kind('empty_chunks', 'Streams events without text, and no other.'),
			chunks: integer(1, 100_000, { description: 'How many.' }).default(50),
		}),
		bare('wrong_usage', 'Reports a usage that contradicts itself.'),
		bare('no_usage', 'Reports no usage.'),
		bare('truncated', 'Ends the answer at the output limit.'),
		bare('filtered', 'Ends the answer with the content filter.'),
		bare('interleaved_tool_calls', 'Streams the parts of two tool calls in turns.'),
		bare('duplicate_tool_calls', 'Gives two tool calls the same index.'),
		bare('broken_tool_arguments', 'Calls a tool with arguments that are no JSON.'),
	])
	.meta({ description: 'What goes wrong.' });

/** The same as JSON Schema, for the text of problems. */
export const faultJsonSchema = z.toJSONSchema(faultSchema, { io: 'input' }) as SchemaNode;

export type RawFault = z.output<typeof faultSchema>;

/** All that a fault can say, whichever it is. */
interface AnyFault {
	readonly kind: Fault;
	readonly at_byte?: number | undefined;
	readonly after_chunks?: number | undefined;
	readonly ms?: number | undefined;
	readonly bytes?: number;
	readonly gap_ms?: number;
	readonly chunks?: number;
	readonly status?: number;
	readonly retry_after?: 'seconds' | 'date' | 'milliseconds' | 'none';
	readonly retry_after_ms?: number;
}

/** A fault as a part of a plan. */
export function faultPlan(raw: RawFault): Plan {
	const fault: AnyFault = raw;
	return {
		fault: fault.kind,
		...(fault.at_byte !== undefined && { atByte: fault.at_byte }),
		...(fault.after_chunks !== undefined && { afterChunks: fault.after_chunks }),
		...(fault.ms !== undefined && { stallMs: fault.ms }),
		...(fault.bytes !== undefined && { bytes: fault.bytes }),
		...(fault.gap_ms !== undefined && { gapMs: fault.gap_ms }),
		...(fault.chunks !== undefined && { chunks: fault.chunks }),
		...(fault.status !== undefined && { errorStatus: fault.status }),
		...(fault.retry_after !== undefined && {
			retryAfter: { form: fault.retry_after, ms: fault.retry_after_ms ?? 0 },
		}),
	};
}
