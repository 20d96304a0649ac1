import { createServer, type ServerResponse } from 'node:http';
import { openAiEmbeddings } from './upstream-double.ts';

/** What the server does with a request; the default answers as OpenAI does. */
export type EmbeddingAnswer = (response: ServerResponse, body: string) => void;

export interface EmbeddingServer {
	/** For `base_url`. */
	readonly url: string;
	/** Texts that were asked for, in order. */
	readonly texts: string[];
	/** The headers of the last request. */
	headers: NodeJS.Dict<string | string[]>;
	answer: EmbeddingAnswer;
	close(): Promise<void>;
}

export const answerJson = answering((vector) => vector);

/** OpenAI's answers, with each vector changed. */
export function answering(change: (vector: number[]) => number[]): EmbeddingAnswer {
	return (response, body) => {
		const answer = openAiEmbeddings(JSON.parse(body)) as { data: { embedding: number[] }[] };
		for (const one of answer.data) one.embedding = change(one.embedding);
		response.setHeader('content-type', 'application/json').end(JSON.stringify(answer));
	};
}

/** `POST /v1/embeddings` on a port of its own. */
export async function startEmbeddingServer(): Promise<EmbeddingServer> {
	const http = createServer((request, response) => {
		const parts: Buffer[] = [];
		request.on('data', (part: Buffer) => parts.push(part));
		request.on('end', () => {
			const body = Buffer.concat(parts).toString();
			const { input }: { input: string[] } = JSON.parse(body);
			server.headers = request.headers;
			server.texts.push(...input);
			server.answer(response, body);
		});
	});
	await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve));
	const address = http.address();
	if (address === null || typeof address === 'string') throw new Error('no port');
	const server: EmbeddingServer = {
		url: `http://127.0.0.1:${address.port}/v1`,
		texts: [],
		headers: {},
		answer: answerJson,
		close: () =>
			new Promise((resolve) => {
				http.close(() => resolve());
				http.closeAllConnections();
			}),
	};
	return server;
}
