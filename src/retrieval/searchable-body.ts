/** What is searched and embedded for a chunk: its header, then its text from `textAt` on. */
export function searchableBody({ header, text }: { readonly header: string; readonly text: string }): {
	body: string;
	textAt: number;
} {
	return header ? { body: `${header}\n\n${text}`, textAt: header.length + 2 } : { body: text, textAt: 0 };
}
