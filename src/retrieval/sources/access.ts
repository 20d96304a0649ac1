import type { Clock } from '../../base/clock.ts';
import type { HttpClient } from '../../base/http.ts';
import type { SourceConfig } from '../../contracts/collection.ts';

export type ConfigOf<Kind extends SourceConfig['kind']> = Extract<SourceConfig, { kind: Kind }>;

/** What sources need besides their configuration. */
export interface SourceAccess {
	readonly clock: Clock;
	readonly http: HttpClient;
}
