import type { SourceConfig } from '../../contracts/collection.ts';
import type { OpenSource } from '../source-item.ts';
import type { SourceAccess } from './access.ts';
import { openCsv } from './csv.ts';
import { openFolder } from './folder.ts';
import { openJsonl } from './jsonl.ts';
import { openPush } from './push.ts';
import { openS3 } from './s3.ts';

/** Lists a source. Throws PlimsollError `source_unusable` when it is missing or unreadable as a whole. */
export async function openSource(config: SourceConfig, access: SourceAccess, signal: AbortSignal): Promise<OpenSource> {
	switch (config.kind) {
		case 'folder':
			return openFolder(config, signal);
		case 'jsonl':
			return openJsonl(config, signal);
		case 'csv':
			return openCsv(config, signal);
		case 'postgres': {
			// Its driver takes a start longer than all other sources together.
			const { openPostgres } = await import('./postgres.ts');
			return openPostgres(config, access, signal);
		}
		case 's3':
			return openS3(config, access, signal);
		case 'sitemap': {
			const { openSitemap } = await import('./sitemap/sitemap.ts');
			return openSitemap(config, access, signal);
		}
		case 'push':
			return openPush(config, access, signal);
	}
}
