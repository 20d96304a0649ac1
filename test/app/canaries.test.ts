import pino from 'pino';
import { expect, it, onTestFinished } from 'vitest';
import { serve } from '../../src/app/serve.ts';
import { projectFolder, VALID_PROJECT, writeInto } from '../support/project-folder.ts';
import { webhookReceiver } from '../support/webhook-receiver.ts';

const WORDS = ['anchor', 'bilge', 'capstan', 'davit', 'ensign'];
const EVENTS = { onIngestProgress() {}, onIngested() {}, onIngestFailed() {}, onReloaded() {}, onReloadRefused() {} };

function canary(word: string): string {
	return JSON.stringify({ id: word, query: `What is a ${word}?`, documents: [`${word}.md`] });
}

it('a server is ready once known answers are found, refuses a generation that loses them, and tells a webhook', async () => {
	const receiver = await webhookReceiver();
	const dir = await projectFolder({
		...VALID_PROJECT,
		'plimsoll.yaml': `${VALID_PROJECT['plimsoll.yaml']}alerts: {webhooks: {team: {url: "${receiver.url}", private_addresses: allow}}}\n`,
		'features/ask/canaries.jsonl': WORDS.map(canary).join('\n'),
		...Object.fromEntries(WORDS.map((word) => [`docs/${word}.md`, `# ${word}\n\nA ${word} is a part of a ship.\n`])),
	});
	const server = await serve({ dir, port: 0 }, { log: pino({ level: 'silent' }), events: EVENTS });
	onTestFinished(() => server.stop());
	await server.firstIngest;
	const call = async (path: string, method = 'GET', body?: object) => {
		const headers = {
			authorization: `Bearer ${server.developmentKey.secret}`,
			...(body && { 'content-type': 'application/json' }),
		};
		const response = await fetch(server.url + path, { method, headers, body: body ? JSON.stringify(body) : null });
		return { status: response.status, body: JSON.parse(await response.text()) };
	};
	expect(await call('/readyz')).toMatchObject({ status: 200, body: { status: 'ready', collections: [] } });
	expect((await call('/admin/canaries')).body.collections).toMatchObject([
		{ collection: 'docs', status: 'passing', required: true, last_run: { kind: 'start', verdict: 'passed' } },
	]);

	// Every document has its canary: there is nothing to suggest.
	const suggest = '/admin/collections/docs/canaries/suggest';
	expect(await call(suggest, 'POST')).toMatchObject({
		status: 200,
		body: { collection: 'docs', seed: 0, documents: 5, cut_short: false, suggestions: [], unused: { covered: 5 } },
	});
	expect((await call(suggest, 'POST', { count: 0 })).body.error).toMatchObject({
		code: 'request_invalid',
		param: 'count',
	});
	expect((await call(suggest.replace('docs', 'none'), 'POST', {})).body.error.code).toBe('collection_not_found');

	// Most documents lose what they said: the new generation is refused, and the old one serves on.
	for (const word of WORDS.slice(1))
		await writeInto(dir, `docs/${word}.md`, '# Empty\n\nNothing is said here any more.\n');
	const report = await server.services.operator.ingest('docs', { signal: new AbortController().signal });
	expect(report).toMatchObject({ promoted: false });
	const failed = report.refused?.verification.checks.filter(({ passed }) => !passed);
	expect(failed?.map(({ check }) => check)).toEqual(['known_answers']);
	expect(failed?.[0]?.message).toContain('ask: 1 of 5 known answers were found; the floor is 0.8');
	expect((await call('/readyz')).status).toBe(200);
	await receiver.asked(1);
	expect(JSON.parse(receiver.deliveries[0]?.body ?? '')).toMatchObject({
		type: 'alert.open',
		alert: { subject: { collection: 'docs' } },
	});

	// Canaries that no index satisfies fail twice before the server says that it is not ready.
	await writeInto(dir, 'features/ask/canaries.jsonl', ['x', 'y', 'z'].map(canary).join('\n'));
	const isFailing = () => server.services.canaries.health()[0]?.status === 'failing';
	for (let turns = 0; turns < 600 && !isFailing(); turns++) {
		await call('/admin/collections/docs/canaries/run', 'POST');
	}
	expect(await call('/readyz')).toMatchObject({
		status: 503,
		body: { waiting_for: ['docs'], collections: [{ collection: 'docs', status: 'failing' }] },
	});
	expect((await call('/readyz')).body.collections[0].why).toContain('ask: 0 of 3 known answers were found');
	const open = (await call('/admin/alerts')).body.alerts;
	expect(open.map(({ rule }: { rule: string }) => rule)).toContain('known_answers');
	const id = open.find(({ rule }: { rule: string }) => rule === 'known_answers').id;
	expect((await call(`/admin/alerts/${id}/acknowledge`, 'POST')).body.acknowledged_by).toMatch(/^key:/);
	expect((await call('/admin/alerts/alert_none/close', 'POST')).body.error.code).toBe('alert_not_found');
	expect((await call('/admin/audit')).body.entries[0]).toMatchObject({ action: 'alert_acknowledged' });
	const page = await fetch(`${server.url}/metrics`, {
		headers: { authorization: `Bearer ${server.developmentKey.secret}` },
	});
	expect(await page.text()).toContain('plimsoll_alerts_open{rule="known_answers",severity="page"} 1');
	expect((await call('/admin/canaries/runs?kind=nonsense')).status).toBe(400);
});
