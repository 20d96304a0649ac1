import pino from 'pino';
import { expect, it, onTestFinished } from 'vitest';
import { openAlerts } from '../../src/app/alerts.ts';
import { loadProject } from '../../src/app/load-project.ts';
import { systemClock } from '../../src/base/clock.ts';
import { seededRandom } from '../../src/base/random.ts';
import type { Alert } from '../../src/spec/alerts.ts';
import { openSqliteHealth } from '../../src/stores/sqlite-health.ts';
import { projectFolder, VALID_PROJECT } from '../support/project-folder.ts';
import { webhookReceiver } from '../support/webhook-receiver.ts';

it('a webhook that is new hears of what is wrong, and of nothing that the project has no more', async () => {
	const receiver = await webhookReceiver();
	const settings = `alerts: {webhooks: {team: {url: "${receiver.url}", private_addresses: allow}}}\n`;
	const dir = await projectFolder({
		...VALID_PROJECT,
		'plimsoll.yaml': `${VALID_PROJECT['plimsoll.yaml']}${settings}`,
	});
	const loaded = await loadProject(dir, {});
	if (!loaded.ok) throw new Error('the project is not valid');
	const { config, releases } = loaded.value;
	const parts = {
		records: openSqliteHealth(':memory:'),
		clock: systemClock,
		random: seededRandom(1),
		log: pino({ level: 'silent' }),
	};
	onTestFinished(() => parts.records.close());
	const damaged = (collection: string): Alert => ({
		...{ key: `index_damaged:${collection}`, severity: 'page', subject: { collection } },
		...{ message: 'It is damaged.', detail: {} },
	});
	const before = await openAlerts({ config: { ...config, alerts: { webhooks: [] } }, releases }, parts);
	before.sink.raise(damaged('gone'));
	await before.close();
	const after = await openAlerts({ config, releases }, parts);
	onTestFinished(() => after.close());
	// Deliveries are made one by one.
	after.sink.raise(damaged('docs'));
	await receiver.asked(1);
	expect(JSON.parse(receiver.deliveries[0]?.body ?? '').alert.key).toBe('index_damaged:docs');
	const open = await after.sink.list({ open: true, limit: 9 });
	expect(open.map(({ key }) => key)).toEqual(['index_damaged:docs']);
});
