import type { SqliteSchema } from './sqlite-file.ts';

/** The tables of the record store. Steps are only ever added: files of every release are brought up to date. */
export const RECORD_SCHEMA: SqliteSchema = {
	title: 'record store',
	applicationId: 0x506c_6d52, // "PlmR"
	erases: true,
	migrations: [
		`CREATE TABLE keys (
			id TEXT PRIMARY KEY,
			tenant_id TEXT NOT NULL,
			name TEXT NOT NULL,
			scopes TEXT NOT NULL,
			secret_hash TEXT NOT NULL,
			created_at INTEGER NOT NULL,
			revoked_at INTEGER
		) STRICT;
		CREATE TABLE index_pointers (
			collection TEXT PRIMARY KEY,
			generation TEXT NOT NULL,
			promoted_at INTEGER NOT NULL,
			documents INTEGER NOT NULL,
			chunks INTEGER NOT NULL,
			manifest TEXT NOT NULL
		) STRICT;
		CREATE TABLE runs (
			id TEXT PRIMARY KEY,
			collection TEXT NOT NULL,
			started_at INTEGER NOT NULL,
			ended_at INTEGER,
			outcome TEXT NOT NULL,
			report TEXT,
			error TEXT
		) STRICT;
		CREATE INDEX runs_by_time ON runs (started_at DESC, id DESC);
		CREATE INDEX runs_by_collection ON runs (collection, started_at DESC, id DESC);`,
		`ALTER TABLE keys ADD COLUMN features TEXT;
		ALTER TABLE keys ADD COLUMN expires_at INTEGER;
		ALTER TABLE keys ADD COLUMN last_used_at INTEGER;
		CREATE TABLE audit (
			seq INTEGER PRIMARY KEY AUTOINCREMENT,
			at INTEGER NOT NULL,
			actor TEXT NOT NULL,
			action TEXT NOT NULL,
			subject TEXT NOT NULL,
			tenant_id TEXT,
			detail TEXT NOT NULL
		) STRICT;
		CREATE INDEX audit_by_time ON audit (at);`,
		`CREATE TABLE allowances (
			tenant_id TEXT NOT NULL,
			scope TEXT NOT NULL,
			limit_name TEXT NOT NULL,
			until INTEGER NOT NULL,
			micros INTEGER NOT NULL,
			PRIMARY KEY (tenant_id, scope, limit_name, until)
		) STRICT, WITHOUT ROWID;`,
		`CREATE TABLE settings (
			kind TEXT NOT NULL,
			name TEXT NOT NULL,
			settings TEXT,
			version INTEGER NOT NULL,
			changed_at INTEGER NOT NULL,
			changed_by TEXT NOT NULL,
			PRIMARY KEY (kind, name)
		) STRICT, WITHOUT ROWID;`,
		`CREATE TABLE embedding_spaces (
			name TEXT PRIMARY KEY,
			space TEXT NOT NULL,
			measured_at INTEGER NOT NULL,
			used_at INTEGER NOT NULL
		) STRICT, WITHOUT ROWID;`,
		`CREATE TABLE alerts (
			id TEXT PRIMARY KEY,
			key TEXT NOT NULL,
			severity TEXT NOT NULL,
			subject TEXT NOT NULL,
			message TEXT NOT NULL,
			detail TEXT NOT NULL,
			opened_at INTEGER NOT NULL,
			raised_at INTEGER NOT NULL,
			count INTEGER NOT NULL,
			acknowledged_at INTEGER,
			acknowledged_by TEXT,
			resolved_at INTEGER,
			told TEXT NOT NULL
		) STRICT;
		CREATE INDEX alerts_by_time ON alerts (opened_at DESC, id DESC);
		CREATE INDEX alerts_open ON alerts (key) WHERE resolved_at IS NULL;`,
		// The pointer of a collection is the state of its live generation, so that the two cannot disagree.
		`CREATE TABLE generations (
			collection TEXT NOT NULL,
			sequence INTEGER NOT NULL,
			generation TEXT NOT NULL,
			state TEXT NOT NULL,
			index_table TEXT NOT NULL,
			run_id TEXT NOT NULL,
			manifest TEXT NOT NULL,
			documents INTEGER NOT NULL,
			chunks INTEGER NOT NULL,
			statistics TEXT NOT NULL,
			verification TEXT,
			reason TEXT,
			created_at INTEGER NOT NULL,
			verified_at INTEGER,
			promoted_at INTEGER,
			retired_at INTEGER,
			removed_at INTEGER,
			PRIMARY KEY (collection, sequence)
		) STRICT, WITHOUT ROWID;
		CREATE UNIQUE INDEX generations_live ON generations (collection) WHERE state = 'live';
		CREATE UNIQUE INDEX generations_by_name ON generations (collection, generation);
		CREATE TABLE pointer_moves (
			seq INTEGER PRIMARY KEY AUTOINCREMENT,
			at INTEGER NOT NULL,
			collection TEXT NOT NULL,
			kind TEXT NOT NULL,
			from_generation TEXT,
			to_generation TEXT NOT NULL,
			actor TEXT NOT NULL,
			why TEXT NOT NULL
		) STRICT;
		CREATE INDEX pointer_moves_by_collection ON pointer_moves (collection, seq DESC);
		INSERT INTO generations SELECT collection, coalesce(json_extract(manifest, '$.sequence'), 1), generation, 'live',
			coalesce(json_extract(manifest, '$.table'), ''), coalesce(json_extract(manifest, '$.createdByRun'), ''), manifest,
			documents, chunks, 'null', NULL, NULL, promoted_at, NULL, promoted_at, NULL, NULL FROM index_pointers;
		INSERT INTO pointer_moves (at, collection, kind, from_generation, to_generation, actor, why)
			SELECT promoted_at, collection, 'promotion', NULL, generation, 'process', 'live before moves were recorded'
			FROM index_pointers;
		DROP TABLE index_pointers;`,
		`CREATE TABLE quarantine (
			id TEXT PRIMARY KEY,
			collection TEXT NOT NULL,
			source TEXT NOT NULL,
			document TEXT NOT NULL,
			kind TEXT NOT NULL,
			reasons TEXT NOT NULL,
			content_hash TEXT,
			rules_hash TEXT NOT NULL,
			run_id TEXT NOT NULL,
			first_at INTEGER NOT NULL,
			last_at INTEGER NOT NULL,
			kept INTEGER NOT NULL,
			state TEXT NOT NULL
		) STRICT, WITHOUT ROWID;
		CREATE INDEX quarantine_by_place ON quarantine (collection, source, document);
		CREATE TABLE ingested (
			collection TEXT PRIMARY KEY,
			index_table TEXT NOT NULL,
			rules_hash TEXT NOT NULL,
			unlisted INTEGER NOT NULL
		) STRICT, WITHOUT ROWID;`,
		`CREATE TABLE canary_runs (
			seq INTEGER PRIMARY KEY AUTOINCREMENT,
			collection TEXT NOT NULL,
			kind TEXT NOT NULL,
			at INTEGER NOT NULL,
			run TEXT NOT NULL
		) STRICT;
		CREATE INDEX canary_runs_by_collection ON canary_runs (collection, seq DESC);
		CREATE TABLE canary_baselines (
			collection TEXT PRIMARY KEY,
			baseline TEXT NOT NULL
		) STRICT, WITHOUT ROWID;`,
		`CREATE TABLE feedback (
			seq INTEGER PRIMARY KEY AUTOINCREMENT,
			tenant_id TEXT NOT NULL,
			request_id TEXT NOT NULL,
			rater TEXT NOT NULL,
			at INTEGER NOT NULL,
			score REAL NOT NULL,
			label TEXT,
			passages TEXT NOT NULL,
			comment TEXT,
			question TEXT,
			corrected_answer TEXT,
			feature TEXT,
			collection TEXT,
			generation TEXT,
			chunks TEXT NOT NULL
		) STRICT;
		CREATE UNIQUE INDEX feedback_by_rater ON feedback (tenant_id, request_id, rater);
		CREATE INDEX feedback_by_tenant ON feedback (tenant_id, seq DESC);
		CREATE INDEX feedback_by_time ON feedback (at);
		CREATE INDEX feedback_by_collection ON feedback (tenant_id, collection, seq DESC) WHERE question IS NOT NULL;`,
		`CREATE TABLE pages (
			collection TEXT NOT NULL,
			source TEXT NOT NULL,
			url TEXT NOT NULL,
			final_url TEXT NOT NULL,
			etag TEXT,
			modified TEXT,
			lastmod TEXT,
			version TEXT NOT NULL,
			format TEXT NOT NULL,
			seen_at INTEGER NOT NULL,
			PRIMARY KEY (collection, source, url)
		) STRICT, WITHOUT ROWID;`,
		// As `ratingOf` has it. One index for each list that can be asked for, so that none looks through all ratings.
		`ALTER TABLE feedback ADD COLUMN rating TEXT NOT NULL
			AS (CASE WHEN score = 0.5 THEN 'neutral' WHEN score > 0.5 THEN 'up' ELSE 'down' END) VIRTUAL;
		CREATE INDEX feedback_by_request ON feedback (request_id);
		CREATE INDEX feedback_by_rating ON feedback (rating, seq DESC);
		CREATE INDEX feedback_by_feature ON feedback (feature, seq DESC);
		CREATE INDEX feedback_by_feature_rating ON feedback (feature, rating, seq DESC);
		CREATE INDEX feedback_by_tenant_rating ON feedback (tenant_id, rating, seq DESC);
		CREATE INDEX feedback_by_tenant_feature ON feedback (tenant_id, feature, seq DESC);
		CREATE INDEX feedback_by_tenant_feature_rating ON feedback (tenant_id, feature, rating, seq DESC);`,
		`CREATE TABLE accepted_losses (
			collection TEXT NOT NULL,
			source TEXT NOT NULL,
			failed INTEGER NOT NULL,
			misfits INTEGER NOT NULL,
			PRIMARY KEY (collection, source)
		) STRICT, WITHOUT ROWID;`,
	],
};
