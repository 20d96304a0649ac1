import { startUpstreamDouble } from './upstream-double.ts';

export type StreamFormat = 'openai' | 'anthropic' | 'gemini';

export interface RecordedStream {
	readonly format: StreamFormat;
	readonly bytes: Buffer;
}

export const TEXT = 'The load line, “Plimsoll’s mark”, shows 3 µm of draught 🚢 and no more.';
const TOOL = { type: 'object', properties: { port: { type: 'string' } }, required: ['port'] };

const ASKS: Readonly<Record<StreamFormat, (tools: boolean) => { path: string; body: unknown }>> = {
	openai: (tools) => ({
		path: '/v1/chat/completions',
		body: {
			model: 'mock-1',
			messages: [{ role: 'user', content: 'What?' }],
			stream: true,
			stream_options: { include_usage: true },
			...(tools && { tools: [{ type: 'function', function: { name: 'tide', parameters: TOOL } }] }),
		},
	}),
	anthropic: (tools) => ({
		path: '/v1/messages',
		body: {
			model: 'claude-x',
			max_tokens: 100,
			messages: [{ role: 'user', content: 'What?' }],
			stream: true,
			...(tools && { tools: [{ name: 'tide', input_schema: TOOL }] }),
		},
	}),
	gemini: (tools) => ({
		path: '/v1beta/models/gemini-x:streamGenerateContent?alt=sse',
		body: {
			contents: [{ role: 'user', parts: [{ text: 'What?' }] }],
			...(tools && { tools: [{ functionDeclarations: [{ name: 'tide', parametersJsonSchema: TOOL }] }] }),
		},
	}),
};

/** Streams of every format, with and without calls of tools, as the double sends them. */
export async function recordStreams(): Promise<readonly RecordedStream[]> {
	const double = await startUpstreamDouble({ plan: { text: TEXT, toolCalls: 1, id: 'recorded' } });
	try {
		const streams: RecordedStream[] = [];
		for (const format of Object.keys(ASKS) as StreamFormat[]) {
			for (const tools of [false, true]) {
				const { path, body } = ASKS[format](tools);
				const response = await fetch(`http://127.0.0.1:${double.port}${path}`, {
					method: 'POST',
					headers: {
						'content-type': 'application/json',
						authorization: 'Bearer k',
						'x-api-key': 'k',
						'x-goog-api-key': 'k',
					},
					body: JSON.stringify(body),
				});
				const bytes = Buffer.from(await response.arrayBuffer());
				if (response.status !== 200) throw new Error(`the double answered ${response.status}: ${bytes}`);
				streams.push({ format, bytes });
			}
		}
		return streams;
	} finally {
		await double.close();
	}
}
