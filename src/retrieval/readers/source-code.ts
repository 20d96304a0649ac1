import path from 'node:path';
import { type DocumentText, lines, plainBlocks, plainText, type Syntax } from '../document-text.ts';

const EXTENSIONS: Readonly<Record<Syntax, string>> = {
	script: '.js .mjs .cjs .jsx .ts .mts .cts .tsx .vue .svelte',
	python: '.py .pyi',
	go: '.go',
	rust: '.rs',
	braces: '.java .kt .kts .scala .groovy .cs .c .h .cc .cpp .cxx .hpp .m .mm .swift .dart .php',
	ruby: '.rb .ex .exs',
	shell: '.sh .bash .zsh',
	sql: '.sql',
};

const BY_EXTENSION = new Map(
	Object.entries(EXTENSIONS).flatMap(([syntax, extensions]) =>
		extensions.split(' ').map((extension): [string, Syntax] => [extension, syntax as Syntax]),
	),
);

export const CODE_EXTENSIONS: readonly string[] = [...BY_EXTENSION.keys()];

/** Source code, whose language its name tells; blocks end at blank lines and are cut between lines. */
export function readCode(text: string, id: string, title: string): DocumentText {
	const blocks = plainBlocks(text).map(({ start, end }) => lines(start, end));
	return { ...plainText(text, title), blocks, syntax: BY_EXTENSION.get(path.posix.extname(id).toLowerCase()) ?? null };
}
