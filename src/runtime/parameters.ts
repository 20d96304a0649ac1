import type { Contract } from '../contracts/release.ts';
import { PlimsollError } from '../spec/errors.ts';
import type { Upstream } from '../spec/model.ts';
import type { Translation } from './request.ts';

const TOKENS_OUT_PARAMETERS = ['max_completion_tokens', 'max_tokens'] as const;

/** What is sent to the model beside the messages, and the output cap in it. */
export interface CallParameters {
	readonly parameters: Readonly<Record<string, unknown>>;
	/** Null: the client of a bare upstream set none. */
	readonly tokensOutMax: number | null;
	/** The parameters, and the answer's chunks, go through exactly as they are. */
	readonly passThrough: boolean;
}

/**
 * A feature's parameters: the contract's, with those that it lets clients set on top. A client may always lower the
 * output cap, never raise it. Anything else is refused by name, never dropped.
 */
export function featureParameters(
	contract: Contract,
	sent: Readonly<Record<string, unknown>>,
	names: Translation['names'] = {},
): CallParameters {
	const { parameters, clientParameters } = contract.models;
	const merged: Record<string, unknown> = { ...parameters };
	let tokensOutMax = contract.budget.tokensOutMax;
	for (const [name, value] of Object.entries(sent)) {
		if (isTokensOut(name)) {
			tokensOutMax = Math.min(tokensOutMax, readTokensOut(name, value) ?? tokensOutMax);
		} else if (name === 'user') {
			// Read when the request came in: the trace keeps its keyed hash, and no provider learns it.
		} else if (clientParameters.includes(name)) {
			merged[name] = value;
		} else {
			const param = names[name] ?? name;
			const listed = param === name ? 'it' : `"${name}"`;
			throw new PlimsollError(
				'parameter_unsupported',
				`The feature ${contract.feature} does not let clients set "${param}". Leave it out, or list ${listed} under models.client_parameters in the contract.`,
				{ param },
			);
		}
	}
	return { parameters: merged, tokensOutMax, passThrough: false };
}

/** A bare upstream's parameters: exactly as sent. */
export function bareParameters(sent: Readonly<Record<string, unknown>>): CallParameters {
	const caps = TOKENS_OUT_PARAMETERS.map((name) => readTokensOut(name, sent[name])).filter((cap) => cap !== null);
	return { parameters: sent, tokensOutMax: caps.length > 0 ? Math.min(...caps) : null, passThrough: true };
}

/** The same of a client that speaks another format: the cap has no name of the client's choice, and gets the upstream's. */
export function translatedParameters(
	{ max_tokens: cap, ...sent }: Readonly<Record<string, unknown>>,
	{ tokensOutParameter }: Upstream,
): CallParameters {
	return bareParameters(cap === undefined ? sent : { ...sent, [tokensOutParameter]: cap });
}

/** No model writes more; beyond it, amounts of money would leave exact arithmetic. */
const TOKENS_OUT_MOST = 1_000_000_000;
const CHOICES_MOST = 1_000;

/** The most tokens that a call can make an upstream write: its cap, once for each answer that it asks for (`n`). */
export function tokensOutOf({ parameters, tokensOutMax, passThrough }: CallParameters, upstream: Upstream): number {
	const asked = tokensOutMax ?? upstream.tokensOutMax;
	const each = Math.min(passThrough ? asked : Math.min(asked, upstream.tokensOutMax), TOKENS_OUT_MOST);
	const { n } = parameters;
	return each * (typeof n === 'number' && Number.isInteger(n) && n > 1 ? Math.min(n, CHOICES_MOST) : 1);
}

function isTokensOut(name: string): boolean {
	return (TOKENS_OUT_PARAMETERS as readonly string[]).includes(name);
}

function readTokensOut(name: string, value: unknown): number | null {
	if (value === undefined || value === null) return null;
	if (typeof value === 'number' && Number.isInteger(value) && value > 0) return value;
	throw new PlimsollError('request_invalid', `${name} must be an integer of at least 1.`, { param: name });
}
