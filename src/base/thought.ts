import { membersOf } from './members.ts';

/** A part of what a model thought before it spoke: never a part of its answer. */
export interface Thought {
	/** What its provider lets see; empty where it hides the whole. */
	readonly text: string;
	/** What the provider wants back with it in the next turn, under its own name; null: nothing. */
	readonly proof: Readonly<Record<string, unknown>> | null;
}

type Proof = NonNullable<Thought['proof']>;
type Detail = Readonly<Record<string, unknown>>;

/** Before a proof that is not Anthropic's own text, in what clients take for a signature. */
const SEALED = 'plimsoll:';

/** A thought's proof as one text: Anthropic's signature as it is, any other provider's sealed into one. Null: there is none. */
export function signatureOf(proof: Thought['proof']): string | null {
	if (proof === null) return null;
	const { signature } = membersOf(proof.anthropic);
	return typeof signature === 'string' && Object.keys(proof).length === 1 ? signature : sealedOf(proof);
}

/** A whole proof as one text, whichever provider's it is. */
export function sealedOf(proof: Thought['proof']): string | null {
	return proof && SEALED + Buffer.from(JSON.stringify(proof)).toString('base64url');
}

/** What `signatureOf` made of a proof; a text that is not ours is Anthropic's. Null for one that cannot be read. */
export function proofOf(signature: string): Proof | null {
	if (signature === '') return null;
	if (!signature.startsWith(SEALED)) return { anthropic: { signature } };
	try {
		const proof: unknown = JSON.parse(Buffer.from(signature.slice(SEALED.length), 'base64url').toString());
		return typeof proof === 'object' && proof !== null && !Array.isArray(proof) ? (proof as Proof) : null;
	} catch {
		return null; // Whoever sends it back has changed it: the thought is not its provider's any more.
	}
}

/** What a provider wants back with a call of a tool: in formats whose calls have no place for it, a hidden thought beside it. */
export interface CallProof {
	/** The call's. */
	readonly id: string;
	readonly extra: Proof;
	/** The name that the client asked: only there it goes back. */
	readonly by: string;
}

/** A call's proof as one text, which a client sends back as it came. */
export function sealedCall(proof: CallProof): string {
	return SEALED + Buffer.from(JSON.stringify({ call: proof })).toString('base64url');
}

/** What `sealedCall` made into a text; null for any other. */
export function callProofOf(sealed: string): CallProof | null {
	if (!sealed.startsWith(SEALED)) return null;
	const { id, extra, by } = membersOf(membersOf(proofOf(sealed)).call);
	const isWhole = typeof id === 'string' && typeof by === 'string' && typeof extra === 'object' && extra !== null;
	return isWhole ? { id, extra: extra as Proof, by } : null;
}

/** The text of a thought that Anthropic hides; null for any other. */
export function hiddenData({ proof }: Pick<Thought, 'proof'>): string | null {
	const { redactedData } = membersOf(proof?.anthropic);
	return typeof redactedData === 'string' ? redactedData : null;
}

export function hiddenThought(data: string): Thought {
	return { text: '', proof: { anthropic: { redactedData: data } } };
}

/** `reasoning_details` of chat completions, in OpenRouter's form: what a client sends back for a turn to go on from. */
export function detailOf({ text, proof }: Thought, index: number): Detail {
	const data = hiddenData({ proof });
	if (data !== null) return { type: 'reasoning.encrypted', index, data };
	const signature = signatureOf(proof);
	return { type: 'reasoning.text', index, ...(text !== '' && { text }), ...(signature !== null && { signature }) };
}

/** The thoughts in `reasoning_details`, which may be pieces of a stream with their numbers; what cannot be read is none. */
export function thoughtsIn(details: unknown): readonly Thought[] {
	const thoughts = new Map<unknown, Thought>();
	for (const [at, detail] of (Array.isArray(details) ? details : []).entries()) {
		const { type, index = at, text, signature, data } = membersOf(detail);
		if (type === 'reasoning.encrypted' && typeof data === 'string') thoughts.set(index, hiddenThought(data));
		if (type !== 'reasoning.text') continue;
		const before = thoughts.get(index);
		thoughts.set(index, {
			text: (before?.text ?? '') + (typeof text === 'string' ? text : ''),
			proof: typeof signature === 'string' ? proofOf(signature) : (before?.proof ?? null),
		});
	}
	return [...thoughts.values()];
}
