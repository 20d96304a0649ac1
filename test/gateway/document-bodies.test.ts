import fc from 'fast-check';
import { afterAll, describe, expect, it, onTestFinished } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';
import { VirtualClock } from '../../src/base/virtual-clock.ts';
import { DocumentBodies } from '../../src/gateway/document-bodies.ts';
import { type ReadDocuments, readBody } from '../../src/gateway/document-body.ts';

/** Beyond what is read at once. */
const PADDING = 'The load line is a mark on the hull. '.repeat(1_200);

const bodies = new DocumentBodies(systemClock);
afterAll(() => bodies.close());

/** Bytes as such, whatever holds them. */
function plain({ documents, single }: ReadDocuments) {
	const shown = documents.map((one) => {
		if ('code' in one || 'reason' in one.content) return one;
		const { bytes, ...content } = one.content;
		return { ...one, content: { ...content, bytes: Buffer.from(bytes).toString('hex') } };
	});
	return { documents: shown, single };
}

/** What came of it: documents, or the error. */
async function outcome(read: () => ReadDocuments | Promise<ReadDocuments>) {
	try {
		return plain(await read());
	} catch (thrown) {
		const { code, message, param } = Object(thrown);
		return { code, message, param };
	}
}

describe('a body of documents', () => {
	it('is in a thread what it is at once, whatever is wrong with it', async () => {
		const document = fc.record(
			{
				id: fc.oneof(fc.string({ maxLength: 9, unit: 'grapheme' }), fc.constant('twice'), fc.integer()),
				text: fc.oneof(fc.string({ unit: 'binary' }), fc.constant(PADDING), fc.constant('\ud83d half')),
				base64: fc.oneof(fc.base64String(), fc.constant('no base64!')),
				format: fc.constantFrom('text', 'pdf', 'none', null),
				title: fc.string(),
				fields: fc.dictionary(fc.string({ minLength: 1 }), fc.jsonValue({ maxDepth: 2 })),
				other: fc.constant(1),
			},
			{ requiredKeys: ['id'] },
		);
		const list = fc.array(document, { maxLength: 120 });
		const shape = fc.constantFrom('list', 'documents', 'lines', 'one', 'cut', 'deep');
		await fc.assert(
			fc.asyncProperty(list, shape, async (all, as) => {
				const padded = [...all, { id: 'large', text: PADDING }];
				const texts = {
					list: JSON.stringify(padded),
					documents: JSON.stringify({ documents: padded }),
					lines: padded.map((one) => JSON.stringify(one)).join('\n'),
					one: JSON.stringify(padded.at(-1)),
					cut: JSON.stringify(padded).slice(0, -2),
					deep: `${'['.repeat(70)}"${PADDING}"`,
				};
				const bytes = () => Buffer.from(texts[as]);
				const isLines = as === 'lines';
				expect(await outcome(() => bodies.read(bytes(), isLines))).toEqual(
					await outcome(() => readBody(bytes(), isLines)),
				);
			}),
			{ numRuns: 60 },
		);
	});

	it('that is small and one that is large come out alike, and each in its place', async () => {
		const of = (id: string, text: string) => Buffer.from(JSON.stringify({ id, text }));
		const ids = Array.from({ length: 12 }, (_, n) => `d${n}`);
		const read = await Promise.all(ids.map((id, n) => bodies.read(of(id, n % 2 ? 'x' : PADDING), false)));
		expect(read.map(({ documents: [one], single }) => [one?.id, single])).toEqual(ids.map((id) => [id, true]));
	});

	it('of very many small values is refused before it takes their memory, and the next one is read', async () => {
		for (const value of ['{}', '[]', '1']) {
			const hostile = Buffer.from(`{"documents": [${`${value},`.repeat(1_000_000)}${value}]}`);
			await expect(bodies.read(hostile, false)).rejects.toMatchObject({
				code: 'body_too_large',
				message: 'The body has more than 1000000 values; send fewer at once.',
			});
		}
		const commas = Buffer.from(JSON.stringify([{ id: 'a', text: ',[{'.repeat(2_000_000) }]));
		expect((await bodies.read(commas, false)).documents).toHaveLength(1);
	});

	it('of a client that left is given up at once and not read, and the others are', async () => {
		const of = (id: string) => Buffer.from(JSON.stringify({ id, text: PADDING }));
		const client = new AbortController();
		const order: string[] = [];
		const first = bodies.read(of('first'), false).finally(() => order.push('first'));
		const left = bodies.read(of('left'), false, client.signal).catch((why) => order.push(String(why)));
		const last = bodies.read(of('last'), false);
		client.abort('left');
		await Promise.all([left, first]);
		expect(order).toEqual(['left', 'first']);
		expect((await last).documents).toMatchObject([{ id: 'last' }]);
		await expect(bodies.read(of('gone'), false, client.signal)).rejects.toBe('left');
	});

	it('that was given up as it was answered leaves nothing for the next one', async () => {
		const clock = new VirtualClock();
		const slow = new DocumentBodies(clock);
		onTestFinished(() => slow.close());
		const of = (id: string) => Buffer.from(JSON.stringify({ id, text: PADDING }));
		await slow.read(of('warm'), false);
		const late = expect(slow.read(of('late'), false)).rejects.toThrow('longer than 60 s');
		const next = slow.read(of('next'), false);
		while (clock.pending === 0) await null;
		// As long as this takes here, the thread has answered, which nobody has heard when the time is up.
		for (let n = 0; n < 200; n++) readBody(of('late'), false);
		await clock.step();
		await late;
		expect((await next).documents).toMatchObject([{ id: 'next' }]);
	});

	it('that takes too long is refused, and so is one that waits when it is closed', async () => {
		const clock = new VirtualClock();
		const slow = new DocumentBodies(clock);
		onTestFinished(() => slow.close());
		const body = () => Buffer.from(JSON.stringify([{ id: 'a', text: PADDING }]));
		const late = slow.read(body(), false);
		const refused = expect(late).rejects.toThrow('longer than 60 s');
		await clock.advance(60_000);
		await refused;
		expect((await slow.read(body(), false)).documents).toHaveLength(1);
		expect(clock.pending).toBe(0);
		const left = expect(slow.read(body(), false)).rejects.toMatchObject({ code: 'server_draining' });
		await slow.close();
		await left;
		await expect(slow.read(body(), false)).rejects.toMatchObject({ code: 'server_draining' });
	});
});
