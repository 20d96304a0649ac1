import { systemClock } from '../../src/base/clock.ts';
import { MemoryState } from '../../src/stores/memory-state.ts';
import { openSqliteIdempotency } from '../../src/stores/sqlite-idempotency.ts';
import { startGateway } from './gateway-fixture.ts';
import { NO_LIMITS } from './runtime-fixture.ts';

/**
 * A gateway over a real upstream and a real file of keys, which kills itself at a point in the life of a request.
 *
 *   node crashing-child.ts <file> <upstream> <acts|plain> <operation, such as complete> <before|after>
 *
 * Says its address, then serves.
 */
const [file = '', upstreamUrl = '', kind = '', operation = '', when = ''] = process.argv.slice(2);

/** The same object, but the process dies before the operation begins, or when it has been done. */
function crashing<T extends object>(target: T): T {
	return new Proxy(target, {
		get(object, name) {
			const member: unknown = Reflect.get(object, name, object);
			if (typeof member !== 'function') return member;
			const call = member.bind(object) as (...args: unknown[]) => unknown;
			if (name !== operation) return call;
			return async (...args: unknown[]) => {
				if (when === 'after') await call(...args);
				process.kill(process.pid, 'SIGKILL');
				await new Promise(() => {});
			};
		},
	});
}

const bounds = { recordsMax: 1_000, bytesMax: 10_000_000 };
const tenant = [{ limit: 'tokens_per_minute' as const, max: 1_000_000 }];
const { url } = await startGateway({
	keyed: crashing(await openSqliteIdempotency(file, { bounds, clock: systemClock })),
	sharedState: crashing(new MemoryState()),
	limits: { ...NO_LIMITS, standard: { ...NO_LIMITS.standard, tenant } },
	sideEffects: kind === 'acts',
	upstreamUrl,
});
process.stdout.write(`${url}\n`);
