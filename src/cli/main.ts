import { CommanderError } from 'commander';
import { version } from '../app/version.ts';
import { keptAlive } from '../base/clock.ts';
import { asPlimsollError } from '../spec/errors.ts';
import { reportError } from './error-report.ts';
import { EXIT, EXIT_OF } from './exit-code.ts';
import { createProgram } from './program.ts';
import { Terminal } from './terminal.ts';

const terminal = new Terminal(process.stdout, process.stderr);

// `plimsoll … | head` is done when head is.
process.stdout.on('error', (error: NodeJS.ErrnoException) =>
	process.exit(error.code === 'EPIPE' ? EXIT.ok : EXIT.failed),
);

try {
	await keptAlive(createProgram(terminal, version).parseAsync());
} catch (thrown) {
	process.exitCode = exitCodeOf(thrown);
}
await terminal.flush();
// Native parts keep threads of their own, which must not hold up the end.
process.exit();

function exitCodeOf(thrown: unknown): number {
	// Commander has said what was wrong already; help that was asked for is no error.
	if (thrown instanceof CommanderError) return thrown.exitCode === 0 ? EXIT.ok : EXIT.usage;
	const error = asPlimsollError(thrown);
	reportError(error, terminal);
	return EXIT_OF[error.category];
}
