import { strFromU8, unzipSync, zipSync } from 'fflate';
import mammoth from 'mammoth';
import { readInstant } from '../../base/instant.ts';
import type { DocumentMeta } from '../../spec/document.ts';
import { metaOf } from '../document-meta.ts';
import type { DocumentText } from '../document-text.ts';
import { ShallowParser } from '../shallow-parser.ts';
import { readHtml } from './html.ts';

/** What one file may unpack to, however small it is packed. */
const UNPACKED_BYTES_MAX = 256 * 1024 * 1024;
/** Real documents are packed 5 to 30 times smaller; 1,000 times is what DEFLATE can do at most. */
const RATIO_MAX = 200;
/** Below this the ratio says nothing: a page of spaces packs very well. */
const RATIO_FROM_BYTES = 8 * 1024 * 1024;
const PARTS_MAX = 5_000;

/** The parts that hold text, styles and metadata; pictures and fonts are never unpacked. */
const WANTED = /^(\[Content_Types\]\.xml|(_rels|word|docProps)\/.*\.(xml|rels))$/;

/** A Word document: paragraphs, headings, lists and tables. Throws when it is broken, encrypted, or unpacks to too much. */
export async function readDocx(bytes: Uint8Array, fallbackTitle: string): Promise<DocumentText> {
	const parts = unpack(bytes);
	if (!parts['word/document.xml']) throw new Error('it has no word/document.xml');
	// Packed again without compression, so that what mammoth unpacks is what was measured.
	const buffer = Buffer.from(zipSync(parts, { level: 0 }));
	const noPictures = mammoth.images.imgElement(async () => ({ src: '' }));
	const { value } = await mammoth.convertToHtml({ buffer }, { convertImage: noPictures });
	const { title, meta } = coreProperties(parts['docProps/core.xml']);
	const page = readHtml(value, fallbackTitle);
	return { ...page, title: title || page.title, meta };
}

function unpack(bytes: Uint8Array): Record<string, Uint8Array> {
	let unpacked = 0;
	let parts = 0;
	const filter = ({ name, originalSize }: { name: string; originalSize: number }): boolean => {
		if (++parts > PARTS_MAX) throw new Error(`it has more than ${PARTS_MAX} parts`);
		if (!WANTED.test(name)) return false;
		unpacked += originalSize;
		if (unpacked > UNPACKED_BYTES_MAX) throw new Error(`it unpacks to more than ${UNPACKED_BYTES_MAX} bytes`);
		if (unpacked > RATIO_FROM_BYTES && unpacked > bytes.length * RATIO_MAX) {
			throw new Error(`it unpacks to more than ${RATIO_MAX} times its size`);
		}
		return true;
	};
	// Each part is unpacked into a buffer of the size that was stated and checked, whatever the packed bytes would give.
	return unzipSync(bytes, { filter });
}

const PROPERTIES: Readonly<Record<string, string>> = {
	'dc:creator': 'author',
	'dc:subject': 'subject',
	'dc:description': 'description',
	'cp:keywords': 'keywords',
	'cp:category': 'category',
	'cp:lastmodifiedby': 'last_modified_by',
	'dcterms:created': 'created',
};

function coreProperties(part: Uint8Array | undefined): { title: string; meta: DocumentMeta } {
	const found: Record<string, string> = {};
	let open = '';
	const parser = new ShallowParser(
		{
			onopentag: (name) => {
				open = name.toLowerCase();
			},
			onclosetag: () => {
				open = '';
			},
			ontext: (text) => {
				found[open] = (found[open] ?? '') + text;
			},
		},
		{ xmlMode: true, decodeEntities: true },
	);
	parser.end(part ? strFromU8(part) : '');
	const stated = Object.entries(PROPERTIES).flatMap(([key, name]) => (found[key]?.trim() ? [[name, found[key]]] : []));
	const language = found['dc:language']?.trim().toLowerCase() || null;
	const updatedAt = readInstant(found['dcterms:modified']) ?? readInstant(found['dcterms:created']);
	return { title: found['dc:title']?.trim() ?? '', meta: metaOf(Object.fromEntries(stated), { language, updatedAt }) };
}
