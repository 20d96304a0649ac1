import type { Clock } from '../../base/clock.ts';
import type { HttpClient } from '../../base/http.ts';
import type { SourceConfig } from '../../contracts/collection.ts';
import type { PageStore } from '../../spec/pages.ts';
import type { PushedStore } from '../../spec/pushed.ts';

export type ConfigOf<Kind extends SourceConfig['kind']> = Extract<SourceConfig, { kind: Kind }>;

/** What sources need besides their configuration. */
export interface SourceAccess {
	readonly clock: Clock;
	readonly http: HttpClient;
	/** For web sites: the one reaches public addresses alone, the other all but link-local ones. */
	readonly web: Readonly<Record<'refuse' | 'allow', HttpClient>>;
	/** Whose sources they are. */
	readonly collection: string;
	readonly pushed: PushedStore;
	readonly pages: PageStore;
}
