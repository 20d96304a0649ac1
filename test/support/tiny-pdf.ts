/** A PDF of one page a text, uncompressed. */
export function tinyPdf(pages: readonly string[], title: string, info = ''): Buffer {
	const objects: string[] = [];
	const add = (body: string) => objects.push(body);
	const kids = pages.map((_, index) => `${4 + index * 2} 0 R`).join(' ');
	add('<< /Type /Catalog /Pages 2 0 R >>');
	add(`<< /Type /Pages /Kids [${kids}] /Count ${pages.length} >>`);
	add('<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>');
	pages.forEach((text, index) => {
		const stream = `BT /F1 12 Tf 72 720 Td (${text.replace(/[\\()]/g, '\\$&')}) Tj ET`;
		add(
			`<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Resources << /Font << /F1 3 0 R >> >> /Contents ${5 + index * 2} 0 R >>`,
		);
		add(`<< /Length ${stream.length} >>\nstream\n${stream}\nendstream`);
	});
	add(`<< /Title (${title}) ${info} >>`);
	let file = '%PDF-1.4\n';
	const offsets = objects.map((body, index) => {
		const offset = file.length;
		file += `${index + 1} 0 obj\n${body}\nendobj\n`;
		return offset;
	});
	const xref = file.length;
	const entries = offsets.map((offset) => `${String(offset).padStart(10, '0')} 00000 n \n`).join('');
	file += `xref\n0 ${objects.length + 1}\n0000000000 65535 f \n${entries}`;
	file += `trailer\n<< /Size ${objects.length + 1} /Root 1 0 R /Info ${objects.length} 0 R >>\nstartxref\n${xref}\n%%EOF\n`;
	return Buffer.from(file, 'latin1');
}
