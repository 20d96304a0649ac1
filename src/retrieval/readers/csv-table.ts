import { CsvError, parse } from 'csv-parse/sync';
import { type DocumentText, plainText, type Range, table } from '../document-text.ts';

const DELIMITERS = [',', ';', '\t', '|'];

/** A CSV file as one table: the text is kept as it is written, the first record names the columns. */
export function readCsv(text: string, title: string): DocumentText {
	const rows = recordsOf(text);
	const plain = plainText(text, title);
	const header = rows.length > 1 ? (rows[0]?.end ?? null) : null;
	return rows.length === 0 ? plain : { ...plain, blocks: [table(0, text.length, rows, header)] };
}

function recordsOf(text: string): Range[] {
	const bytes = Buffer.from(text);
	const rows: Range[] = [];
	const end = () => rows.at(-1)?.end ?? 0;
	let from = 0;
	try {
		parse(bytes, {
			delimiter: delimiterOf(text),
			relax_column_count: true,
			relax_quotes: true,
			skip_empty_lines: true,
			on_record: (_, info) => {
				// The parser counts bytes; blocks count UTF-16 code units.
				rows.push({ start: end(), end: end() + bytes.toString('utf8', from, info.bytes).length });
				from = info.bytes;
				return null;
			},
		});
	} catch (cause) {
		if (!(cause instanceof CsvError) || cause.code !== 'CSV_QUOTE_NOT_CLOSED') throw cause;
		// A quote that is never closed would make one record of all that follows it: there, each line is one.
		for (let feed = text.indexOf('\n', end()); feed >= 0; feed = text.indexOf('\n', feed + 1)) {
			rows.push({ start: end(), end: feed + 1 });
		}
	}
	if (end() < text.length) rows.push({ start: end(), end: text.length });
	return rows;
}

/** The one that the first line has most of. */
function delimiterOf(text: string): string {
	const line =
		text
			.slice(0, 10_000)
			.split('\n', 1)[0]
			?.replaceAll(/"[^"]*"/g, '') ?? '';
	const count = (delimiter: string) => line.split(delimiter).length;
	return DELIMITERS.reduce((best, next) => (count(next) > count(best) ? next : best));
}
