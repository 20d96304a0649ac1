import { parse } from 'yaml';
import type { DocumentMeta } from '../../spec/document.ts';
import { metaOf, NO_META } from '../document-meta.ts';

/** YAML between two `---` lines at the very start, as site generators use it. */
const FRONT_MATTER = /^---[^\S\n]*\r?\n(?:([\s\S]*?)\r?\n)?---[^\S\n]*(?:\r?\n|$)/;
/** What a broken front matter begins with, so that it is not taken for text between two rules. */
const BEGINS_LIKE_YAML = /^\s*(#[^\n]*\n\s*)*[\w.-]+\s*:/;
const CHARS_MAX = 65_536;

interface FrontMatter {
	/** Where the text after it begins; 0 when there is none. */
	readonly bodyStart: number;
	readonly title: string | null;
	readonly meta: DocumentMeta;
}

/** A document's front matter as fields. One that is broken gives none and marks the document; it is no text either way. */
export function readFrontMatter(text: string): FrontMatter {
	const none = { bodyStart: 0, title: null, meta: NO_META };
	const match = FRONT_MATTER.exec(text.slice(0, CHARS_MAX));
	if (!match) return none;
	const [whole, source = ''] = match;
	const stated = parseYaml(source);
	if (isMapping(stated)) {
		const { title, ...fields } = stated;
		const words = typeof title === 'string' ? title.trim() : null;
		return { bodyStart: whole.length, title: words, meta: metaOf(fields) };
	}
	if (stated === null && source.trim() === '') return { ...none, bodyStart: whole.length };
	if (!BEGINS_LIKE_YAML.test(source)) return none;
	return { bodyStart: whole.length, title: null, meta: { ...NO_META, marks: ['front_matter_unreadable'] } };
}

/** The value, or undefined when it is not YAML. */
function parseYaml(source: string): unknown {
	try {
		return parse(source, { logLevel: 'error', maxAliasCount: 20 });
	} catch {
		return undefined;
	}
}

function isMapping(value: unknown): value is Record<string, unknown> {
	return typeof value === 'object' && value !== null && !Array.isArray(value);
}
