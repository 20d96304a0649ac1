import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Follower, Recording, type ResponseHead } from '../../src/runtime/recording.ts';

const HEAD: ResponseHead = { status: 200, headers: { 'content-type': 'text/event-stream' } };
const ORIGIN = { feature: null, release: null, degradedReason: null, errorCode: null };

/** Writes down what it is told; has room when it is given some. */
class Reader implements Follower {
	text = '';
	readonly told: string[] = [];
	room: Follower['room'] = () => undefined;

	whole(_head: ResponseHead, body: string): void {
		this.told.push('whole');
		this.text += body;
	}

	head(): void {
		this.told.push('head');
	}

	piece(text: string): void {
		this.text += text;
	}

	end(): void {
		this.told.push('end');
	}

	cut(): void {
		this.told.push('cut');
	}
}

function recordingOf(bytesMax = 1_000) {
	const abandoned: string[] = [];
	return { recording: new Recording({ bytesMax, abandoned: () => abandoned.push('abandoned') }), abandoned };
}

const signal = new AbortController().signal;

describe('a recording', () => {
	it('gives every follower that stays the same bytes, whenever it came', async () => {
		await fc.assert(
			fc.asyncProperty(
				fc.array(fc.oneof(fc.string({ minLength: 1, maxLength: 5 }), fc.constantFrom('joins', 'leaves')), {
					maxLength: 30,
				}),
				fc.string({ maxLength: 5 }),
				async (history, tail) => {
					const { recording } = recordingOf();
					const staying: Reader[] = [];
					let text = '';
					recording.start(HEAD);
					for (const step of history) {
						const reader = new Reader();
						if (step === 'joins') {
							recording.follow(reader);
							staying.push(reader);
						} else if (step === 'leaves') {
							recording.follow(reader);
							recording.leave(reader);
						} else {
							text += step;
							expect(recording.write(step, signal)).toBeUndefined();
						}
					}
					recording.finish(tail);
					expect(recording.stored(ORIGIN)).toEqual({ ...HEAD, body: text + tail, origin: ORIGIN });
					// Until it is on record nobody has the whole.
					for (const { told } of staying) expect(told.some((what) => what !== 'head')).toBe(false);
					recording.close(false);
					await recording.closed;
					const late = new Reader();
					recording.follow(late);
					for (const reader of [...staying, late]) {
						expect(reader.text).toBe(text + tail);
						expect(reader.told.at(-1)).toMatch(/^(end|whole)$/);
					}
				},
			),
		);
	});

	it('waits for nobody below its cap, and for the slowest above it', async () => {
		const { recording, abandoned } = recordingOf(10);
		const slow = new Reader();
		const room = Promise.withResolvers<void>();
		slow.room = () => room.promise;
		recording.follow(slow);
		recording.start(HEAD);
		expect(recording.write('0123456789', signal)).toBeUndefined();
		let went = false;
		const waits = Promise.resolve(recording.write('x', signal)).then(() => {
			went = true;
		});
		await Promise.resolve();
		expect([went, recording.isOversized]).toEqual([false, true]);
		room.resolve();
		await waits;
		expect([slow.text, abandoned]).toEqual(['0123456789x', []]);
		expect(recording.stored(ORIGIN)).toBeNull();
		recording.leave(slow);
		expect(abandoned).toEqual(['abandoned']);
	});

	it('that broke off cuts its followers, and those who come later', () => {
		const { recording } = recordingOf();
		const readers = [new Reader(), new Reader()];
		recording.follow(readers[0] as Reader);
		recording.start(HEAD);
		recording.write('part', signal);
		recording.close(true);
		recording.follow(readers[1] as Reader);
		expect(readers.map(({ told }) => told)).toEqual([['head', 'cut'], ['cut']]);
	});
});
