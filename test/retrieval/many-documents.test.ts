import { execFile } from 'node:child_process';
import path from 'node:path';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';
import type { ManyDocumentsResult } from './fixtures/many-documents.ts';

const SCRIPT = path.join(import.meta.dirname, 'fixtures/many-documents.ts');
const [FEW, MANY] = [1_000, 10_000];

it('ten times as many tiny documents take about the same memory and no more work each, and every one is accounted for', async () => {
	const args = ['--max-old-space-size=96', SCRIPT, String(FEW), String(MANY)];
	const { stdout } = await promisify(execFile)(process.execPath, args, { maxBuffer: 10_000_000 });
	const results: ManyDocumentsResult[] = JSON.parse(stdout);
	expect(results.map(({ documents }) => documents)).toEqual([FEW, MANY, FEW]);
	for (const { documents, report, live, again } of results) {
		expect(report).toMatchObject({ promoted: true, sources: [{ seen: documents, new: documents, failures: 0 }] });
		expect(live).toBe(documents);
		expect(again).toMatchObject({ promoted: false, sources: [{ unchanged: documents, chunks: 0 }] });
	}
	const [few, many] = results;
	if (!few || !many) throw new Error('nothing was measured');
	expect(many.peakMb - few.peakMb).toBeLessThan(250);
	expect(many.cpuMs / MANY).toBeLessThan(few.cpuMs / FEW);
});
