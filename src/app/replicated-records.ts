import type { Logger } from 'pino';
import type { Clock } from '../base/clock.ts';
import type { KeyRecord, RecordStore } from '../spec/records.ts';
import type { SettingsRecord } from '../spec/tenants.ts';
import { RedisDirectory } from '../stores/redis-directory.ts';
import type { RedisLink } from '../stores/redis-link.ts';
import { Replication } from './replication.ts';

/** What the admins of keys and tenants know of replication: whom to tell. */
export interface ReplicatedRecords {
	readonly pending: boolean;
	readonly keysWritten: (keys: readonly KeyRecord[]) => Promise<void>;
	readonly settingsWritten: (record: SettingsRecord) => Promise<void>;
	/** @param inForce puts what came from others in force. */
	start(inForce: () => Promise<void>): Promise<void>;
	close(): Promise<void>;
}

/** @param parts.link null: there are no other replicas, and nobody is told. */
export function openReplication(parts: {
	records: RecordStore;
	clock: Clock;
	log: Logger;
	link: RedisLink | null;
}): ReplicatedRecords {
	const { records, clock, log, link } = parts;
	if (link === null) {
		const nobody = async () => {};
		return { pending: false, keysWritten: nobody, settingsWritten: nobody, start: nobody, close: nobody };
	}
	let onChanged = async () => {};
	const warn = (message: string) => log.warn(message);
	const directory = new RedisDirectory(link);
	const replication = new Replication({ directory, records, clock, warn, onChanged: () => onChanged() });
	return {
		get pending() {
			return replication.pending;
		},
		keysWritten: (keys) => replication.publish(keys.map((key) => ({ kind: 'key', key }))),
		settingsWritten: (record) => replication.publish([{ kind: 'settings', record }]),
		start(inForce) {
			onChanged = inForce;
			return replication.start();
		},
		close: () => replication.close(),
	};
}
