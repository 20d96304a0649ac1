import type { DocumentMark } from '../../spec/document.ts';

/**
 * Sentences made to instruct a model that reads the document. A cheap look, not a guard: it misses what is paraphrased, and
 * meets pages that write about such attacks. It marks a document for statistics and review; the text is kept as data.
 */
const INSTRUCTIONS: readonly RegExp[] = [
	/\b(?:ignore|disregard|forget|override)\b[^.\n]{0,40}\b(?:previous|prior|above|earlier|preceding|system|all)\b[^.\n]{0,40}\b(?:instructions?|prompts?|rules?|directions?|messages?)\b/i,
	/\b(?:reveal|print|repeat|output|show|leak)\b[^.\n]{0,30}\b(?:system|hidden|initial)\s+(?:prompt|instructions?|message)\b/i,
	/\byou are (?:now|no longer) (?:an?|in|the|bound|restricted|DAN)\b/i,
	/\b(?:do not|don't|never) (?:tell|inform|mention (?:this )?to|reveal (?:this )?to) the user\b/i,
	/\b(?:new|updated|real) (?:system )?instructions?\s*:/i,
	/<\|(?:im_start|im_end|system|user|assistant|endoftext|eot_id|start_header_id)\|>|\[\/?INST\]|<<\/?SYS>>/,
	/\bignoriere\b[^.\n]{0,40}\b(?:vorherigen|bisherigen|obigen)\b[^.\n]{0,30}\b(?:anweisungen|befehle)\b/i,
	/\bignore[zr]?\b[^.\n]{0,30}\binstructions\b[^.\n]{0,20}\bprécédentes\b/i,
];

/** Characters that a reader does not see and a model does: zero-width ones, and letters of the tag block. */
const INVISIBLE = /[\u200b-\u200d\u2060\ufeff\u00ad]/g;
const TAGS = /[\u{e0020}-\u{e007e}]/gu;
const SCRIPT = /<script\b|\bjavascript:/i;

export function suspicionsOf(text: string): DocumentMark[] {
	const shown = text
		.replaceAll(INVISIBLE, '')
		.replaceAll(TAGS, (tag) => String.fromCodePoint((tag.codePointAt(0) ?? 0) - 0xe0000));
	const marks: DocumentMark[] = [];
	if (INSTRUCTIONS.some((pattern) => pattern.test(shown))) marks.push('suspicious_instructions');
	if (SCRIPT.test(shown)) marks.push('script_in_text');
	return marks;
}
