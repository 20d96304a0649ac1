import { ERRORS, PlimsollError } from '../spec/errors.ts';
import { fail, type HealthLine, ok, warn } from './health-line.ts';
import type { Session } from './session.ts';

type Check = (session: Session) => Promise<readonly HealthLine[]>;

const ALERTS_MAX = 100;
/** How far a trace may seem to be in the future, milliseconds. */
const CLOCK_SLACK_MS = 5_000;

/** What a session finds out about its deployment. A part that cannot be asked is a finding too. Throws what `unreachable` takes. */
export async function sessionHealth(session: Session): Promise<readonly HealthLine[]> {
	const lines: HealthLine[] = [];
	// Collections first: a project without a server is opened by them, before its records alone are.
	for (const [subject, check] of CHECKS) lines.push(...(await checked(subject, () => check(session))));
	return lines;
}

/** The store of traces, and whether the newest one is from the future: a clock was set back, or two machines disagree. */
export async function traceHealth(session: Session, now: number): Promise<readonly HealthLine[]> {
	return checked('traces', async () => {
		const [newest] = (await session.traces({ feature: null, limit: 1 })).requests;
		const stored = ok('traces', newest ? 'the store can be read' : 'the store can be read; nothing is traced yet');
		const aheadMs = newest ? newest.started_at - now : 0;
		if (aheadMs <= CLOCK_SLACK_MS) return [stored, ok('clock', 'not behind the newest trace')];
		const message = `the newest trace began ${Math.round(aheadMs / 1_000)} s in the future`;
		return [stored, warn('clock', message, 'Set the clocks of these machines by NTP.')];
	});
}

async function checked(subject: string, check: () => Promise<readonly HealthLine[]>): Promise<readonly HealthLine[]> {
	try {
		return await check();
	} catch (thrown) {
		if (!(thrown instanceof PlimsollError)) throw thrown;
		// The project's mistakes are findings of their own.
		if (thrown.code === 'configuration_invalid') return [];
		if (concernsAll(thrown)) throw thrown;
		return [failure(subject, thrown)];
	}
}

/** The one finding there is when nothing can be asked. Rethrows what is no finding. */
export function unreachable(thrown: unknown): HealthLine {
	if (!(thrown instanceof PlimsollError && concernsAll(thrown))) throw thrown;
	return failure(thrown.code === 'data_folder_locked' ? 'data folder' : 'server', thrown);
}

/** Whether all further questions would end the same way. */
function concernsAll({ code, category }: PlimsollError): boolean {
	return (
		category === 'unauthenticated' || ['data_folder_locked', 'server_unreachable', 'deadline_exceeded'].includes(code)
	);
}

function failure(subject: string, { code, message }: PlimsollError): HealthLine {
	return fail(subject, `${message} (${code})`, ERRORS[code].remedy);
}

const CHECKS: readonly (readonly [string, Check])[] = [
	['collections', collections],
	['records', records],
	['quarantine', quarantine],
	['documents', storedDocuments],
	['embedders', embedders],
	['upstreams', upstreams],
	['canaries', canaries],
	['alerts', alerts],
];

async function collections(session: Session): Promise<readonly HealthLine[]> {
	const lines: HealthLine[] = [];
	for (const { collection, generation, documents, chunks } of await session.collections()) {
		const subject = `collection ${collection}`;
		if (generation === null) {
			lines.push(fail(subject, 'has no live generation', `Run plimsoll ingest ${collection}.`));
			continue;
		}
		const { verification } = await session.index.show(collection, generation);
		const holds = `${generation} holds ${documents} documents in ${chunks} chunks`;
		const failed = verification?.checks.filter(({ passed }) => !passed) ?? [];
		const again = `Run plimsoll index verify ${collection} ${generation}.`;
		if (chunks === 0) lines.push(warn(subject, holds, `Look at its sources, and run plimsoll ingest ${collection}.`));
		else if (verification === null) lines.push(warn(subject, `${holds}, and was never verified`, again));
		else if (failed.length === 0) lines.push(ok(subject, `${holds}; all checks passed`));
		else lines.push(fail(subject, `${holds}; ${failed.map(({ message }) => message).join(' ')}`, again));
	}
	return lines;
}

/** Documents that wait for somebody to look at them. */
async function quarantine(session: Session): Promise<readonly HealthLine[]> {
	const lines: HealthLine[] = [];
	for (const { collection } of await session.collections()) {
		const { count, documents } = await session.quarantine(collection, { source: null, state: 'held', limit: 1 });
		const held = count.held + count.unlisted;
		const [first] = documents;
		if (held === 0) continue;
		const example = first ? `, e.g. ${first.document}: ${first.reasons[0]}` : '';
		const look = `See plimsoll quarantine list ${collection}; plimsoll quarantine retry or drop settles them.`;
		lines.push(warn(`quarantine of ${collection}`, `documents that are not in the index: ${held}${example}`, look));
	}
	return lines;
}

/** What was sent to sources that are no longer there. */
async function storedDocuments(session: Session): Promise<readonly HealthLine[]> {
	const { sources } = await session.documents.stored();
	return sources.flatMap(({ collection, source, documents, bytes, configured }) => {
		if (configured) return [];
		const what = `${source} of ${collection} is not in the configuration, and ${documents} documents of it are stored in ${bytes} bytes`;
		const purge = `plimsoll documents purge ${collection} --source ${source} --all --why "…"`;
		return [warn('documents', what, `Put it back, or remove them for good: ${purge}`)];
	});
}

async function records(session: Session): Promise<readonly HealthLine[]> {
	await session.listKeys();
	const { url } = session;
	return [
		url === null ? ok('data folder', 'its lock is free: no server runs') : ok('server', `${url} answers`),
		ok('records', 'the store can be read'),
	];
}

async function embedders(session: Session): Promise<readonly HealthLine[]> {
	return (await session.embedders()).map(({ embedder, state, problem, measured_at: measuredAt, indexes }) => {
		const subject = `embedder ${embedder}`;
		const check = `Run plimsoll embedders check ${embedder}.`;
		const other = indexes.filter(({ space }) => space === 'other').map(({ collection }) => collection);
		if (other.length > 0) {
			const message = `makes other vectors than the indexes of ${other.join(', ')} hold`;
			return fail(subject, message, `Give it its old model back, or run plimsoll ingest ${other.join(' ')}.`);
		}
		if (problem !== null) return fail(subject, `could not be measured: ${problem}`, check);
		if (state === 'open') return warn(subject, 'is left alone after failures', check);
		return ok(subject, measuredAt === null ? 'not measured in this process' : `measured at ${measuredAt}`);
	});
}

async function upstreams(session: Session): Promise<readonly HealthLine[]> {
	if (session.url === null) return [ok('upstreams', 'no server runs, so that none is called')];
	return (await session.upstreams()).map(({ upstream, state, why, errors }) => {
		const subject = `upstream ${upstream}`;
		if (state !== 'open') return ok(subject, `its breaker is ${state}`);
		const last = errors.at(-1)?.message;
		const message = `is left alone (${why})${last === undefined ? '' : `: ${last}`}`;
		return warn(subject, message, `See plimsoll upstreams; plimsoll upstreams close ${upstream} lets it in again.`);
	});
}

async function canaries(session: Session): Promise<readonly HealthLine[]> {
	return (await session.canaries()).map(({ collection, status, required, why }) => {
		const subject = `canaries of ${collection}`;
		if (status !== 'failing') return ok(subject, status === 'unchecked' ? 'there are none' : status);
		return (required ? fail : warn)(subject, why ?? 'failing', `Run plimsoll canary ${collection}.`);
	});
}

async function alerts(session: Session): Promise<readonly HealthLine[]> {
	const open = await session.alerts({ open: true, limit: ALERTS_MAX });
	if (open.length === 0) return [ok('alerts', 'none is open')];
	return open.map(({ key, id, severity, message }) =>
		(severity === 'page' ? fail : warn)(
			`alert ${key}`,
			message,
			`See to it; plimsoll alerts acknowledge ${id} says so.`,
		),
	);
}
