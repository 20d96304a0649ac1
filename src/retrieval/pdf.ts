import { extractText, getDocumentProxy, getMeta } from 'unpdf';
import { type DocumentText, plainBlocks } from './document-text.ts';

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
		const title = await getMeta(pdf).then(({ info }) => info.Title);
		return {
			title: typeof title === 'string' && title.trim() ? title.trim() : fallbackTitle,
			text,
			blocks: plainBlocks(text),
		};
	} finally {
		await pdf.loadingTask.destroy();
	}
}
