import { nextTurn } from '../../base/clock.ts';
import type { PushedVersion, PushPlace } from '../../spec/pushed.ts';
import { isFormat, type LoadedItem, type OpenSource } from '../source-item.ts';
import type { ConfigOf, SourceAccess } from './access.ts';

/** Between two pages the event loop goes on. */
const PAGE = 500;

/** The documents that were sent, in the order of their ids, each read only when the index does not hold it as it is. */
export async function openPush(
	{ name }: ConfigOf<'push'>,
	{ pushed, collection }: SourceAccess,
	signal: AbortSignal,
): Promise<OpenSource> {
	const place = { collection, source: name };
	return {
		total: (await pushed.total(place)).documents,
		async *items() {
			for (let after: string | null = null; ; ) {
				signal.throwIfAborted();
				const page: readonly PushedVersion[] = await pushed.versions({ ...place, after, limit: PAGE, tenant: null });
				for (const { id, hash } of page) {
					yield { hashed: { id, hash, load: () => load(pushed, place, { id, hash }) } };
				}
				after = page.at(-1)?.id ?? null;
				if (page.length < PAGE) return;
				await nextTurn();
			}
		},
	};
}

async function load(
	pushed: SourceAccess['pushed'],
	place: PushPlace,
	{ id, hash }: PushedVersion,
): Promise<LoadedItem> {
	const [entry] = await pushed.find(place, [id]);
	const bytes = entry?.hash === hash ? await pushed.body(entry) : null;
	if (!entry || !bytes) {
		return { failed: { document: id, reason: 'it was changed or deleted while it was read; the next run sees to it' } };
	}
	const { format, title, meta } = entry;
	if (!isFormat(format)) return { failed: { document: id, reason: `there is no reader for its format ${format}` } };
	return { document: { id, format, title: title ?? id, meta, bytes } };
}
