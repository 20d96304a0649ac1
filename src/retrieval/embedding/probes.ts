import type { TextKind } from '../../spec/retrieval.ts';

/** A text whose vector says which space an embedder makes vectors in. */
export interface Probe {
	readonly text: string;
	readonly kind: Extract<TextKind, 'query' | 'document'>;
}

/** Raise it when a text changes: fingerprints of two revisions cannot be compared. */
export const PROBE_REVISION = 1;

/**
 * Short texts of several languages and forms, as a document or as a question: the difference between the two is what
 * prefixes and input types make.
 */
const SHORT_PROBES: readonly Probe[] = [
	{
		kind: 'document',
		text: 'A load line is painted on the hull of a ship and shows how deep it may lie in the water.',
	},
	{
		kind: 'document',
		text: 'Der Vertrag verlängert sich um ein Jahr, wenn er nicht drei Monate vorher gekündigt wird.',
	},
	{ kind: 'document', text: 'La levure transforme le sucre de la pâte en gaz carbonique, ce qui fait lever le pain.' },
	{ kind: 'document', text: '地震发生后，列车自动停止，乘客在车站等候进一步通知。' },
	{ kind: 'document', text: 'تفتح المكتبة أبوابها من الساعة التاسعة صباحًا حتى السادسة مساءً.' },
	{ kind: 'document', text: 'Вода кипит при более низкой температуре высоко в горах, потому что давление там меньше.' },
	{ kind: 'document', text: 'for (const [name, price] of table) if (price > limit) total += price * quantity[name];' },
	{
		kind: 'document',
		text: 'Invoice 2024-0713: 14 units at 3.75 USD, delivered on 9 March to dock 7, order no. QX-5581.',
	},
	{ kind: 'query', text: 'How deep may a loaded ship lie in the water?' },
	{ kind: 'query', text: 'vertrag kündigungsfrist' },
	{ kind: 'query', text: 'why does bread rise' },
];

/** One subject for each stretch of the long text, so that where it is cut shows in its vector. */
const SUBJECTS = [
	'The harbour master counts the barges at the quay and writes their cargo of coal and timber into the log. ',
	'An enzyme binds its substrate in a pocket of the protein and lowers the energy that the reaction needs. ',
	'The violins repeat the melody of the second movement while the bassoon answers from below. ',
	'A tenant who pays late owes interest from the day on which the rent was due under the lease. ',
	'Glaciers carry boulders far from their bedrock and leave them in the valley when the ice melts. ',
	'The striker passed to the left wing in the last minute and the goalkeeper missed the low shot. ',
	'Each packet carries a checksum so that the router can drop what was damaged on the wire. ',
	'Fold the beaten egg whites into the chocolate and bake the cake until a needle comes out clean. ',
];

/** The first subject's length; each further one is as long as all before it, since limits are powers of two. */
const FIRST_CHARS = 1_000;
/** About as many characters of such English as a token has. */
const CHARS_PER_TOKEN = 5;
/** A quarter more than an embedder reads, and no more than this. */
const LONG_TOKENS_MAX = 12_500;

/** How long the text is that an embedder with this limit does not read to its end, in characters. */
export function longProbeChars(tokensMax: number): number {
	return Math.min(LONG_TOKENS_MAX, Math.ceil(tokensMax * 1.25)) * CHARS_PER_TOKEN;
}

/** The probes in their order; the last one is longer than the embedder reads. @param longChars see `longProbeChars`. */
export function probes(longChars: number): readonly Probe[] {
	return [...SHORT_PROBES, { kind: 'document', text: longText(longChars) }];
}

export const PROBE_COUNT = SHORT_PROBES.length + 1;
export const LONG_PROBE = SHORT_PROBES.length;

/** Whether a probe shows what is done to queries alone. */
export function isQueryProbe(index: number): boolean {
	return SHORT_PROBES[index]?.kind === 'query';
}

function longText(chars: number): string {
	let text = '';
	for (let at = 0, end = FIRST_CHARS; text.length < chars; at++, end *= 2) {
		const subject = SUBJECTS[at % SUBJECTS.length] ?? '';
		const missing = Math.min(end, chars) - text.length;
		text += subject.repeat(Math.ceil(missing / subject.length)).slice(0, missing);
	}
	return text;
}
