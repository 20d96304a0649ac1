import { join } from 'node:path';
import type { Logger } from 'pino';
import type { Clock } from '../base/clock.ts';
import { Idempotency } from '../runtime/idempotency.ts';
import type { Runtime } from '../runtime/runtime.ts';
import type { IdempotencyStore } from '../spec/idempotency.ts';
import { BoundedIdempotency } from '../stores/bounded-idempotency.ts';
import { RedisIdempotency } from '../stores/redis-idempotency.ts';
import type { RedisLink } from '../stores/redis-link.ts';
import { openSqliteIdempotency } from '../stores/sqlite-idempotency.ts';
import type { LoadedProject } from './load-project.ts';

const IDEMPOTENCY_FILE = 'idempotency.sqlite';

/** What holds idempotency keys to one execution; `opened` closes it, and its store after it. */
export async function openIdempotency(
	project: LoadedProject,
	parts: { clock: Clock; log: Logger; link: RedisLink | null; runtime: Runtime },
	opened: AsyncDisposableStack,
): Promise<Idempotency> {
	const { clock, log, runtime } = parts;
	const store = opened.adopt(await openStore(project, parts), (one) => one.close());
	const idempotency = new Idempotency({
		store,
		clock,
		...project.config.idempotency,
		requestMsMax: () => runtime.snapshot.requestMsMax,
		onFault: (error) => log.error({ err: error }, 'an idempotency record could not be brought up to date'),
	});
	return opened.adopt(idempotency, (all) => all.close());
}

/** Keys of this process's data folder, or of all replicas in Redis. */
async function openStore(
	{ config: { dataDir, idempotency: bounds, sharedState } }: LoadedProject,
	{ clock, link }: { clock: Clock; link: RedisLink | null },
): Promise<IdempotencyStore> {
	if (link === null) return openSqliteIdempotency(join(dataDir, IDEMPOTENCY_FILE), { bounds, clock });
	const store = new RedisIdempotency(link, bounds);
	return new BoundedIdempotency({ store, clock, timeoutMs: sharedState.timeoutMs });
}
