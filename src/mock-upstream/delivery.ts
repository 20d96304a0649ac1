import type { ServerResponse } from 'node:http';
import { type Clock, nextTurn, sleep } from '../base/clock.ts';
import type { Plan } from './plan.ts';
import type { Frames } from './wire-format.ts';

/** How one answer leaves the double. */
export interface Delivery {
	readonly response: ServerResponse;
	readonly plan: Plan;
	readonly clock: Clock;
	/** Aborts when the connection is over. */
	readonly left: AbortSignal;
}

const HUGE_BYTES = 50 * 1024 * 1024;
const brokenOff = new WeakSet<ServerResponse>();

/** Whether the double itself broke the connection off, and not its client. */
export function wasBrokenOff(response: ServerResponse): boolean {
	return brokenOff.has(response);
}

/** Ends the connection with a reset, without an answer. */
export function drop(response: ServerResponse): void {
	brokenOff.add(response);
	response.socket?.resetAndDestroy();
}

/** Sends a whole answer, as badly as the plan says. */
export async function sendPlain(
	delivery: Delivery,
	body: Buffer,
	headers: Record<string, string | number>,
): Promise<void> {
	const { response, plan } = delivery;
	if (plan.fault === 'huge_body') return sendHuge(response, plan, 'application/json');
	if (plan.fault === 'slow_first_token' && plan.stallMs) await sleep(delivery.clock, plan.stallMs, delivery.left);
	response.writeHead(200, headers);
	const at = Math.min(plan.atByte ?? body.length >> 1, body.length);
	switch (plan.fault) {
		case 'cut':
			return cutAfter(response, body.subarray(0, at));
		case 'stall':
			return sendInTwo(delivery, body, at);
		case 'slow_bytes':
			return sendSlowly(delivery, body);
		case 'malformed_chunk':
			response.end(broken(body, plan.atByte ?? 0));
			return;
		default:
			response.end(body);
	}
}

/** Sends a stream, as badly as the plan says. */
export async function sendStream(
	delivery: Delivery,
	frames: Frames,
	more: { headers: Readonly<Record<string, string>>; error: () => string | Buffer },
): Promise<void> {
	const { response, plan } = delivery;
	if (plan.fault === 'huge_body') return sendHuge(response, plan, 'text/event-stream');
	response.writeHead(200, { 'content-type': frames.type, 'cache-control': 'no-cache', ...more.headers });
	const list = [...frames.list];
	const isWithoutEnd = plan.fault === 'no_done' || plan.fault === 'hang_at_end' || plan.fault === 'no_finish_reason';
	if (frames.end !== null && (!isWithoutEnd || (plan.fault === 'no_finish_reason' && isDone(frames.end)))) {
		list.push(frames.end);
	}
	switch (plan.fault) {
		case 'cut':
		case 'stall':
		case 'malformed_chunk':
		case 'slow_bytes':
			return sendBytes(delivery, list);
		case 'error_in_stream':
			list.splice(plan.afterChunks ?? list.length >> 1, Number.POSITIVE_INFINITY, more.error());
			break;
	}
	await sendFrames(delivery, list);
	if (plan.fault !== 'hang_at_end') response.end();
}

/** OpenAI's end mark comes also where no reason did; Anthropic's stands for one. */
function isDone(end: string | Buffer): boolean {
	return end === 'data: [DONE]\n\n';
}

async function sendFrames(
	{ response, plan, clock, left }: Delivery,
	list: readonly (string | Buffer)[],
): Promise<void> {
	response.flushHeaders();
	const firstMs = (plan.firstTokenMs ?? 0) + (plan.fault === 'slow_first_token' ? (plan.stallMs ?? 0) : 0);
	if (firstMs > 0) await sleep(clock, firstMs, left);
	if (!plan.gapMs) {
		for (const frame of list) response.write(frame);
		return;
	}
	for (const frame of list) {
		response.write(frame);
		await sleep(clock, plan.gapMs, left);
	}
}

/** Faults that strike at a byte of the stream, wherever its events begin. */
async function sendBytes(delivery: Delivery, list: readonly (string | Buffer)[]): Promise<void> {
	const { response, plan, clock, left } = delivery;
	if (plan.firstTokenMs) {
		response.flushHeaders();
		await sleep(clock, plan.firstTokenMs, left);
	}
	const parts = list.map((one) => Buffer.from(one));
	const bytes = Buffer.concat(parts);
	const before = parts.slice(0, plan.afterChunks).reduce((sum, { length }) => sum + length, 0);
	const afterChunks = plan.afterChunks === undefined ? null : before;
	const at = Math.min(afterChunks ?? plan.atByte ?? bytes.length >> 1, bytes.length);
	if (plan.fault === 'cut') return cutAfter(response, bytes.subarray(0, at));
	if (plan.fault === 'stall') return sendInTwo(delivery, bytes, at);
	if (plan.fault === 'slow_bytes') return sendSlowly(delivery, bytes);
	const line = bytes.indexOf('data: ', at);
	bytes.fill('{', line + 6, line + 8);
	response.end(bytes);
}

async function sendInTwo({ response, plan, clock, left }: Delivery, bytes: Buffer, at: number): Promise<void> {
	response.flushHeaders();
	if (at > 0) response.write(bytes.subarray(0, at));
	// Without a time to come back, it is the client that has to leave.
	if (plan.stallMs === undefined) return;
	await sleep(clock, plan.stallMs, left);
	response.end(bytes.subarray(at));
}

async function sendSlowly({ response, plan, clock, left }: Delivery, bytes: Buffer): Promise<void> {
	const size = plan.bytes ?? 1;
	for (let at = 0; at < bytes.length; at += size) {
		response.write(bytes.subarray(at, at + size));
		// Between two writes: at least until the one before has left the process.
		if (plan.gapMs) await sleep(clock, plan.gapMs, left);
		else await nextTurn();
	}
	response.end();
}

function broken(body: Buffer, at: number): Buffer {
	const copy = Buffer.from(body);
	copy.fill('}', at, at + 1);
	return copy;
}

/** Sends the bytes, lets them leave, and closes the connection without ending the body. */
function cutAfter(response: ServerResponse, bytes: Buffer): void {
	brokenOff.add(response);
	response.flushHeaders();
	if (bytes.length === 0) response.socket?.destroySoon();
	else response.write(bytes, () => response.socket?.destroySoon());
}

/** One JSON string, or one event, that does not end before `bytes`. Heeds back pressure, so that only a reader is hurt. */
function sendHuge(response: ServerResponse, plan: Plan, type: string): void {
	const block = Buffer.alloc(64 * 1024, 'x');
	let left = plan.bytes ?? HUGE_BYTES;
	response.writeHead(200, { 'content-type': type });
	response.write('data: {"choices":[{"message":{"content":"'.slice(type === 'application/json' ? 6 : 0));
	const pump = () => {
		while (left > 0) {
			left -= block.length;
			if (!response.write(block)) return;
		}
		response.end();
	};
	response.on('drain', pump);
	pump();
}
