import { extractText, getDocumentProxy, getMeta } from 'unpdf';
import { readInstant } from '../../base/instant.ts';
import type { DocumentMeta } from '../../spec/document.ts';
import { metaOf } from '../document-meta.ts';
import { type DocumentText, plainBlocks } from '../document-text.ts';

/** The text layer of a PDF, pages separated by blank lines. Throws when the file is broken or encrypted; scans have no text. */
export async function readPdf(bytes: Uint8Array, fallbackTitle: string): Promise<DocumentText> {
	// The library refuses Node's Buffer, and takes the memory of what it is given.
	const pdf = await getDocumentProxy(new Uint8Array(bytes), { verbosity: 0 });
	try {
		const pages = await extractText(pdf, { mergePages: false });
		const text = pages.text
			.map((page) => page.trim())
			.filter(Boolean)
			.join('\n\n');
		const { info } = await getMeta(pdf);
		const title: unknown = info.Title;
		return {
			title: typeof title === 'string' && title.trim() ? title.trim() : fallbackTitle,
			text,
			bodyStart: 0,
			blocks: plainBlocks(text),
			syntax: null,
			meta: infoMeta(info),
		};
	} finally {
		await pdf.loadingTask.destroy();
	}
}

const INFO_FIELDS = {
	author: 'Author',
	subject: 'Subject',
	keywords: 'Keywords',
	creator: 'Creator',
	producer: 'Producer',
};

function infoMeta(info: Readonly<Record<string, unknown>>): DocumentMeta {
	const created = pdfInstant(info.CreationDate);
	const stated = {
		...Object.fromEntries(Object.entries(INFO_FIELDS).map(([name, key]) => [name, info[key] || null])),
		created: created === null ? null : new Date(created).toISOString(),
	};
	const language = typeof info.Language === 'string' ? info.Language.toLowerCase() : null;
	return metaOf(stated, { language, updatedAt: pdfInstant(info.ModDate) ?? created });
}

/** A PDF's `D:20240131120000+01'00'`, everything after the year optional. */
function pdfInstant(stated: unknown): number | null {
	const match = /^(?:D:)?(\d{4})(\d\d)?(\d\d)?(\d\d)?(\d\d)?(\d\d)?(?:(Z)|([+-]\d\d)'?(\d\d)?)?/.exec(
		typeof stated === 'string' ? stated : '',
	);
	if (!match) return null;
	const [, year, month = '01', day = '01', hours = '00', minutes = '00', seconds = '00', , zone, zoneMinutes = '00'] =
		match;
	return readInstant(`${year}-${month}-${day}T${hours}:${minutes}:${seconds}${zone ? `${zone}:${zoneMinutes}` : 'Z'}`);
}
