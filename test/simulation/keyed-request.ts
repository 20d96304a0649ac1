import { sha256Of } from '../../src/base/hash.ts';
import type { Follower, Recording, ResponseHead } from '../../src/runtime/recording.ts';
import type { ChatRequest } from '../../src/runtime/request.ts';
import type { RequestContext } from '../../src/runtime/request-context.ts';
import { asPlimsollError, type PlimsollError } from '../../src/spec/errors.ts';
import type { Asked } from './observation.ts';
import type { Replica } from './replica.ts';
import type { World } from './world.ts';

/** A key is held to one execution by those who share its records. */
export function nameOfKey(scope: string, { tenantId, keyHash }: { tenantId: string; keyHash: string }): string {
	return `${scope} ${tenantId} ${keyHash.slice(0, 12)}`;
}

/** What a client with a key has got so far. */
class Reader implements Follower {
	body = '';
	status: number | null = null;
	/** Null while it is neither complete nor cut. */
	isWhole: boolean | null = null;

	whole({ status }: ResponseHead, body: string): void {
		this.status = status;
		this.body = body;
		this.isWhole = true;
	}
	head({ status }: ResponseHead): void {
		this.status = status;
	}
	piece(text: string): void {
		this.body += text;
	}
	end(): void {
		this.isWhole = true;
	}
	cut(): void {
		this.isWhole = false;
	}
	room(): undefined {}
}

export interface KeyedAsk {
	readonly asked: Asked;
	readonly tenantId: string;
	readonly key: string;
	readonly chat: Omit<ChatRequest, 'sink'>;
	readonly isStream: boolean;
}

/** An admitted request with an idempotency key, as the gateway treats it. Resolves with what it failed with, or null. */
export async function askOnce(
	replica: Replica,
	context: RequestContext,
	{ world, ask }: { world: World; ask: KeyedAsk },
): Promise<{ readonly body: string; readonly error: PlimsollError | null }> {
	const { asked, tenantId, chat } = ask;
	const reader = new Reader();
	const keyHash = sha256Of([ask.key]);
	const key = nameOfKey(replica.keyScope, { tenantId, keyHash });
	try {
		const entry = await replica.idempotency.enter(context, { tenantId, keyHash, fingerprint: sha256Of([chat.model]) });
		if (entry.kind === 'unprotected') throw new Error('a key that nothing protects');
		if (entry.kind === 'first') {
			await replica.idempotency.execute(entry, reader, async (recording) => {
				world.observe({ kind: 'execution', phase: 'begins', key, request: asked });
				const error = await record(replica, context, { recording, ask });
				world.observe({ kind: 'execution', phase: 'ends', key, request: asked });
				return error;
			});
			return { body: reader.body, error: entry.execution.error };
		}
		await replica.idempotency.repeat(context, entry, reader);
		// What failed is not kept, and may be executed anew elsewhere before those who waited for it here are told.
		if (reader.isWhole && reader.status === 200)
			world.observe({ kind: 'repeated', key, request: asked, body: reader.body });
		return { body: reader.body, error: null };
	} catch (thrown) {
		const error = asPlimsollError(thrown);
		context.end(error);
		return { body: reader.body, error };
	}
}

async function record(
	{ runtime }: Replica,
	context: RequestContext,
	{ recording, ask }: { recording: Recording; ask: KeyedAsk },
): Promise<PlimsollError | null> {
	const { chat, isStream } = ask;
	const sink = {
		chunk: ({ text }: { readonly text: string }) => {
			if (!recording.hasStarted) recording.start({ status: 200, headers: {} });
			return recording.write(text, context.signal);
		},
	};
	try {
		const answer = await runtime.chat(context, { ...chat, sink: isStream ? sink : null });
		if (!recording.hasStarted) recording.start({ status: 200, headers: {} });
		recording.finish(isStream ? '' : answer.text);
		return null;
	} catch (thrown) {
		const error = asPlimsollError(thrown);
		if (!recording.hasStarted) recording.start({ status: 500, headers: {} });
		recording.finish(error.code);
		return error;
	}
}
