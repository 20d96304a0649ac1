import type { LimitRow } from '../runtime/limit-report.ts';
import type { KeyRecord, Scope } from '../spec/records.ts';
import type { Ingester, IngestReport, Retriever } from '../spec/retrieval.ts';
import type { StateHealth } from '../spec/shared-state.ts';
import type { TraceReader } from '../spec/trace.ts';

/** A key as it is shown: never its secret or the hash of it. */
export type KeyView = Omit<KeyRecord, 'secretHash'>;

/** What an operator can do beside calling features. The composition root implements it; HTTP and the CLI call it. */
export interface Operator {
	readonly traces: TraceReader;
	readonly retriever: Retriever;
	listKeys(): Promise<readonly KeyView[]>;
	/** The secret is returned this once and never again. */
	createKey(ask: {
		name: string;
		tenantId: string;
		scopes: readonly Scope[];
	}): Promise<{ key: KeyView; secret: string }>;
	/** Works for new requests at once. Throws `key_not_found`. */
	revokeKey(id: string): Promise<void>;
	/** The configured limits and how they stand; of one tenant, or of all that have a key or an entry when null. */
	limits(tenantId: string | null): Promise<readonly LimitRow[]>;
	/** Throws `collection_not_found`. */
	ingest(collection: string, options: Parameters<Ingester['ingest']>[1]): Promise<IngestReport>;
	/** Collections whose index features need and lack, and the state behind limits. */
	readiness(): {
		readonly ready: boolean;
		readonly waitingFor: readonly string[];
		readonly sharedState: StateHealth;
	};
}
