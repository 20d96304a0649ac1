import type { AuditEntry } from './audit.ts';

/**
 * The life of an index generation. `building`: a run writes it. `verifying`: it is sealed and being checked. `live`:
 * searches see it; at most one of a collection. `retired`: it was live. `refused`: a check failed, so that it never was.
 * `failed`: the build broke off; the next run of the same table goes on with it.
 */
export const GENERATION_STATES = ['building', 'verifying', 'live', 'retired', 'refused', 'failed'] as const;
export type GenerationState = (typeof GENERATION_STATES)[number];

/** What one check found. */
export interface CheckResult {
	/** Names the check, e.g. `conservation`. */
	readonly check: string;
	readonly passed: boolean;
	/** Whether a person may promote the generation all the same. */
	readonly overrulable: boolean;
	/** One sentence: what was found, what was expected and, when it failed, what to do. Holds no text of a document. */
	readonly message: string;
	/** JSON. */
	readonly detail: unknown;
}

/** All checks of one generation, in the order in which they ran. */
export interface VerificationReport {
	/** Milliseconds since the epoch. */
	readonly at: number;
	readonly passed: boolean;
	readonly checks: readonly CheckResult[];
}

/** One generation of a collection, whatever became of it. Instants are milliseconds since the epoch. */
export interface GenerationRecord {
	readonly collection: string;
	/** Counts the collection's generations from 1. */
	readonly sequence: number;
	/** Such as `docs-g7-3fa9c2d1`; without the hash until it is sealed. */
	readonly generation: string;
	readonly state: GenerationState;
	/** Where its rows are. */
	readonly table: string;
	/** The run that built it, or that went on with it last. */
	readonly runId: string;
	/** How it was built and how it is searched: JSON, see retrieval/manifest; null until it is sealed. */
	readonly manifest: unknown;
	readonly documents: number;
	readonly chunks: number;
	/** A snapshot of what is in it: JSON; null where none was taken. */
	readonly statistics: unknown;
	readonly verification: VerificationReport | null;
	/** Why it was refused or failed; null otherwise. */
	readonly reason: string | null;
	readonly createdAt: number;
	readonly verifiedAt: number | null;
	/** When it went live last. */
	readonly promotedAt: number | null;
	readonly retiredAt: number | null;
	/** When its rows were removed: it cannot go live any more. */
	readonly removedAt: number | null;
}

/** How many generations of a collection are in a state, those without rows left out. */
export interface GenerationCount {
	readonly collection: string;
	readonly state: GenerationState;
	readonly generations: number;
}

/** `promotion`: its checks passed. `overrule`: a person promoted it although one failed. `rollback`: back to one that was live. */
export const MOVE_KINDS = ['promotion', 'overrule', 'rollback'] as const;

/** One move of a collection's pointer. */
export interface PointerMove {
	readonly at: number;
	readonly collection: string;
	readonly kind: (typeof MOVE_KINDS)[number];
	/** The generation that was live; null for the first one. */
	readonly from: string | null;
	readonly to: string;
	/** As in the audit log. */
	readonly actor: string;
	readonly why: string;
}

export interface PointerChange {
	readonly kind: PointerMove['kind'];
	readonly collection: string;
	readonly sequence: number;
	/** The generation that the caller believes to be live. */
	readonly from: string | null;
	readonly at: number;
	readonly actor: string;
	readonly why: string;
	/** What the audit log says, where a person asked for it. */
	readonly entry: AuditEntry | null;
}

/** Generations and the moves of their pointers. Every write is on disk when its promise resolves. Throws `storage_failed`. */
export interface GenerationStore {
	/**
	 * The generation that a run on a table builds: the newest one that broke off there, or one with the next number. Its
	 * state is `building`.
	 */
	begin(build: { collection: string; table: string; runId: string; at: number }): Promise<GenerationRecord>;
	/** Replaces all that is known of a generation: for whoever builds it, or removes what is not live. */
	put(record: GenerationRecord): Promise<void>;
	/** Writes what was learned of a sealed generation. The rest stays as it is by then, also when the caller read it long before. */
	amend(
		generation: Pick<GenerationRecord, 'collection' | 'sequence'>,
		learned: Partial<Pick<GenerationRecord, 'manifest' | 'verification' | 'verifiedAt'>>,
	): Promise<void>;
	/** Forgets a build that found nothing to do. */
	discard(collection: string, sequence: number): Promise<void>;
	/** Everything of a collection counts as removed: its rows are gone, and nothing of it is live any more. */
	retireAll(collection: string, at: number): Promise<void>;
	/** Newest first. */
	list(collection: string | null, limit: number): Promise<readonly GenerationRecord[]>;
	/** Null when there is none of that name. */
	find(collection: string, generation: string): Promise<GenerationRecord | null>;
	/** The live generations, by collection. */
	live(): Promise<readonly GenerationRecord[]>;
	/**
	 * Retires the live generation, makes another one live and records the move: all of it or nothing. False when another
	 * generation is live than the caller believes, or the one to be is gone.
	 */
	move(change: PointerChange): Promise<boolean>;
	counts(): Promise<readonly GenerationCount[]>;
	/** Newest first. */
	moves(collection: string, limit: number): Promise<readonly PointerMove[]>;
}
