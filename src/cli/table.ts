import { stripVTControlCharacters } from 'node:util';
import type { Terminal } from './terminal.ts';

interface Column {
	readonly title: string;
	/** Numbers stand on the right. */
	readonly right?: boolean;
}

/** Rows under their titles, each column as wide as its widest cell; cells may be coloured. Lines, without line feeds. */
export function table(columns: readonly Column[], rows: readonly (readonly string[])[]): string[] {
	const all = [columns.map(({ title }) => title), ...rows];
	const widths = columns.map((_, at) => Math.max(...all.map((row) => widthOf(row[at] ?? ''))));
	return all.map((row) =>
		columns
			.map(({ right }, at) => {
				const cell = row[at] ?? '';
				const gap = ' '.repeat((widths[at] ?? 0) - widthOf(cell));
				return right ? gap + cell : cell + gap;
			})
			.join('  ')
			.trimEnd(),
	);
}

/** The same on the terminal, the titles dimmed. */
export function showTable(
	columns: readonly Column[],
	rows: readonly (readonly string[])[],
	terminal: Terminal,
	indent = '',
): void {
	const [head = '', ...lines] = table(columns, rows);
	terminal.line(terminal.paint('dim', indent + head));
	for (const line of lines) terminal.line(indent + line);
}

function widthOf(cell: string): number {
	return [...stripVTControlCharacters(cell)].length;
}
