import { VirtualClock } from '../../src/base/virtual-clock.ts';
import { compileFlags } from '../../src/contracts/compile-flags.ts';
import type { FlagDefinition } from '../../src/contracts/flag.ts';
import type { LoadedFlags } from '../../src/contracts/project.ts';
import { FlagClient } from '../../src/flags/flag-client.ts';
import type { FlagSubject } from '../../src/spec/flags.ts';

export const FLAG_SECRET = 's'.repeat(32);

/** Definitions as a flags.yaml makes them; throws when it has problems. */
export function flagsOf(text: string): ReadonlyMap<string, FlagDefinition> {
	const { flags, problems } = compileFlags({ file: 'flags.yaml', text }, ['greet']);
	if (flags === null) throw new Error(JSON.stringify(problems));
	return flags;
}

export function loadedFlags(
	from: { flags?: string; dir?: string } & Partial<LoadedFlags['config']['flags']>,
): LoadedFlags {
	const { flags, dir = '/nowhere', ...settings } = from;
	return {
		flags: flags === undefined ? new Map() : flagsOf(flags),
		config: {
			dir,
			flags: { provider: null, hmacSecret: FLAG_SECRET, timeoutMs: 50, readyTimeoutMs: 2_000, ...settings },
		},
	};
}

let clients = 0;

/** A client of its own domain, as each process has one. */
export function flagClient(clock = new VirtualClock()): { client: FlagClient; warnings: string[] } {
	const warnings: string[] = [];
	const client = new FlagClient({
		clock,
		domain: `test-${process.pid}-${++clients}`,
		warn: (message) => warnings.push(message),
		ownSecret: () => FLAG_SECRET,
	});
	return { client, warnings };
}

export function flagSubject(change: Partial<FlagSubject> = {}): FlagSubject {
	return {
		tenantId: 'acme',
		user: 'ada',
		userHash: 'v1:ada',
		feature: 'greet',
		keyId: 'k1',
		keyName: 'web-shop',
		caller: 'key',
		...change,
	};
}
