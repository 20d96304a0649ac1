import type { AlertRecord } from './alerts.ts';

/** What is known of the health of a deployment: durable, bounded. Throws PlimsollError `storage_failed`. */
export interface HealthRecords {
	/** Writes new ones and newer states, all or none. Those that are over are kept for 400 days, and 10,000 of them. */
	putAlerts(alerts: readonly AlertRecord[]): Promise<void>;
	/** Newest first. @param options.open only those that are not over. */
	listAlerts(options: { readonly open: boolean; readonly limit: number }): Promise<readonly AlertRecord[]>;
	close(): Promise<void>;
}
