import type { AlertRecord } from './alerts.ts';
import type { CanaryBaseline, CanaryRun, CanaryRunKind } from './canaries.ts';

/** What is known of the health of a deployment: durable, bounded. Throws PlimsollError `storage_failed`. */
export interface HealthRecords {
	/** Writes new ones and newer states, all or none. Those that are over are kept for 400 days, and 10,000 of them. */
	putAlerts(alerts: readonly AlertRecord[]): Promise<void>;
	/** Newest first. @param options.open only those that are not over. */
	listAlerts(options: { readonly open: boolean; readonly limit: number }): Promise<readonly AlertRecord[]>;
	/** Runs are kept for 400 days, and 1,000 of each collection. */
	putCanaryRun(run: CanaryRun): Promise<void>;
	/** Newest first. @param options.collection null: of all. */
	listCanaryRuns(options: {
		readonly collection: string | null;
		readonly kind: CanaryRunKind | null;
		readonly limit: number;
	}): Promise<readonly CanaryRun[]>;
	/** Null: there is none yet. */
	canaryBaseline(collection: string): Promise<CanaryBaseline | null>;
	/** Replaces the collection's baseline. */
	putCanaryBaseline(baseline: CanaryBaseline): Promise<void>;
	close(): Promise<void>;
}
