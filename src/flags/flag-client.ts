import { createHmac } from 'node:crypto';
import {
	type Client,
	type EvaluationContext,
	NOOP_PROVIDER,
	OpenFeature,
	type Provider,
} from '@openfeature/server-sdk';
import { canonicalJson } from '../base/canonical-json.ts';
import type { Clock } from '../base/clock.ts';
import type { FlagDefinition } from '../contracts/flag.ts';
import type { LoadedFlags } from '../contracts/project.ts';
import { FLAG_ERROR, type FlagAsk, type FlagResult, type FlagSource, type FlagSubject } from '../spec/flags.ts';
import { attributesOf, FileProvider } from './file-provider.ts';
import { loadProvider } from './load-provider.ts';
import { type FlagOutcome, resolveFlag } from './targeting.ts';

/** Evaluations that a provider may leave unanswered before further ones are not even begun. */
const PENDING_MAX = 1_000;
const ERROR_CHARS_MAX = 200;

interface FlagClientParts {
	readonly clock: Clock;
	/** Under which OpenFeature keeps our provider apart from others in this process. */
	readonly domain: string;
	readonly warn: (message: string) => void;
	/** What is drawn with where the configuration names no secret. Asked for once, when there are flags. */
	readonly ownSecret: () => string;
}

/** What a project's flags need, made ready. Exactly one of the two is called. */
interface PreparedFlags {
	put(): void;
	discard(): void;
}

/** A provider at work. */
interface Running {
	readonly client: Client;
	readonly domain: string;
	/** Null: a provider of the configuration. */
	readonly file: FileProvider | null;
	readonly secret: string;
	/** Equal for settings under which the same provider can stay. */
	readonly print: string;
	/** Evaluations that it has not answered: another provider does not inherit them. */
	pending: number;
}

/** Evaluates flags by OpenFeature: those of flags.yaml, or a provider's that the configuration names. */
export class FlagClient implements FlagSource {
	readonly #parts: FlagClientParts;
	#running: Running | null = null;
	#timeoutMs = 0;
	#domains = 0;

	constructor(parts: FlagClientParts) {
		this.#parts = parts;
	}

	/**
	 * Makes ready what a project wants; until it is put in force nothing changes. Waits for a provider at most as long as
	 * the configuration says. Throws `dependency_missing` or `configuration_invalid`.
	 */
	async prepare({ config, flags }: LoadedFlags): Promise<PreparedFlags> {
		const { provider, hmacSecret, timeoutMs, readyTimeoutMs } = config.flags;
		if (provider === null && flags.size === 0) return this.#prepared(null, { timeoutMs });
		const secret = hmacSecret ?? this.#parts.ownSecret();
		const print = canonicalJson({ provider, secret, dir: provider === null ? null : config.dir });
		const same = this.#running?.print === print ? this.#running : null;
		if (same !== null) {
			return this.#prepared(same, { timeoutMs, onPut: () => same.file?.replace(flags) });
		}
		const file = provider === null ? new FileProvider(flags, secret) : null;
		const made = file ?? (await loadProvider(provider as NonNullable<typeof provider>, config.dir));
		const domain = `${this.#parts.domain}-${++this.#domains}`;
		await this.#start(domain, made, readyTimeoutMs);
		const client = OpenFeature.getClient(domain);
		// The trace says of each request what went wrong.
		client.setLogger(SILENT);
		return this.#prepared({ client, domain, file, secret, print, pending: 0 }, { timeoutMs });
	}

	/** Puts another project's flags in force once `other` has worked; when either fails, nothing has changed here. */
	async replace(project: LoadedFlags, other: () => Promise<void>): Promise<void> {
		const next = await this.prepare(project);
		try {
			await other();
		} catch (thrown) {
			next.discard();
			throw thrown;
		}
		next.put();
	}

	/** Resolves within `msMax` and the configured time-out, whatever the provider does. */
	async evaluate(asks: readonly FlagAsk[], subject: FlagSubject, msMax: number): Promise<readonly FlagResult[]> {
		const running = this.#running;
		if (running === null) return asks.map((ask) => failed(ask, 'there are no flags'));
		if (running.pending >= PENDING_MAX) return asks.map((ask) => failed(ask, 'the provider does not answer'));
		const context = contextOf(subject, running.secret);
		const ms = Math.min(msMax, this.#timeoutMs);
		const late = Promise.withResolvers<null>();
		const cancel = this.#parts.clock.after(ms, () => late.resolve(null));
		try {
			return await Promise.all(
				asks.map(async (ask) => {
					const result = await Promise.race([this.#evaluateOne(running, ask, context), late.promise]);
					return result ?? failed(ask, `the provider did not answer within ${ms} ms`);
				}),
			);
		} finally {
			cancel();
		}
	}

	/** What a flag of flags.yaml says, and which of its rules decides. */
	explain(flag: FlagDefinition, subject: FlagSubject): FlagOutcome {
		const secret = this.#running?.secret ?? this.#parts.ownSecret();
		return resolveFlag(flag, attributesOf(contextOf(subject, secret)), secret);
	}

	async close(): Promise<void> {
		this.#put(null, 0);
	}

	async #evaluateOne(running: Running, ask: FlagAsk, context: EvaluationContext): Promise<FlagResult> {
		running.pending++;
		try {
			const { value, variant, reason, errorCode, errorMessage } = await details(running.client, ask, context);
			if (errorCode !== undefined) return failed(ask, `${errorCode}${errorMessage ? `: ${errorMessage}` : ''}`);
			return { flag: ask.flag, value, variant: variant ?? null, reason: reason ?? 'UNKNOWN', error: null };
		} catch (thrown) {
			return failed(ask, thrown instanceof Error ? thrown.message : String(thrown));
		} finally {
			running.pending--;
		}
	}

	async #start(domain: string, provider: Provider, readyTimeoutMs: number): Promise<void> {
		const { clock, warn } = this.#parts;
		const ready = OpenFeature.setProviderAndWait(domain, provider).then(
			() => null,
			(thrown: unknown) => `cannot start: ${thrown instanceof Error ? thrown.message : String(thrown)}`,
		);
		const late = Promise.withResolvers<string>();
		const cancel = clock.after(readyTimeoutMs, () => late.resolve(`is not ready after ${readyTimeoutMs} ms`));
		const trouble = await Promise.race([ready, late.promise]);
		cancel();
		if (trouble !== null) {
			warn(
				`The flag provider ${provider.metadata.name} ${trouble}. Until it is, every flag gives the contract's own choice.`,
			);
		}
	}

	#prepared(next: Running | null, { timeoutMs, onPut }: { timeoutMs: number; onPut?: () => void }): PreparedFlags {
		return {
			put: () => {
				onPut?.();
				this.#put(next, timeoutMs);
			},
			discard: () => {
				if (next !== null && next !== this.#running) stop(next);
			},
		};
	}

	#put(next: Running | null, timeoutMs: number): void {
		const last = this.#running;
		this.#running = next;
		this.#timeoutMs = timeoutMs;
		if (last !== null && last !== next) stop(last);
	}
}

/** OpenFeature closes a provider when another takes its place. */
function stop({ domain }: Running): void {
	OpenFeature.setProvider(domain, NOOP_PROVIDER);
}

const SILENT = { error: () => {}, warn: () => {}, info: () => {}, debug: () => {} };

function details(client: Client, { flag, fallback }: FlagAsk, context: EvaluationContext) {
	if (typeof fallback === 'boolean') return client.getBooleanDetails(flag, fallback, context);
	if (typeof fallback === 'number') return client.getNumberDetails(flag, fallback, context);
	return client.getStringDetails(flag, fallback, context);
}

function failed({ flag, fallback }: FlagAsk, error: string): FlagResult {
	return { flag, value: fallback, variant: null, reason: FLAG_ERROR, error: error.slice(0, ERROR_CHARS_MAX) };
}

/**
 * What a provider learns. The targeting key is a keyed hash of the user in the tenant, or of the tenant where nobody
 * is named; its secret is not that of the hashes in traces, so that a new one of those leaves everybody's variants.
 */
function contextOf(subject: FlagSubject, secret: string): EvaluationContext {
	const { tenantId, user, userHash, feature, keyId, keyName, caller } = subject;
	const unit = JSON.stringify(user === null ? [tenantId] : [tenantId, user]);
	const known = { key: keyId, key_name: keyName, user_hash: userHash };
	const context: EvaluationContext = {
		targetingKey: createHmac('sha256', secret).update(unit).digest('hex').slice(0, 32),
		tenant: tenantId,
		feature,
		caller,
	};
	for (const [name, value] of Object.entries(known)) if (value !== null) context[name] = value;
	return context;
}
