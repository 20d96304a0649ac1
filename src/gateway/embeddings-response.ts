import { nextTurn } from '../base/clock.ts';
import type { Embedding } from '../runtime/embed.ts';

/** Numbers that are written between two breaths of the event loop. */
const NUMBERS_PER_TURN = 65_536;

/** OpenAI's list of embeddings as JSON text; `model` is the name that the client asked for. */
export async function embeddingsResponse(
	{ vectors, tokens }: Embedding,
	{ model, encoding }: { model: string; encoding: 'float' | 'base64' },
): Promise<string> {
	const rows: string[] = [];
	let written = 0;
	for (const [index, vector] of vectors.entries()) {
		const embedding = encoding === 'base64' ? `"${base64Of(vector)}"` : `[${vector.join(',')}]`;
		rows.push(`{"object":"embedding","index":${index},"embedding":${embedding}}`);
		written += vector.length;
		if (written < NUMBERS_PER_TURN) continue;
		written = 0;
		await nextTurn();
	}
	const usage = JSON.stringify({ prompt_tokens: tokens, total_tokens: tokens });
	return `{"object":"list","data":[${rows.join(',')}],"model":${JSON.stringify(model)},"usage":${usage}}`;
}

/** Little-endian floats of 32 bits, as OpenAI has them; all machines that Node runs on are little-endian. */
function base64Of({ buffer, byteOffset, byteLength }: Float32Array): string {
	return Buffer.from(buffer, byteOffset, byteLength).toString('base64');
}
