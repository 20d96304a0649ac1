import type { SourceConfig } from '../contracts/collection.ts';
import { openFolder } from './folder-source.ts';
import { openJsonl } from './jsonl-source.ts';
import type { OpenSource } from './source-item.ts';

/** Lists a source. Throws PlimsollError `source_unusable` when it is missing or unreadable as a whole. */
export function openSource(config: SourceConfig, signal: AbortSignal): Promise<OpenSource> {
	return config.kind === 'folder' ? openFolder(config, signal) : openJsonl(config, signal);
}
