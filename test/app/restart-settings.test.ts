import { expect, it } from 'vitest';
import { loadProject } from '../../src/app/load-project.ts';
import { settingsNeedingRestart } from '../../src/app/restart-settings.ts';
import { projectFolder, VALID_PROJECT } from '../support/project-folder.ts';

async function configOf(settings: string) {
	const files = { ...VALID_PROJECT, 'plimsoll.yaml': `${VALID_PROJECT['plimsoll.yaml']}${settings}` };
	const loaded = await loadProject(await projectFolder(files), { REDIS_URL: 'redis://127.0.0.1:1' });
	if (!loaded.ok) throw new Error(JSON.stringify(loaded.problems));
	return loaded.value.config;
}

it('names each changed setting that holds only after a start, and no other', async () => {
	const before = await configOf('server: {port: 4700}');
	const after = await configOf(
		[
			'server: {port: 4701, concurrent_requests_max: 70}',
			'admission: {queue: {requests_max: 100}}',
			'shared_state: {redis: {env: REDIS_URL}, on_failure: fail_open, timeout_ms: 9}',
			'idempotency: {retention_hours: 1}',
			'retries: {ratio: 0.05}',
		].join('\n'),
	);
	const folder = { ...after, dataDir: before.dataDir };
	expect(settingsNeedingRestart(before, before)).toEqual([]);
	expect(settingsNeedingRestart(before, folder)).toEqual([
		'server.port',
		'shared_state.redis',
		'shared_state.on_failure',
		'shared_state.timeout_ms',
		'idempotency.retention_hours',
	]);
});
